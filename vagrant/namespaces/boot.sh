#!/bin/sh
# Makes the file system of a machine and becomes its first process. Runs in new mount, process, host
# name and network namespaces.
#
#   MACHINE    its name
#   SCRATCH    an empty directory, for a file system in memory: what the machine changes in / is there
#   DATA       what lasts: the directories of the services, their settings and logs
#   PYTHON     the environment with aurora-store, mounted at /opt/aurora-store/venv
#   CACHE      libmesos, mounted at /opt/aurora-store/cache
#   SHARED     directories that must be there under their own names: the checkout and Python's own
set -eu

hostname "$MACHINE"
mount --make-rprivate /
# In memory, since the upper file system of an overlay may not lie within the lower one.
mount -t tmpfs -o mode=0755 machine "$SCRATCH"
mkdir "$SCRATCH/changes" "$SCRATCH/work" "$SCRATCH/root"
root=$SCRATCH/root
mount -t overlay -o "lowerdir=/,upperdir=$SCRATCH/changes,workdir=$SCRATCH/work" machine "$root"

# Before the checkout is there, which may be in one of these.
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"

for place in $SHARED; do
  mkdir -p "$root$place"
  mount --rbind "$place" "$root$place"
  # The services are no longer root, and the checkout may be in a home that is closed to others.
  parent=$(dirname "$place")
  while [ "$parent" != / ]; do
    chmod o+x "$root$parent"
    parent=$(dirname "$parent")
  done
done
mkdir -p "$root/opt/aurora-store/venv" "$root/opt/aurora-store/cache"
mount --bind -o ro "$PYTHON" "$root/opt/aurora-store/venv"
mount --bind -o ro "$CACHE" "$root/opt/aurora-store/cache"
for place in /etc/aurora-store /var/lib/zookeeper /var/lib/aurora-store /var/lib/aurora-mesos \
    /var/log; do
  mkdir -p "$DATA$place" "$root$place"
  mount --bind "$DATA$place" "$root$place"
done

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -sf "$(dirname "$(realpath "$0")")/systemctl" "$root/usr/local/bin/systemctl"

cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
exec /opt/aurora-store/venv/bin/python -m vagrant.namespaces.init
