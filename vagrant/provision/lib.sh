# What all steps need to know; sourced by them. The machine is told by its host name.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$here/cluster.env"

machine=$(hostname)
machines=($MACHINES)
addresses=($ADDRESSES)
number=0 # of this machine, from 1 on
address=
mesos_address=
zookeeper=
for index in "${!machines[@]}"; do
  if [ "${machines[index]}" = "$machine" ]; then
    number=$((index + 1))
    address=${addresses[index]}
  fi
  if [ "${machines[index]}" = "$MESOS_MACHINE" ]; then
    mesos_address=${addresses[index]}
  fi
  zookeeper+=${zookeeper:+,}${addresses[index]}:2181
done
if [ -z "$address" ]; then
  echo "$0: $machine is not one of the machines in cluster.env: $MACHINES" >&2
  exit 1
fi

software=/opt/aurora-store
configuration=/etc/aurora-store

# write FILE MODE: puts standard input there, at once and never readable to more than MODE says.
write() {
  local new
  new=$(mktemp "$1.XXXXXX")
  cat >"$new"
  chmod "$2" "$new"
  mv "$new" "$1"
}

# make_user NAME: a system user that cannot log in.
make_user() {
  id -u "$1" >/dev/null 2>&1 || useradd --system --user-group --home-dir /nonexistent --no-create-home \
    --shell /usr/sbin/nologin "$1"
}
