"""What the cluster bears, and what holds afterwards: see `vagrant.namespaces.checks`."""

from __future__ import annotations

import os

import pytest

from vagrant.namespaces.cluster import Cluster
from vagrant.namespaces.scenarios import SCENARIOS, run_scenario

ALWAYS = ("leader-killed", "leader-cut", "all-killed")


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_or_done_twice(cluster: Cluster, name: str) -> None:
    if name not in ALWAYS and "ALL_SCENARIOS" not in os.environ:
        pytest.skip("takes long: `make cluster` runs it, and ALL_SCENARIOS=1 here")
    outcome = run_scenario(name, cluster, print)
    assert outcome.verdict.acknowledged > 0
    assert outcome.verdict.launched == cluster.settings.instances
