"""What monitoring says of a replica whose software does not fit the database."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from release_stores import Releases, add, caught_up
from revision_files import BROKEN, FIRST, RACKS, ZONES

from aurora_store import Store
from aurora_store.errors import MigrationFailed
from aurora_store.monitoring import StoreCollector
from aurora_store.monitoring.history import History
from aurora_store.monitoring.report import health, status_document


def schema_of(store: Store) -> dict[str, Any]:
    found = status_document(store, None, History(store.status()))["schema"]
    assert isinstance(found, dict)
    return found


def health_of(store: Store) -> tuple[HTTPStatus, dict[str, Any]]:
    return health(store, None, History(store.status()))


def standings(store: Store) -> set[str]:
    """Of the metric: those that are 1."""
    (family,) = (each for each in StoreCollector(store).collect() if "schema" in each.name)
    return {sample.labels["standing"] for sample in family.samples if sample.value}


def test_the_status_tells_the_standing_and_what_both_softwares_know(releases: Releases) -> None:
    new = releases.open(FIRST, ZONES, RACKS)
    new.lead()
    assert schema_of(new) == {
        "standing": "current",
        "reason": "",
        "failed": False,
        "software": "farm_0003",
        "leader": "farm_0003",
    }
    old = caught_up(releases.open(FIRST), new)
    told = schema_of(old)
    assert (told["standing"], told["software"], told["leader"]) == (
        "too new",
        "farm_0001",
        "farm_0003",
    )
    assert "farm_0003" in told["reason"]
    assert standings(old) == {"too new"} and standings(new) == {"current"}


def test_a_leader_whose_software_does_not_fit_is_not_healthy(releases: Releases) -> None:
    old = releases.open(FIRST)
    old.lead()
    assert health_of(old)[0] is HTTPStatus.OK
    new = caught_up(releases.open(FIRST, ZONES), old)
    new._elect(10.0)  # leads, and has not migrated yet
    code, body = health_of(new)
    assert code is HTTPStatus.SERVICE_UNAVAILABLE
    assert body["status"] == "leading" and "lacks farm_0002" in body["reason"]
    new.lead()
    assert health_of(new)[0] is HTTPStatus.OK
    assert new.migrator is not None
    new.migrator.downgrade("farm_0001")  # and has not stepped down yet
    code, body = health_of(new)
    assert code is HTTPStatus.SERVICE_UNAVAILABLE and "undone by" in body["reason"]


def test_a_migration_that_failed_is_told_with_its_error(releases: Releases) -> None:
    old = releases.open(FIRST)
    old.lead()
    add(old, "not a number")
    new = caught_up(releases.open(FIRST, BROKEN), old)
    with pytest.raises(MigrationFailed):
        new.lead()
    told = schema_of(new)
    assert (told["standing"], told["failed"]) == ("behind", True)
    assert "CHECK constraint failed" in told["reason"]


def test_of_a_replica_that_cannot_be_read_the_standing_is_not_known(releases: Releases) -> None:
    store = releases.open(FIRST)
    store.lead()
    store.close()
    assert schema_of(store)["standing"] is None
    assert standings(store) == set()


def test_without_a_schema_there_is_nothing_to_tell(releases: Releases, ensemble: Any) -> None:
    store = ensemble.open("plain")
    store.lead()
    assert status_document(store, None, History(store.status()))["schema"] is None
    assert health_of(store)[0] is HTTPStatus.OK
    assert not [each for each in StoreCollector(store).collect() if "schema" in each.name]
