"""``docs/model.md`` shows the tables as they are, and its examples do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cached_property
from typing import Any

from diagram import PAGE, filled
from sqlalchemy import Select

from aurora_store.libmesos import fetch
from aurora_store.models import JobUpdateStatus, Stores

_TEXT = PAGE.read_text()
_BEFORE = _TEXT.partition("\n## Migrations\n")[0]  # tests/migrations has that section
_EXAMPLE, _STORES, _SELECT = re.findall(r"```python\n(.*?)```", _BEFORE, re.DOTALL)
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


def test_what_the_page_saves_is_there(stores: Stores) -> None:
    names: dict[str, Any] = {}
    exec(_STORES, names)
    saved = names["work"](stores.connection)
    assert saved.summary.status is JobUpdateStatus.ROLLED_FORWARD
    assert list(stores.quotas.fetch_all()) == ["www-data"]
    (cron,) = stores.crons.fetch_jobs()
    assert cron.cron_schedule == "*/5 * * * *"
    assert list(stores.locks.fetch_all()) == []


def test_every_store_is_in_the_table_of_the_page() -> None:
    table = _TEXT.partition("| Store | Keeps |")[2].partition("\n\n")[0]
    listed = set(re.findall(r"`(\w+)`", table.replace("`StateManager`", "")))
    there = {name for name, each in vars(Stores).items() if isinstance(each, cached_property)}
    assert listed == there


def test_the_query_of_the_page_runs(stores: Stores) -> None:
    names: dict[str, object] = {}
    exec(_SELECT, names)
    query = names["crowded"]
    assert isinstance(query, Select)
    assert stores.connection.execute(query).all() == []
