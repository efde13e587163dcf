"""The example of ``docs/election.md`` runs, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from zookeeper_server import ZooKeeperServer

from aurora_store.libmesos import fetch

_DOC = Path(__file__).parents[2] / "docs" / "election.md"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        env={
            **os.environ,
            "AURORA_STORE_LIBMESOS": str(fetch()),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )


def test_the_example_runs_and_prints_what_the_page_says(
    zookeeper: ZooKeeperServer, tmp_path: Path
) -> None:
    found = re.search(
        r"```python\n(?P<code>.*?)```.*?```text\n(?P<output>.*?)```", _DOC.read_text(), re.DOTALL
    )
    assert found is not None
    assert "127.0.0.1:2181" in found["code"] and "/var/lib/scheduler" in found["code"]
    code = found["code"].replace("127.0.0.1:2181", f"127.0.0.1:{zookeeper.port}")
    ran = _run(code.replace("/var/lib/scheduler", str(tmp_path)))
    assert ran.stderr == ""
    assert ran.stdout == found["output"]


def test_the_example_without_zookeeper_elects_a_leader(tmp_path: Path) -> None:
    example, other = re.findall(r"```python\n(.*?)```", _DOC.read_text(), re.DOTALL)[:2]
    opened, stands = 'Store.open("/var/lib/scheduler/store")', "candidate = Candidate("
    assert opened in example and stands in example and "HeartbeatElection(" in other
    # As the page says: opened with the member's address. A short heartbeat saves time.
    shown = f'Store.open("{tmp_path}/store", host="10.0.0.1:8080", heartbeat=0.2)'
    code = example.replace(opened, shown).replace(stands, f"{other}\n{stands}")
    ran = _run(code)
    assert ran.stderr == ""
    assert ran.stdout == "leading from position 1\nstandby: closed\n"
