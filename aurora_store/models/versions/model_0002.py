"""The model tells its changes, as events."""

from pathlib import Path

from alembic import op

from aurora_store.migrations.operations import execute_file

revision = "model_0002"
down_revision = "model_0001"
depends_on = "events_0001"
compatible = True  # the tables stay; triggers tell what software does that does not know of them

_TRIGGERS = (
    "tell_task_insert",
    "tell_task_update",
    "tell_task_delete",
    "tell_update_status",
    "tell_update_instance",
    "tell_update_delete",
    "tell_cron_job_insert",
    "tell_cron_job_update",
    "tell_cron_job_delete",
    "tell_quota_insert",
    "tell_quota_update",
    "tell_quota_delete",
    "tell_host_insert",
    "tell_host_update",
    "tell_host_delete",
    "tell_maintenance_insert",
    "tell_maintenance_update",
    "tell_maintenance_delete",
)


def upgrade() -> None:
    execute_file(Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    # Events that nobody has heard yet stay: they are rows of another revision.
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name}")
