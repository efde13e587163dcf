#!/usr/bin/env bash
# The scheduler candidate, which contains the log replica.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

: "${AURORA_STORE_ZOOKEEPER_CREDENTIALS:?the user:password for ZooKeeper, the same on all machines}"
: "${AURORA_STORE_MONITORING_TOKEN:?the token for /status and /metrics, the same on all machines}"

make_user aurora
install -d -m 0755 "$configuration"
install -d -m 0700 -o aurora -g aurora /var/lib/aurora-store
# systemd reads this as root; the token is read by the service itself.
write "$configuration/credentials.env" 0600 <<END
AURORA_STORE_ZOOKEEPER_CREDENTIALS=$AURORA_STORE_ZOOKEEPER_CREDENTIALS
END
write "$configuration/monitoring-token" 0600 <<<"$AURORA_STORE_MONITORING_TOKEN"
chown aurora: "$configuration/monitoring-token"
write "$configuration/scheduler.env" 0644 <<END
MACHINE=$machine
ADDRESS=$address
ZOOKEEPER=zk://$zookeeper$ZOOKEEPER_PATH
MESOS=$mesos_address:5050
QUORUM=$QUORUM
INSTANCES=$INSTANCES
END

# Once in the life of the cluster: an empty replica that may vote. Never again, or the loss of all
# data would silently become an empty log; a replica that lost its disk rejoins the others by itself.
if [ ! -e "$configuration/log-initialized" ]; then
  umask 0077
  runuser -u aurora -- env "AURORA_STORE_CACHE=$software/cache" "$software/venv/bin/python" - <<'END'
from aurora_store.log import Log

with Log.open("/var/lib/aurora-store/store", auto_initialize=True) as log:
    log.ending(timeout=30.0)
END
  touch "$configuration/log-initialized"
  umask 0022
fi

# `aurora-store` with the settings of this cluster, for root alone.
write /usr/local/sbin/aurora 0700 <<'END'
#!/bin/sh
set -eu
. /etc/aurora-store/scheduler.env
. /etc/aurora-store/credentials.env
export AURORA_STORE_ZOOKEEPER="zk://$AURORA_STORE_ZOOKEEPER_CREDENTIALS@${ZOOKEEPER#zk://}/election"
export AURORA_STORE_TOKEN_FILE=/etc/aurora-store/monitoring-token
export AURORA_STORE_CACHE=/opt/aurora-store/cache
exec /opt/aurora-store/venv/bin/python -m aurora_store.cli "$@"
END

install -m 0644 "$here/systemd/aurora-scheduler.service" /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now aurora-scheduler
