"""Triggers: counts, summaries, and what goes with the last that uses it.

Triggers rather than statements of the stores, because they are exact whoever writes: a store, the
ORM, an operator at a console. They run inside the transaction that changes a row, so a count is
never ahead of it or behind it. docs/model.md says what they cost.

"The last that uses it" is found by a look into an index, not by a counter that would have to be
written with each use.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import DDL, event

from aurora_store.models.tables import updates as _updates  # noqa: F401  (its tables)
from aurora_store.models.tables.base import metadata
from aurora_store.models.tables.tasks import ACTIVE_NUMBERS

__all__ = ["TRIGGERS"]

_SUMS: Final = ("tasks", "cpus_milli", "ram_mb", "disk_mb", "gpus")


def _active(row: str) -> str:
    return f"{row}.status IN ({ACTIVE_NUMBERS})"


def _scope(level: str, row: str) -> str:
    """The id of the job, environment or role that a task is of."""
    if level == "job":
        return f"{row}.job_id"
    return f"(SELECT {level}_id FROM job WHERE id = {row}.job_id)"


def _count(row: str, change: int) -> str:
    """Adds a task to the tallies of its job, environment and role, or takes it away."""
    lines = []
    for level in ("job", "environment", "role"):
        scope = _scope(level, row)
        lines.append(
            f"""  INSERT INTO {level}_tally ({level}_id, status, tasks)
    VALUES ({scope}, {row}.status, {change})
    ON CONFLICT ({level}_id, status) DO UPDATE SET tasks = tasks + excluded.tasks;"""
        )
        if change < 0:
            lines.append(
                f"""  DELETE FROM {level}_tally
    WHERE {level}_id = {scope} AND status = {row}.status AND tasks = 0;"""
            )
    return "\n".join(lines)


def _use(row: str, sign: str) -> str:
    """Adds what an active task takes to the usages of its job and role, or takes it away."""
    sums = ", ".join(_SUMS)
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
    values = ", ".join(f"{sign}{name}" for name in ("1", *_SUMS[1:]))
    lines = []
    for level in ("job", "role"):
        scope = _scope(level, row)
        lines.append(
            f"""  INSERT INTO {level}_usage ({level}_id, tier, production, dedicated, {sums})
    SELECT {scope}, tier, production, dedicated, {values}
    FROM task_config WHERE id = {row}.config_id AND {_active(row)}
    ON CONFLICT ({level}_id, tier, production, dedicated) DO UPDATE SET {added};"""
        )
        if sign == "-":
            lines.append(f"  DELETE FROM {level}_usage WHERE {level}_id = {scope} AND tasks = 0;")
    return "\n".join(lines)


def _collect(table: str, key: str, *users: tuple[str, str]) -> str:
    """Deletes a row that nobody uses any more."""
    unused = "".join(
        f"\n    AND NOT EXISTS (SELECT 1 FROM {user} WHERE {column} = {key})"
        for user, column in users
    )
    return f"  DELETE FROM {table} WHERE id = {key}{unused};"


def _collect_config(row: str) -> str:
    users = (("task", "config_id"), ("cron_job", "config_id"), ("job_update_config", "config_id"))
    return _collect("task_config", f"{row}.config_id", *users)


def _collect_job(row: str) -> str:
    users = (("task_config", "job_id"), ("job_update", "job_id"), ("job_lock", "job_id"))
    return _collect("job", f"{row}.job_id", *users)


def _collect_agent(row: str) -> str:
    return _collect("agent", f"{row}.agent_row_id", ("task", "agent_row_id"))


def _role_jobs(column: str, change: str, row: str) -> str:
    return f"  UPDATE role SET {column} = {column} {change} WHERE id = {_scope('role', row)};"


# What the events of an update say of it: its status, and when it began and was last changed.
_MODIFIED: Final = (
    "  UPDATE job_update SET modified_ms = max(modified_ms, NEW.time_ms) WHERE id ="
    " NEW.update_row_id;"
)
_SUMMARY: Final = """  UPDATE job_update SET status = NEW.status,
    created_ms = CASE WHEN status IS NULL THEN NEW.time_ms ELSE created_ms END,
    modified_ms = max(modified_ms, NEW.time_ms) WHERE id = NEW.update_row_id;"""

_SAME_CONFIG: Final = "OLD.job_id = NEW.job_id AND OLD.config_id = NEW.config_id"

# (name, table, event, condition, statements); where the order of statements matters they are in one
# trigger, because SQLite does not promise an order between triggers.
_DEFINITIONS: Final[tuple[tuple[str, str, str, str, tuple[str, ...]], ...]] = (
    ("task_insert", "task", "INSERT", "", (_count("NEW", 1), _use("NEW", "+"))),
    (
        "task_delete",
        "task",
        "DELETE",
        "",
        (
            "  DELETE FROM task_event WHERE task_row_id = OLD.id;",
            "  DELETE FROM task_port WHERE task_row_id = OLD.id;",
            _count("OLD", -1),
            _use("OLD", "-"),
            _collect_agent("OLD"),
            _collect_config("OLD"),
        ),
    ),
    (
        "task_status",
        "task",
        "UPDATE OF status",
        f"{_SAME_CONFIG} AND OLD.status <> NEW.status",
        (_count("NEW", 1), _count("OLD", -1)),
    ),
    (
        "task_activity",
        "task",
        "UPDATE OF status",
        f"{_SAME_CONFIG} AND ({_active('OLD')}) <> ({_active('NEW')})",
        (_use("NEW", "+"), _use("OLD", "-")),
    ),
    (
        "task_config_of_task",
        "task",
        "UPDATE OF job_id, config_id",
        f"NOT ({_SAME_CONFIG})",
        (
            _count("NEW", 1),
            _count("OLD", -1),
            _use("NEW", "+"),
            _use("OLD", "-"),
            _collect_config("OLD"),
        ),
    ),
    (
        "task_agent",
        "task",
        "UPDATE OF agent_row_id",
        "OLD.agent_row_id <> coalesce(NEW.agent_row_id, -1)",
        (_collect_agent("OLD"),),
    ),
    (
        "job_tally_insert",
        "job_tally",
        "INSERT",
        "NOT EXISTS (SELECT 1 FROM job_tally WHERE job_id = NEW.job_id AND status <> NEW.status)",
        (_role_jobs("jobs", "+ 1", "NEW"),),
    ),
    (
        "job_tally_delete",
        "job_tally",
        "DELETE",
        "NOT EXISTS (SELECT 1 FROM job_tally WHERE job_id = OLD.job_id)",
        (_role_jobs("jobs", "- 1", "OLD"),),
    ),
    ("cron_job_insert", "cron_job", "INSERT", "", (_role_jobs("cron_jobs", "+ 1", "NEW"),)),
    (
        "cron_job_delete",
        "cron_job",
        "DELETE",
        "",
        (_role_jobs("cron_jobs", "- 1", "OLD"), _collect_config("OLD")),
    ),
    (
        "cron_job_config",
        "cron_job",
        "UPDATE OF config_id",
        "OLD.config_id <> NEW.config_id",
        (_collect_config("OLD"),),
    ),
    ("task_config_delete", "task_config", "DELETE", "", (_collect_job("OLD"),)),
    ("job_lock_delete", "job_lock", "DELETE", "", (_collect_job("OLD"),)),
    (
        "job_delete",
        "job",
        "DELETE",
        "",
        (_collect("environment", "OLD.environment_id", ("job", "environment_id")),),
    ),
    (
        "environment_delete",
        "environment",
        "DELETE",
        "",
        (_collect("role", "OLD.role_id", ("environment", "role_id")),),
    ),
    (
        "job_update_delete",
        "job_update",
        "DELETE",
        "",
        (
            "  DELETE FROM job_update_event WHERE update_row_id = OLD.id;",
            "  DELETE FROM job_instance_update_event WHERE update_row_id = OLD.id;",
            "  DELETE FROM job_update_instructions WHERE update_row_id = OLD.id;",
            "  DELETE FROM job_update_config WHERE update_row_id = OLD.id;",
            _collect_job("OLD"),
        ),
    ),
    ("job_update_config_delete", "job_update_config", "DELETE", "", (_collect_config("OLD"),)),
    ("job_update_event_insert", "job_update_event", "INSERT", "", (_SUMMARY,)),
    ("job_instance_update_event_insert", "job_instance_update_event", "INSERT", "", (_MODIFIED,)),
)


def _create(name: str, table: str, when: str, condition: str, statements: tuple[str, ...]) -> str:
    only = f"\n  WHEN {condition}" if condition else ""
    body = "\n".join(statements)
    return f"CREATE TRIGGER {name} AFTER {when} ON {table}{only}\nBEGIN\n{body}\nEND"


TRIGGERS: Final[dict[str, str]] = {
    definition[0]: _create(*definition) for definition in _DEFINITIONS
}
"""Name -> the statement that makes it. They are made with their tables."""

for _name, _table, *_ in _DEFINITIONS:
    event.listen(metadata.tables[_table], "after_create", DDL(TRIGGERS[_name]))  # type: ignore[no-untyped-call]
