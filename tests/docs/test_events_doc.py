"""The examples of ``docs/events.md`` print what the page says; its table is that of the changes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from aurora_store.libmesos import fetch
from aurora_store.models import changes, tables

_TEXT = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
_EXAMPLES = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)
_OUTPUTS = re.findall(r"```text\n(.*?)```", _TEXT, re.DOTALL)


@pytest.mark.parametrize(
    ("example", "output"), [*zip(_EXAMPLES, _OUTPUTS, strict=True)], ids=["events", "changes"]
)
def test_an_example_prints_what_the_page_says(example: str, output: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", example],
        env={**os.environ, "AURORA_STORE_LIBMESOS": str(fetch())},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (0, output), ran.stderr


def test_every_change_is_in_the_table_with_its_topic() -> None:
    rows = re.findall(r"(?m)^\| ((?:`\w+`(?:, )?)+) \| ((?:`model[\w.]+`(?:, )?)+) \|", _TEXT)
    named = [[re.findall(r"`([\w.]+)`", cell) for cell in row] for row in rows]
    kinds = [kind for row in named for kind in row[0]]
    topics = [topic for row in named for topic in row[1]]
    assert sorted(kinds) == sorted(each.__name__ for each in get_args(changes.Change))
    told = set(re.findall(r"'(model\.[\w.]+)'", "".join(tables.CHANGE_TRIGGERS.values())))
    assert sorted(topics) == sorted(told)
    assert all(len(row[0]) == len(row[1]) for row in named)
