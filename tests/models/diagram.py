"""The diagram of docs/model.md, from the tables. ``python tests/models/diagram.py`` renews it."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Table

from aurora_store.models import metadata

PAGE = Path(__file__).parents[2] / "docs" / "model.md"
_PLACE = re.compile(r"(?<=<!-- diagram -->\n).*?(?=<!-- end -->)", re.DOTALL)


def diagram() -> str:
    """All tables with their columns and references, as Mermaid reads it."""
    tables = sorted(metadata.tables.values(), key=lambda table: table.name)
    lines = ["```mermaid", "erDiagram"]
    for table in tables:
        lines += _references(table)
    for table in tables:
        lines.append(f"  {table.name} {{")
        for column in table.columns:
            marks = [
                mark
                for mark, there in (("PK", column.primary_key), ("FK", bool(column.foreign_keys)))
                if there
            ]
            null = ' "may be null"' if column.nullable else ""
            kind = str(column.type.compile()).split("(")[0].lower()
            lines.append(f"    {kind} {column.name} {', '.join(marks)}{null}".rstrip())
        lines.append("  }")
    return "\n".join([*lines, "```"]) + "\n"


def filled(text: str) -> str:
    """The page with the diagram of these tables."""
    return _PLACE.sub(lambda _: diagram(), text)


def _references(table: Table) -> list[str]:
    found = set()
    for key in table.foreign_keys:
        column = key.parent
        alone = list(table.primary_key.columns) == [column]
        many = "o|" if alone else "o{"
        one = "|o" if column.nullable else "||"
        found.add(f"  {key.column.table.name} {one}--{many} {table.name} : {column.name}")
    return sorted(found)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
