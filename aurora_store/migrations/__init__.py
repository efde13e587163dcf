"""The schema of a store's database, changed by the leader, before it serves.

    schema = Schema(models.REVISIONS, events.REVISIONS, software="myscheduler 1.4")
    store = Store.open(directory, schema=schema)
    store.lead()

A step is a *revision*: a file that Alembic reads, with `upgrade()` and `downgrade()`. What was
done, by which software, and the SQL that undoes it are in the database (`journal`), so that
software of an older release can undo what it does not know. docs/model.md has the guide, and the
rules for replicas of several releases.
"""

from aurora_store.migrations.journal import Entry, Journal
from aurora_store.migrations.operations import execute_file, rebuilt
from aurora_store.migrations.revisions import Revision
from aurora_store.migrations.schema import Schema, Standing, Verdict

__all__ = [
    "Entry",
    "Journal",
    "Revision",
    "Schema",
    "Standing",
    "Verdict",
    "execute_file",
    "rebuilt",
]
