"""The example of ``docs/log.md`` and of the module runs, and prints what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import aurora_store.log

_DOC = Path(__file__).parents[2] / "docs" / "log.md"


def test_the_example_runs_and_prints_what_the_page_says(
    libmesos_path: Path, tmp_path: Path
) -> None:
    found = re.search(
        r"```python\n(?P<code>.*?)```.*?```text\n(?P<output>.*?)```", _DOC.read_text(), re.DOTALL
    )
    assert found is not None
    code = found["code"].replace("/var/lib/example", str(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        env={
            **os.environ,
            "AURORA_STORE_LIBMESOS": str(libmesos_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert ran.stderr == ""
    assert ran.stdout == found["output"]


def test_the_module_shows_the_same_example() -> None:
    found = re.search(r"```python\n(.*?)```", _DOC.read_text(), re.DOTALL)
    assert found is not None
    assert aurora_store.log.__doc__ is not None
    assert textwrap.indent(found[1], "    ") in aurora_store.log.__doc__
