"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from aurora_store.libmesos import fetch


@pytest.fixture(scope="session")
def libmesos_path() -> Path:
    """The real library, fetched once into the user's cache."""
    return fetch()


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Runs commands in this process, with nothing in the environment that changes them."""
    for variable in (
        "AURORA_STORE_DEBUG",
        "AURORA_STORE_LIBMESOS",
        "MESOS_NATIVE_LIBRARY",
        "MESOS_NATIVE_JAVA_LIBRARY",
    ):
        monkeypatch.delenv(variable, raising=False)
    return CliRunner()
