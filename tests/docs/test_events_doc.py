"""The example of ``docs/events.md`` prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from aurora_store.libmesos import fetch

_TEXT = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
[_EXAMPLE] = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)
[_OUTPUT] = re.findall(r"```text\n(.*?)```", _TEXT, re.DOTALL)


def test_the_example_prints_what_the_page_says() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _EXAMPLE],
        env={**os.environ, "AURORA_STORE_LIBMESOS": str(fetch())},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = ran.stdout.splitlines()
    # Hearing goes on beside the rest: only the order of what is heard is certain.
    assert ran.returncode == 0, ran.stderr
    assert sorted(said) == sorted(_OUTPUT.splitlines())
    heard = [line for line in _OUTPUT.splitlines() if line.startswith("heard")]
    assert [line for line in said if line.startswith("heard")] == heard
