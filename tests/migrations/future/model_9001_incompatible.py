"""Tasks have predecessors, and a zone that none is without.

Of a release to come: planted upon the newest revision of the model by tests of rolling upgrades.
"""

import sqlalchemy
from alembic import op

from aurora_store.migrations import rebuilt

revision = "model_9001"
down_revision = "HEAD"
compatible = False  # software of before reads the column by its old name


def upgrade() -> None:
    """The old column gets another name."""
    with rebuilt("task") as batch:
        batch.add_column(
            sqlalchemy.Column("zone", sqlalchemy.Text, nullable=False, server_default="none")
        )
        batch.alter_column("ancestor", new_column_name="predecessor")
    op.execute("CREATE INDEX ix_task_zone ON task (zone)")


def downgrade() -> None:
    """Zones are forgotten."""
    op.execute("DROP INDEX ix_task_zone")
    with rebuilt("task") as batch:
        batch.drop_column("zone")
        batch.alter_column("predecessor", new_column_name="ancestor")
