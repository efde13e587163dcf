#!/usr/bin/env bash
# Makes this machine a member of the cluster, or brings it up to date. Run by root, as often as you
# like. AURORA_STORE_ZOOKEEPER_CREDENTIALS and AURORA_STORE_MONITORING_TOKEN come from the environment and
# must be the same on all machines.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for step in packages software network zookeeper mesos scheduler; do
  echo "== $machine: $step"
  "$here/provision/$step.sh"
done
