#!/usr/bin/env bash
# The Debian packages that are missing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
for package in zookeeper default-jre-headless curl python3-venv; do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed \
    || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi
