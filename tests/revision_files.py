"""Directories of revisions for tests: a release of a scheduler is a list of these."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_HEAD = '''"""{message}."""

from alembic import op

revision = "{name}"
down_revision = {after!r}
compatible = {compatible}

'''

FIRST = ("farm_0001", "Workers", None, True, ["CREATE TABLE worker (name TEXT PRIMARY KEY)"], None)
ZONES = (
    "farm_0002",
    "Workers have a zone",
    "farm_0001",
    True,
    ["ALTER TABLE worker ADD COLUMN zone TEXT"],
    ["ALTER TABLE worker DROP COLUMN zone"],
)
RACKS = (
    "farm_0003",
    "Zones are racks",
    "farm_0002",
    False,
    ["ALTER TABLE worker RENAME COLUMN zone TO rack"],
    ["ALTER TABLE worker RENAME COLUMN rack TO zone"],
)
BROKEN = (
    "farm_0002",
    "Names are numbers",
    "farm_0001",
    False,
    [
        "CREATE TABLE numbered (name INTEGER NOT NULL CHECK (typeof(name) = 'integer'))",
        "INSERT INTO numbered SELECT name FROM worker",
    ],
    ["DROP TABLE numbered"],
)
RIVAL = ("farm_0002b", "Workers have a colour", "farm_0001", True, ["SELECT 1"], None)

Step = tuple[str, str, "str | None", bool, "list[str]", "list[str] | None"]


def write(directory: Path, steps: Iterable[Step]) -> Path:
    """Writes a file for each step."""
    directory.mkdir(parents=True)
    for name, message, after, compatible, up, down in steps:
        text = _HEAD.format(message=message, name=name, after=after, compatible=compatible)
        text += _function("upgrade", up)
        if down is not None:
            text += "\n\n" + _function("downgrade", down)
        (directory / f"{name}.py").write_text(text)
    return directory


def _function(name: str, statements: list[str]) -> str:
    return f"def {name}() -> None:\n" + "".join(
        f"    op.execute({each!r})\n" for each in statements
    )
