"""Tasks have a zone.

Of a release to come: planted upon the newest revision of the model by tests of rolling upgrades.
"""

from alembic import op

revision = "model_9001"
down_revision = "HEAD"
compatible = True


def upgrade() -> None:
    """Tasks that are there are in the zone of their host."""
    op.execute("ALTER TABLE task ADD COLUMN zone TEXT")
    op.execute("CREATE INDEX ix_task_zone ON task (zone) WHERE zone IS NOT NULL")
    op.execute(
        "UPDATE task SET zone = (SELECT 'zone of ' || host FROM agent WHERE id = agent_row_id)"
    )


def downgrade() -> None:
    """Zones are forgotten."""
    op.execute("DROP INDEX ix_task_zone")
    op.execute("ALTER TABLE task DROP COLUMN zone")
