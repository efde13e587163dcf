#!/usr/bin/env bash
# One server of the ZooKeeper ensemble: Debian's, with a unit of our own. Debian's zookeeperd has none,
# only a script of System V, which restarts nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install -d -m 0755 "$configuration"
{
  cat <<END
tickTime=500
initLimit=20
syncLimit=10
dataDir=/var/lib/zookeeper
clientPort=2181
clientPortAddress=$address
maxClientCnxns=0
maxSessionTimeout=60000
autopurge.purgeInterval=1
admin.enableServer=false
4lw.commands.whitelist=srvr,ruok
END
  for index in "${!machines[@]}"; do
    echo "server.$((index + 1))=${addresses[index]}:2888:3888"
  done
} | write "$configuration/zoo.cfg" 0644

install -d -m 0700 -o zookeeper -g zookeeper /var/lib/zookeeper
rm -f /var/lib/zookeeper/myid # Debian's is a link into /etc
echo "$number" | write /var/lib/zookeeper/myid 0600
chown zookeeper: /var/lib/zookeeper/myid

install -m 0644 "$here/systemd/aurora-zookeeper.service" /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now aurora-zookeeper
