"""The example of docs/mesos.md runs and prints what is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mesos_cluster import clean_environment

from aurora_store.libmesos import fetch

_PAGE = Path(__file__).parents[2] / "docs" / "mesos.md"
_EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```.*?```text\n(?P<output>.*?)```", re.DOTALL)


def test_the_example_runs_and_prints_what_is_shown() -> None:
    found = _EXAMPLE.search(_PAGE.read_text())
    assert found is not None
    with clean_environment({"AURORA_STORE_LIBMESOS": str(fetch())}):
        ran = subprocess.run(
            [sys.executable, "-c", found["code"]], capture_output=True, text=True, timeout=60.0
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == found["output"]
