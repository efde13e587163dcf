"""Events and their subscribers."""

from alembic import op

revision = "events_0001"
down_revision = None
branch_labels = "events"
compatible = True  # tables that software does not know are in nobody's way


def upgrade() -> None:
    # What is there stays: the tables may have been made before there were revisions.
    op.execute(
        "CREATE TABLE IF NOT EXISTS aurora_store_event ("
        " id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,"
        " topic VARCHAR NOT NULL,"
        " body BLOB NOT NULL)"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS aurora_store_subscriber ("
        " name VARCHAR NOT NULL, cursor INTEGER NOT NULL, PRIMARY KEY (name))"
    )
