"""``docs/model.md`` shows the tables as they are, and its examples do what it says."""

from __future__ import annotations

import re
import subprocess
import sys

from diagram import PAGE, filled
from sqlalchemy import Select

from aurora_store.libmesos import fetch
from aurora_store.models import Stores

_TEXT = PAGE.read_text()
_BEFORE = _TEXT.partition("\n## Migrations\n")[0]  # tests/migrations has that section
_EXAMPLE, _SELECT = re.findall(r"```python\n(.*?)```", _BEFORE, re.DOTALL)
[_OUTPUT] = re.findall(r"```text\n(.*?)```", _BEFORE, re.DOTALL)


def test_the_diagram_is_that_of_the_tables() -> None:
    assert filled(_TEXT) == _TEXT, "renew it: python tests/models/diagram.py"
    assert "task ||--o{ task_event : task_row_id" in _TEXT


def test_the_example_prints_what_the_page_says() -> None:
    environment = {"AURORA_STORE_LIBMESOS": str(fetch())}
    ran = subprocess.run(
        [sys.executable, "-c", _EXAMPLE], env=environment, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (0, _OUTPUT), ran.stderr


def test_the_query_of_the_page_runs(stores: Stores) -> None:
    names: dict[str, object] = {}
    exec(_SELECT, names)
    query = names["crowded"]
    assert isinstance(query, Select)
    assert stores.connection.execute(query).all() == []
