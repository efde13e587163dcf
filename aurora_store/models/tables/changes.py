"""Triggers that tell what changes, as events of `aurora_store.events`.

Triggers, as the counts are: exact whoever writes, and rolled back with what they tell of. Nothing
is written while nobody subscribes. `aurora_store.models.changes` reads what they write: small
bodies that say what changed, of which task, job or host; how the rest of it is, the stores tell.

They are made by the revision `model_0002`, because they need the tables of the events.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CHANGE_TRIGGERS"]

TASK_CHANGED: Final = "model.task.changed"
TASK_DELETED: Final = "model.task.deleted"
UPDATE_CHANGED: Final = "model.update.changed"
UPDATE_INSTANCE_CHANGED: Final = "model.update.instance"
UPDATE_REMOVED: Final = "model.update.removed"
CRON_JOB_CHANGED: Final = "model.cron_job.changed"
CRON_JOB_REMOVED: Final = "model.cron_job.removed"
QUOTA_CHANGED: Final = "model.quota.changed"
QUOTA_REMOVED: Final = "model.quota.removed"
HOST_CHANGED: Final = "model.host.changed"
HOST_REMOVED: Final = "model.host.removed"
MAINTENANCE_CHANGED: Final = "model.maintenance.changed"
MAINTENANCE_REMOVED: Final = "model.maintenance.removed"


_Body = dict[str, str]  # name -> SQL expression, with {row} for NEW or OLD

_JOB: Final = """(SELECT role.name || '/' || environment.name || '/' || job.name FROM job
      JOIN environment ON environment.id = job.environment_id
      JOIN role ON role.id = job.role_id
      WHERE job.id = {row}.job_id)"""
_TASK: Final = {
    "id": "{row}.task_id",
    "job": _JOB,
    "instance": "{row}.instance",
    "status": "{row}.status",
    "host": "(SELECT host FROM agent WHERE id = {row}.agent_row_id)",
}
_HOST: Final = {"agent_id": "{row}.agent_id", "host": "{row}.host", "mode": "{row}.mode"}
_UPDATE: Final = {"job": _JOB, "id": "{row}.update_id"}


def _tell(
    name: str, when: str, table: str, topic: str, body: _Body, condition: str = "", source: str = ""
) -> dict[str, str]:
    """A trigger by its name. `source`: what to select the body from, if not from the row."""
    row = "OLD" if when.endswith("DELETE") else "NEW"
    pairs = ",\n    ".join(f"'{key}', {value.format(row=row)}" for key, value in body.items())
    statement = f"""CREATE TRIGGER {name}
  {when} ON {table}
  WHEN EXISTS (SELECT 1 FROM aurora_store_subscriber){condition}
BEGIN
  INSERT INTO aurora_store_event (topic, body) SELECT '{topic}', CAST(json_object(
    {pairs}) AS BLOB){source};
END"""
    return {name: statement}


def _row(
    noun: str,
    table: str,
    topics: tuple[str, str],
    body: _Body,
    *columns: str,
    before: str | None = None,
) -> dict[str, str]:
    """Tells when a row comes, when one of `columns` is another, and when it goes.

    It is told before it goes, because its job's name may go with it.

    Args:
        topics: of what changed, and of what is gone.
        before: a column that is told as it was, too.
    """
    changed, gone = topics
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    differ = f"\n    AND ({old})\n    IS NOT ({new})"
    update = f"AFTER UPDATE OF {', '.join(columns)}"
    first, later = body, body
    if before is not None:
        first, later = {**body, "before": "NULL"}, {**body, "before": f"OLD.{before}"}
    return (
        _tell(f"tell_{noun}_insert", "AFTER INSERT", table, changed, first)
        | _tell(f"tell_{noun}_update", update, table, changed, later, differ)
        | _tell(f"tell_{noun}_delete", "BEFORE DELETE", table, gone, body)
    )


CHANGE_TRIGGERS: Final[dict[str, str]] = (
    _row("task", "task", (TASK_CHANGED, TASK_DELETED), _TASK, "status", before="status")
    # Each event of an update sets its status, by a trigger: the row knows the one before.
    | _tell(
        "tell_update_status",
        "AFTER UPDATE OF status",
        "job_update",
        UPDATE_CHANGED,
        {**_UPDATE, "before": "OLD.status", "status": "NEW.status"},
    )
    | _tell(
        "tell_update_instance",
        "AFTER INSERT",
        "job_instance_update_event",
        UPDATE_INSTANCE_CHANGED,
        {
            **{key: value.replace("{row}", "job_update") for key, value in _UPDATE.items()},
            "instance": "NEW.instance",
            "action": "NEW.action",
        },
        source="\n  FROM job_update WHERE id = NEW.update_row_id",
    )
    | _tell("tell_update_delete", "BEFORE DELETE", "job_update", UPDATE_REMOVED, _UPDATE)
    | _row(
        "cron_job",
        "cron_job",
        (CRON_JOB_CHANGED, CRON_JOB_REMOVED),
        {"job": _JOB},
        *("owner", "schedule", "collision_policy", "instance_count", "config_id"),
    )
    | _row(
        "quota",
        "quota",
        (QUOTA_CHANGED, QUOTA_REMOVED),
        {"role": "{row}.role"},
        *("cpus", "ram_mb", "disk_mb"),
    )
    | _row(
        "host",
        "host_attributes",
        (HOST_CHANGED, HOST_REMOVED),
        _HOST,
        *("agent_id", "host", "mode", "attributes"),
        before="mode",
    )
    | _row(
        "maintenance",
        "host_maintenance",
        (MAINTENANCE_CHANGED, MAINTENANCE_REMOVED),
        {"host": "{row}.host"},
        *("sla_policy", "timeout_secs", "created_ms"),
    )
)
"""Name -> the statement that makes it."""
