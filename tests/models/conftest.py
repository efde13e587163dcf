"""Stores with the model's tables: on libmesos, and in memory where a test needs many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from aurora_store import Store
from aurora_store.libmesos import fetch
from aurora_store.models import Stores, create_schema


@pytest.fixture(scope="session")
def libmesos_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One replica of a real log, leading, for all tests: each rolls back what it did."""
    directory = tmp_path_factory.mktemp("models") / "log"
    with Store.open(directory, libmesos=fetch()) as store:
        store.wait_caught_up()
        store.lead()
        with store.begin() as connection:
            create_schema(connection)
        yield store


@pytest.fixture
def stores(libmesos_store: Store) -> Iterator[Stores]:
    """Stores of a transaction that is taken back when the test ends."""
    with libmesos_store.engine.connect() as connection:
        yield Stores(connection)
        connection.rollback()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test began."""
    with ExitStack() as made:
        yield made
