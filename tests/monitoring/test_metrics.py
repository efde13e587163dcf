"""What Prometheus gets is what the store does, and what the documentation says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import Worker
from monitored import Monitored, get, metric, metrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from aurora_store.migrations import Standing
from aurora_store.status import Latency, State

_DOC = Path(__file__).parents[2] / "docs" / "monitoring.md"
_OF_THE_SAMPLES = re.compile(r"_(bucket|sum|count)$")


def documented() -> dict[str, tuple[str, set[str]]]:
    """The table: name -> type and labels."""
    table = _DOC.read_text().partition("## Metrics")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$", table, re.MULTILINE)
    assert len(rows) == len({name for name, _, _ in rows})
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_table_in_the_documentation_is_what_a_scrape_gives(single: Worker) -> None:
    address = single.call("serve")
    single.call("snapshot")  # its age is told once there is one
    single.call("stand", name="red")
    single.call("tell_of_candidate")
    real: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(get(address, "/metrics").text):
        assert family.documentation
        for sample in family.samples:
            name = sample.name
            if family.type == "histogram":
                name = _OF_THE_SAMPLES.sub("", name)
            if not name.startswith("aurora_store_"):
                assert name.startswith("process_")
                continue
            kind, labels = real.setdefault(name, (family.type, set()))
            labels.update(sample.labels)
    assert real == documented()


def test_every_label_of_a_state_is_documented(single: Worker) -> None:
    address = single.call("serve")
    single.call("stand", name="red")
    single.call("tell_of_candidate")
    found = metrics(address)
    for name in ("aurora_store_state", "aurora_store_schema", "aurora_store_candidate_state"):
        row = next(line for line in _DOC.read_text().splitlines() if line.startswith(f"| `{name}`"))
        said = set(re.findall(r"`([^`]+)`", row.rpartition(":")[2]))
        assert said == {state for (state,) in found[name]}


def test_exactly_the_state_of_the_replica_is_one(single: Worker) -> None:
    address = single.call("serve")
    one_hot = metrics(address)["aurora_store_state"]
    assert one_hot == {(each.value,): float(each is State.LEADING) for each in State}
    single.call("step_down")
    assert metrics(address)["aurora_store_state"][("standby",)] == 1
    assert sum(metrics(address)["aurora_store_state"].values()) == 1


def test_the_standing_of_the_software_is_told_where_there_is_a_schema(
    single: Worker, monitored: Monitored
) -> None:
    one_hot = metrics(single.call("serve"))["aurora_store_schema"]
    assert one_hot == {(each.value,): float(each is Standing.CURRENT) for each in Standing}
    assert "aurora_store_schema" not in metrics(monitored.monitors[0])


def test_commits_are_counted_in_a_histogram_with_the_store_s_bounds(shared: Worker) -> None:
    address = shared.call("serve")
    before = metrics(address)
    shared.call("commit", count=7)
    after = metrics(address)
    name = "aurora_store_commit_latency_seconds"
    buckets = [count for _, count in after[f"{name}_bucket"].items()]
    assert buckets == sorted(buckets)
    assert [float(le) for (le,) in after[f"{name}_bucket"]] == [*Latency.BOUNDS_S, float("inf")]
    assert after[f"{name}_bucket"][("+Inf",)] == after[f"{name}_count"][()]
    assert after[f"{name}_count"][()] - before[f"{name}_count"][()] == 7
    assert after[f"{name}_sum"][()] > before[f"{name}_sum"][()]
    transactions = "aurora_store_transactions_total"
    assert after[transactions][()] - before[transactions][()] == 7
    bytes_appended = "aurora_store_log_appended_bytes_total"
    assert after[bytes_appended][()] > before[bytes_appended][()]


def test_the_database_s_size_is_told_in_pages_and_bytes(shared: Worker) -> None:
    address = shared.call("serve")
    shared.call("commit", count=1)
    pages = metric(address, "database_pages")
    assert pages > 0
    assert metric(address, "database_bytes") == 4096 * pages


def test_an_open_reader_grows_older_with_each_transaction(shared: Worker) -> None:
    address = shared.call("serve")
    shared.call("commit", count=1)
    assert metric(address, "oldest_reader_age_versions") == 0
    shared.call("begin_reading")
    shared.call("commit", count=5)
    assert metric(address, "readers") == 1
    # The first of the 5 creates a table that is there already: it changes nothing.
    assert metric(address, "oldest_reader_age_versions") == 4
    shared.call("end_reading")
    assert metric(address, "oldest_reader_age_versions") == 0


def test_a_standby_counts_what_it_reads_and_no_transactions(monitored: Monitored) -> None:
    monitored.lead(0)
    leader, standby = monitored.monitors[0], monitored.monitors[1]
    assert metric(standby, "database_version") == metric(leader, "database_version") == 3
    assert metric(standby, "transactions_total") == 0
    assert metric(leader, "transactions_total") == 3
    assert metric(standby, "log_applied_entries_total") >= 4
    assert metric(standby, "log_applied_bytes_total") > 0
    assert metric(standby, "epoch") == metric(leader, "epoch") == 1
    assert metric(standby, "commit_latency_seconds_count") == 0
    assert 0 <= metric(standby, "last_entry_age_seconds") < 30


def test_before_the_first_entry_its_age_is_missing(monitored: Monitored) -> None:
    found = metrics(monitored.monitors[0])
    assert "aurora_store_position" in found
    assert "aurora_store_last_entry_age_seconds" not in found


def test_the_candidate_s_metrics_come_with_a_candidate(single: Worker) -> None:
    address = single.call("serve")
    assert "aurora_store_candidate_state" not in metrics(address)
    single.call("step_down")
    single.call("stand", name="red")
    single.call("wait_leading")
    single.call("tell_of_candidate")
    found = metrics(address)
    assert found["aurora_store_candidate_state"][("leading",)] == 1
    assert sum(found["aurora_store_candidate_state"].values()) == 1
    assert found["aurora_store_candidate_reigns_total"][()] == 1
    assert found["aurora_store_candidate_fit"][()] == 1


def test_a_closed_store_is_still_told_of(single: Worker) -> None:
    address = single.call("serve")
    single.call("close")
    assert metrics(address)["aurora_store_state"][("closed",)] == 1


def test_other_collectors_can_be_added(shared: Worker) -> None:
    address = shared.call("serve")
    shared.call("register")
    assert metric(address, "snapshots") == 7


def test_openmetrics_is_served_to_those_who_ask_for_it(shared: Worker) -> None:
    address = shared.call("serve")
    answer = get(address, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    names = {family.name for family in parse_openmetrics(answer.text)}
    assert "aurora_store_append_latency_seconds" in names


def test_promtool_has_nothing_to_complain_of(single: Worker) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    single.call("stand", name="red")
    address = single.call("serve")
    single.call("tell_of_candidate")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=get(address, "/metrics").text,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
