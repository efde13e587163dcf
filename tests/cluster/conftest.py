"""One cluster of three machines for all tests of this folder: it takes half a minute to come up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vagrant.namespaces.cluster import Cluster, why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three machines that are network namespaces. Skips where there can be none."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no cluster on this computer: {reason}")
    directory: Path = tmp_path_factory.mktemp("cluster")
    with Cluster(directory) as running:
        running.up()
        yield running
