#!/usr/bin/env bash
# The Mesos master and its agents. They are one process out of libmesos, whose master elects nobody
# and knows no other: so one machine runs it, and the frameworks of all machines talk to that one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_user aurora-mesos
install -d -m 0755 "$configuration"
install -d -m 0700 -o aurora-mesos -g aurora-mesos /var/lib/aurora-mesos
printf 'ADDRESS=%s\n' "$address" | write "$configuration/mesos.env" 0644
install -m 0644 "$here/systemd/aurora-mesos.service" /etc/systemd/system/
systemctl daemon-reload
if [ "$machine" = "$MESOS_MACHINE" ]; then
  systemctl enable --now aurora-mesos
fi
