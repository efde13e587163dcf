"""What each revision makes, as text: a file of each release says it for ever."""

from __future__ import annotations

import re

from schema_text import READ_SCHEMA, normal_form

from aurora_store import events, models
from aurora_store.migrations import Schema
from aurora_store.migrations.rehearsal import empty_database

__all__ = ["current", "parse", "text_of"]

_MARK = "---- "


def current() -> dict[str, str]:
    """What each of our revisions makes, or drops, on an empty database; by its id."""
    found = {}
    with empty_database() as connection:
        before: dict[str, str] = {}
        for revision in Schema(models.REVISIONS, events.REVISIONS).revisions:
            revision.upgrade(connection)
            after = normal_form(connection.exec_driver_sql(READ_SCHEMA))
            made = [f"{sql};" for name, sql in after.items() if before.get(name) != sql]
            dropped = [f"DROP {name};" for name in before if name not in after]
            found[revision.id] = "\n".join(dropped + made) + "\n"
            before = after
    return found


def text_of(revisions: dict[str, str]) -> str:
    """The text of a file with all of them."""
    return "\n".join(f"{_MARK}{name}\n{made}" for name, made in revisions.items())


def parse(text: str) -> dict[str, str]:
    """Undoes `text_of`."""
    parts = re.split(rf"^{_MARK}(\w+)\n", text, flags=re.MULTILINE)
    made = [part.rstrip("\n") + "\n" for part in parts[2::2]]
    return dict(zip(parts[1::2], made, strict=True))
