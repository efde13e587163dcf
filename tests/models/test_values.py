"""Values say what is wrong with them, and have one canonical form."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples import JOB, S, config, docker_config, full_config, update

from aurora_store.errors import FormatTooNew
from aurora_store.models import (
    ACTIVE_STATES,
    ASSIGNED_STATES,
    TERMINAL_STATES,
    Attribute,
    Constraint,
    Container,
    HostAttributes,
    InstanceTaskConfig,
    JobConfiguration,
    JobInstanceUpdateEvent,
    JobKey,
    JobUpdateAction,
    JobUpdateEvent,
    JobUpdateInstructions,
    JobUpdateSettings,
    JobUpdateStatus,
    LimitConstraint,
    Metadata,
    Quota,
    Range,
    Resources,
    ScheduledTask,
    ScheduleStatus,
    SlaPolicy,
    TaskConfig,
    TaskEvent,
    UpdateStrategy,
    VariableBatchStrategy,
)
from aurora_store.models.values.canonical import Decoded, decode, digest, dump, encode

GOLDEN = Path(__file__).parents[1] / "golden" / "task-config-v1.json"


@pytest.mark.parametrize("make", [config, full_config, docker_config])
def test_a_configuration_is_read_as_it_was_written(make: Any) -> None:
    assert decode(TaskConfig, encode(make())) == make()


def test_update_settings_are_read_as_they_were_written() -> None:
    settings = JobUpdateSettings(
        only_these_instances=frozenset({Range(0, 3), Range(7, 7)}),
        sla_aware=False,
        strategy=UpdateStrategy(variable_batch=VariableBatchStrategy((1, 5), True)),
    )
    assert decode(JobUpdateSettings, encode(settings)) == settings


def test_the_canonical_form_never_changes() -> None:
    # Databases hold hashes of it. If this fails, the change makes every configuration a new one.
    body = encode(full_config())
    assert body == GOLDEN.read_text().rstrip("\n")
    assert digest(body).hex() == "b06045676df75306f3abcb3023727da8"


def test_the_canonical_form_is_the_same_in_every_process() -> None:
    # Sets are in another order where strings have other hashes.
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import samples;"
        "from aurora_store.models.values.canonical import encode;"
        "print(encode(samples.full_config()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parents[1])],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        ).stdout.decode()
        for seed in ("1", "2", "3")
    }
    assert found == {encode(full_config()) + "\n"}


def test_a_field_at_its_default_is_not_part_of_the_form() -> None:
    # So a release that adds a field still finds the rows of one that did not know it.
    assert "tier" not in encode(config())
    assert "tier" in encode(config(tier="preferred"))


def test_a_field_of_a_newer_release_is_refused_by_name() -> None:
    body = encode(config()).replace('"owner"', '"future":1,"owner"')
    with pytest.raises(FormatTooNew, match="TaskConfig has future, .*upgrade aurora-store"):
        decode(TaskConfig, body)
    with pytest.raises(FormatTooNew, match="Metadata has future"):
        decode(Metadata, '{"future":1,"key":"k","value":"v"}')


def test_an_unknown_number_of_an_enumeration_is_refused_by_name() -> None:
    body = encode(full_config()).replace('"mode":2', '"mode":9')
    with pytest.raises(FormatTooNew, match="VolumeMode has the number 9"):
        decode(TaskConfig, body)


EVENTS = [
    TaskEvent(1, ScheduleStatus.PENDING, None, "scheduler"),
    TaskEvent(2, ScheduleStatus.RUNNING, "it runs"),
    JobUpdateEvent(JobUpdateStatus.ROLLING_FORWARD, 1, "alice", "go"),
    JobUpdateEvent(JobUpdateStatus.ABORTED, 2),
    JobInstanceUpdateEvent(0, 1, JobUpdateAction.INSTANCE_UPDATING),
    JobInstanceUpdateEvent(1, 2, JobUpdateAction.INSTANCE_UPDATED, "done"),
]


def as_rows(events: list[Any]) -> str:
    # As SQL gathers them: a list for each field.
    return dump([list(column) for column in zip(*map(dataclasses.astuple, events), strict=True)])


@pytest.mark.parametrize("kind", [TaskEvent, JobUpdateEvent, JobInstanceUpdateEvent])
def test_events_of_rows_are_those_that_were_saved(kind: Any) -> None:
    events = [event for event in EVENTS if type(event) is kind]
    found = Decoded(kind, as_rows(events))
    assert found == tuple(events)
    assert hash(found) == hash(tuple(events))
    # A number equals its member, so equality would not tell: names do.
    assert repr(found) == repr(tuple(events))


def test_there_may_be_no_events() -> None:
    assert Decoded(TaskEvent, "[[],[],[],[]]") == ()


def test_events_of_a_newer_release_are_refused_as_often_as_they_are_looked_at() -> None:
    found = Decoded(TaskEvent, as_rows(EVENTS[:2]).replace("[0,2]", "[0,99]"))
    for _ in range(2):
        with pytest.raises(FormatTooNew, match="ScheduleStatus has the number 99"):
            len(found)


def test_events_whose_fields_are_not_all_there_are_no_events() -> None:
    # A statement that forgets a column must not give values that lack a field.
    with pytest.raises(ValueError, match="shorter"):
        len(Decoded(TaskEvent, "[[1],[0],[null]]"))


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "a\n", "*"])
def test_a_key_takes_identifiers_only(name: str) -> None:
    for field in ("role", "environment", "name"):
        with pytest.raises(ValueError, match=f"JobKey.{field} is one or more letters"):
            replace(JOB, **{field: name})


def test_keys_print_one_way_and_parse_back() -> None:
    assert JobKey.parse(str(JOB)) == JOB
    with pytest.raises(ValueError, match="ROLE/ENVIRONMENT/NAME, not 'a/b'"):
        JobKey.parse("a/b")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Constraint("host"), "exactly one of value, limit, not none"),
        (lambda: Container(), "exactly one of mesos, docker, not none"),
        (lambda: SlaPolicy(), "exactly one of percentage, count, coordinator, not none"),
        (lambda: UpdateStrategy(), "exactly one of queue, batch, variable_batch"),
        (lambda: Resources(0, 1, 1), "Resources.cpus is a finite number above 0"),
        (lambda: Resources(float("nan"), 1, 1), "Resources.cpus is a finite number"),
        (lambda: Resources(1, -1, 1), "Resources.ram_mb is an integer of at least 0, not -1"),
        (lambda: Resources(1, True, 1), "Resources.ram_mb is an integer"),
        (lambda: Quota(-1.0, 1, 1), "Quota.cpus"),
        (lambda: Range(3, 2), "Range.last is an integer of at least 3, not 2"),
        (lambda: config(owner=""), "TaskConfig.owner is a text that is not empty"),
        (lambda: config(max_task_failures=-2), "max_task_failures is an integer of at least -1"),
        (lambda: config(task_links={"a": 1}), "TaskConfig.task_links maps texts to texts"),
        (
            lambda: config(constraints={Constraint("a", limit=LimitConstraint(n)) for n in (1, 2)}),
            "TaskConfig.constraints has 'a' twice",
        ),
        (lambda: Attribute("rack", frozenset()), "the attribute rack has no value"),
        (lambda: HostAttributes("", "h"), "HostAttributes.agent_id is a text"),
        (lambda: ScheduledTask("", config(), 0), "ScheduledTask.id is a text"),
        (lambda: ScheduledTask("t", config(), -1), "ScheduledTask.instance is an integer"),
        (
            lambda: JobConfiguration(JobKey("a", "b", "c"), "alice", config(), 1),
            "is of the job www-data/prod/hello, not of a/b/c",
        ),
        (lambda: JobUpdateInstructions(), "neither an initial nor a desired state"),
        (lambda: InstanceTaskConfig(config(), frozenset()), "has no instances"),
        (
            lambda: update("u", instructions=update("u", JobKey("a", "b", "c")).instructions),
            "other",
        ),
        (lambda: VariableBatchStrategy(()), "group_sizes is empty"),
        (
            lambda: JobUpdateEvent(ScheduleStatus.RUNNING, 0),  # type: ignore[arg-type]
            "JobUpdateEvent.status is a JobUpdateStatus, not <ScheduleStatus.RUNNING: 2>",
        ),
        (
            lambda: TaskEvent(0, JobUpdateStatus.ABORTED),  # type: ignore[arg-type]
            "TaskEvent.status is a ScheduleStatus, not <JobUpdateStatus.ABORTED: 6>",
        ),
        (
            lambda: JobInstanceUpdateEvent(0, 0, "UPDATED"),  # type: ignore[arg-type]
            "JobInstanceUpdateEvent.action is a JobUpdateAction, not 'UPDATED'",
        ),
        (
            lambda: HostAttributes("a", "h", S.RUNNING),  # type: ignore[arg-type]
            "HostAttributes.mode is a MaintenanceMode",
        ),
        (
            lambda: JobConfiguration(JOB, "alice", config(), 1, None, 7),  # type: ignore[arg-type]
            "JobConfiguration.cron_collision_policy is a CronCollisionPolicy, not 7",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_ranges_are_as_few_as_can_be() -> None:
    assert Range.of([5, 1, 2, 3, 7, 2]) == {Range(1, 3), Range(5, 5), Range(7, 7)}
    assert 2 in Range(1, 3)
    assert 4 not in Range(1, 3)


def test_every_status_is_of_one_kind() -> None:
    assert ACTIVE_STATES | TERMINAL_STATES | {ScheduleStatus.INIT} == set(ScheduleStatus)
    assert not ACTIVE_STATES & TERMINAL_STATES
    assert {ScheduleStatus.PENDING, ScheduleStatus.THROTTLED} == ACTIVE_STATES - ASSIGNED_STATES
