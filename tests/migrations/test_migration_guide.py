"""The guide to migrations in ``docs/model.md`` does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aurora_store import events, models
from aurora_store.libmesos import fetch
from aurora_store.migrations import Schema, Standing

_PAGE = Path(__file__).parents[2] / "docs" / "model.md"
_GUIDE = _PAGE.read_text().partition("\n## Migrations\n")[2].partition("\n## ")[0]
_FILES = re.findall(r"```python\n# (\S+)\n(.*?)```", _GUIDE, re.DOTALL)
[_OUTPUT] = re.findall(r"```text\n(.*?)```", _GUIDE, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in _FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def _run(project: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(project), str(_PAGE.parents[1])])
    environment = {"AURORA_STORE_LIBMESOS": str(fetch()), "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_example_prints_what_the_page_says(project: Path) -> None:
    assert _run(project, "-m", "myscheduler") == _OUTPUT


def test_the_examples_tables_are_what_its_revisions_make(project: Path) -> None:
    schema = Schema(models.REVISIONS, events.REVISIONS, project / "myscheduler" / "revisions")
    assert schema.downgrades["zone_0001"] is not None
    code = (
        "from aurora_store import events, models\n"
        "from aurora_store.migrations import Schema\n"
        "from myscheduler import tables\n"
        "schema = Schema(models.REVISIONS, events.REVISIONS, 'myscheduler/revisions')\n"
        "print(schema.differences(models.metadata, events.metadata, tables.Base.metadata))\n"
        "ours = Schema(models.REVISIONS, events.REVISIONS)\n"
        "print(ours.suggest(models.metadata, events.metadata, tables.Base.metadata))\n"
    )
    differences, _, suggested = _run(project, "-c", code).partition("\n")
    assert differences == "[]"
    compile(suggested, "suggested", "exec")
    assert "op.create_table('zone'" in suggested and "op.drop_table('zone')" in suggested


def test_the_table_of_replicas_names_every_standing() -> None:
    named = re.findall(r"^\| `([a-z ]+)`:", _GUIDE, re.MULTILINE)
    assert named == [each.value for each in Standing]
