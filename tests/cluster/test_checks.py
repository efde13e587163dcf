"""The checks after a scenario can fail: each finds what it is there for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vagrant.namespaces.checks import (
    CheckFailed,
    wait_until,
    wrong_with_framework,
    wrong_with_ledgers,
    wrong_with_replicas,
)
from vagrant.namespaces.probe import Content, Report

GOOD = Report(
    state="standby",
    reason="",
    framework="standby",
    framework_id="F",
    version=7,
    checksum=1,
    recomputed=1,
    clock=0.0,
)
LEADER = replace(GOOD, state="leading", framework="active")
CONTENT = Content([(1, "a:1"), (1, "a:2"), (2, "b:1")], {"instance-0-0": "TASK_RUNNING"})
TASK = {"id": "instance-0-0", "name": "instance-0", "state": "TASK_RUNNING"}


def reports(**changes: Any) -> dict[str, Report]:
    """Of a good cluster, but for the third machine."""
    return {"one": LEADER, "two": GOOD, "three": replace(GOOD, **changes)}


def contents(**changes: Any) -> dict[str, Content]:
    return {"one": CONTENT, "two": CONTENT, "three": replace(CONTENT, **changes)}


def mesos(*tasks: dict[str, str], ids: tuple[str, ...] = ("F",)) -> dict[str, Any]:
    return {"frameworks": [{"id": each} for each in ids], "tasks": list(tasks)}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, []),
        ({"recomputed": 2}, ["three's pages do not match its checksum"]),
        ({"checksum": 2, "recomputed": 2}, ["the checksums of equal versions differ"]),
        ({"version": 8}, ["the replicas are at different versions"]),
        ({"state": "leading"}, ["one was to lead, and one, three does"]),
    ],
)
def test_replicas(changes: dict[str, Any], complaint: list[str]) -> None:
    assert wrong_with_replicas(reports(**changes)) == complaint


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        (CONTENT.entries, []),
        (CONTENT.entries[:-1], ["three lacks 1 acknowledged entries, b:1 for one"]),
        (
            [*CONTENT.entries, (1, "a:3")],
            ["three has entries of an old reign after those of a newer one"],
        ),
    ],
)
def test_ledgers(entries: list[tuple[int, str]], complaint: list[str]) -> None:
    assert wrong_with_ledgers({"a:1", "b:1"}, contents(entries=entries)) == complaint


@pytest.mark.parametrize(
    ("state", "changes", "complaint"),
    [
        (mesos(TASK), {}, []),
        (mesos(TASK, ids=("F", "G")), {}, ["Mesos has the frameworks"]),
        (mesos(TASK, ids=("G",)), {}, ["Mesos has the frameworks"]),
        (mesos(TASK, TASK), {}, ["twice", "each once", "2 tasks were launched"]),
        (mesos(TASK | {"state": "TASK_LOST"}), {}, ["each once"]),
        (mesos(), {}, ["each once", "0 tasks were launched", "one has", "two has", "three has"]),
        (
            mesos(TASK, TASK | {"id": "instance-0-1", "state": "TASK_FINISHED"}),
            {},
            ["2 tasks were launched", "one has", "two has", "three has"],
        ),
        (mesos(TASK), {"tasks": {}}, ["three has other tasks than Mesos"]),
        (mesos(TASK), {"tasks": {"instance-0-0": "TASK_LOST"}}, ["three has tasks as ended"]),
    ],
)
def test_framework(state: Any, changes: dict[str, Any], complaint: list[str]) -> None:
    found = wrong_with_framework(1, state, reports(), contents(**changes))
    assert len(found) == len(complaint)
    assert all(part in whole for part, whole in zip(complaint, found, strict=True))


def test_replica_with_another_framework_id_is_found() -> None:
    found = wrong_with_framework(1, mesos(TASK), reports(framework_id="G"), contents())
    assert found == ["Mesos has the frameworks ['F'], the replicas ['F', 'G']"]


def test_waiting_has_a_limit_and_says_for_what() -> None:
    with pytest.raises(CheckFailed, match=r"the moon falls: not within 0\.01 s"):
        wait_until("the moon falls", lambda: None, limit=0.01)
