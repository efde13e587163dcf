"""Which events share a transaction, and which offers are void before anybody sees them."""

from __future__ import annotations

from typing import Any

from aurora_store.framework.callbacks import Event, batches


def offer(name: str) -> Event:
    return Event("resourceOffers", ({"id": {"value": name}},))


def rescinded(name: str) -> Event:
    return Event("offerRescinded", ({"value": name},))


def update(number: int) -> Event:
    return Event("statusUpdates", ({"number": number},))


REGISTERED = Event("registered", ())
REREGISTERED = Event("reregistered", ())
DISCONNECTED = Event("disconnected", ())


def test_nothing_makes_no_batch() -> None:
    assert batches([]) == []


def test_all_that_gathered_is_one_batch_in_its_order() -> None:
    events: list[Any] = [update(1), offer("a"), update(2)]
    assert batches(events) == [events]


def test_registration_begins_a_batch() -> None:
    events = [update(1), DISCONNECTED, REREGISTERED, update(2), REGISTERED]
    assert batches(events) == [[update(1), DISCONNECTED], [REREGISTERED, update(2)], [REGISTERED]]


def test_offer_that_was_rescinded_meanwhile_is_left_out() -> None:
    events = [offer("a"), offer("b"), rescinded("a"), offer("c")]
    assert batches(events) == [[offer("b"), rescinded("a"), offer("c")]]


def test_offers_before_a_disconnection_are_left_out() -> None:
    events = [offer("a"), update(1), DISCONNECTED, REREGISTERED, offer("b")]
    assert batches(events) == [[update(1), DISCONNECTED], [REREGISTERED, offer("b")]]
