"""Which rows of which tables differ between two versions of a database, before and after.

    with Version(replay) as before:
        replay.apply(entry)
        with Version(replay) as after:
            for change in row_changes(before, after, {page.number for page in pages}):
                print(change.table, change.key, change.before, change.after)

The cost is that of the change, not of the database: the pages that changed tell which rows to
compare. `btree` finds and reads their cells, `schema` says what tables there are, and `rows`
compares.
"""

from aurora_store.differences.between import Between, between
from aurora_store.differences.rows import RowChange, row_changes
from aurora_store.differences.schema import SchemaChange, schema_changes
from aurora_store.differences.version import Version

__all__ = [
    "Between",
    "RowChange",
    "SchemaChange",
    "Version",
    "between",
    "row_changes",
    "schema_changes",
]
