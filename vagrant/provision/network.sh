#!/usr/bin/env bash
# The machines know each other by name.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hosts=$(
  # Without what Vagrant says: that a machine's own name means 127.0.1.1.
  grep -vwE "${MACHINES// /|}" /etc/hosts || true
  for index in "${!machines[@]}"; do
    echo "${addresses[index]} ${machines[index]}"
  done
)
printf '%s\n' "$hosts" >/etc/hosts # not replaced: it may be a mount
