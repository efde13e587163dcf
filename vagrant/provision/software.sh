#!/usr/bin/env bash
# aurora-store and libmesos, into /opt/aurora-store.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install -d -m 0755 "$software"
install -m 0644 "$here/candidate.py" "$software/candidate.py"
if mountpoint -q "$software/venv"; then
  echo "shared with the host: $software/venv"
  exit 0
fi

source=$(dirname "$here")
build=(cmake g++ make python3-dev libsqlite3-dev libzstd-dev libxxhash-dev)
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${build[@]}"
test -x "$software/venv/bin/python" || python3 -m venv "$software/venv"
"$software/venv/bin/python" -m pip install -q --disable-pip-version-check "$source[mesos]"
AURORA_STORE_CACHE=$software/cache "$software/venv/bin/aurora-store" libmesos fetch
