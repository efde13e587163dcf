"""Three replicas that elect their leader by the heartbeats in the log, without ZooKeeper."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from electorate import NAMES, Electorate, spawn_store
from harness import WorkerError
from stores import check_pairs, wait_acknowledged

HEARTBEAT_S = 0.5


@pytest.fixture
def electorate(workers: ExitStack, tmp_path: Path) -> Electorate:
    """Three replicas with static peers; none stands yet."""
    return Electorate(workers, tmp_path, heartbeat=HEARTBEAT_S)


def test_after_kill_9_another_one_leads_within_four_heartbeats(electorate: Electorate) -> None:
    electorate.stand(0)
    electorate.replicas[0].call("wait_leading")
    electorate.write()
    for number in (1, 2):
        electorate.stand(number)
    electorate.replicas[0].call("script", statements=["INSERT INTO pair VALUES (-1, 0), (-1, 1)"])
    killed = 0
    for _ in range(2):
        killed_at = time.monotonic()
        electorate.replicas[killed].kill()
        others = [number for number in range(3) if number != killed]
        heir = electorate.wait_leader(*others)
        taken_s = electorate.first_commit_after(heir, killed_at) - killed_at
        # 20 appends take 40 ms; the limit is generous to a busy machine.
        assert taken_s < 4 * HEARTBEAT_S + 1.0
        electorate.restart(killed).call("catch_up")
        electorate.write_when_leading(killed)
        electorate.stand(killed)
        wait_acknowledged(electorate.acknowledged, electorate.count_acknowledged() + 50)
        killed = heir
    electorate.stop_writing()
    check_pairs(electorate.replicas[killed], electorate.acknowledged)


def test_all_that_start_at_the_same_time_settle_on_one(electorate: Electorate) -> None:
    for number in range(3):
        electorate.stand(number)
    leader = electorate.wait_leader(0, 1, 2)
    epoch = electorate.replicas[leader].call("status")["epoch"]
    time.sleep(8 * HEARTBEAT_S)
    states = [electorate.replicas[n].call("candidate_status")["state"] for n in range(3)]
    assert sorted(states) == ["leading", "standby", "standby"]
    # Two may have tried at once in the beginning; nobody does once one leads.
    final = electorate.wait_leader(0, 1, 2)
    assert electorate.replicas[final].call("status")["epoch"] <= epoch + 2


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_a_live_leader_is_not_disturbed_even_by_a_standby_that_was_stopped(
    electorate: Electorate, busy: bool
) -> None:
    electorate.stand(0)
    electorate.replicas[0].call("wait_leading")
    if busy:
        electorate.write()
        electorate.replicas[0].call("start_writing_now")
    for number in (1, 2):
        electorate.stand(number)
    for _ in range(2):
        electorate.replicas[1].stop()
        time.sleep(5 * HEARTBEAT_S)
        electorate.replicas[1].resume()
        time.sleep(HEARTBEAT_S)
    assert electorate.replicas[0].call("candidate_status")["state"] == "leading"
    assert electorate.replicas[2].call("status")["epoch"] == 1
    if busy:
        wrong = electorate.replicas[0].call("stop_writing")
        assert (wrong["refused"], wrong["unknown"]) == ({}, [])


def test_a_standby_says_where_the_leader_is(electorate: Electorate) -> None:
    electorate.stand(0, address="red:8080")
    electorate.replicas[0].call("wait_leading")
    electorate.stand(1)
    seen = electorate.wait_advertised(1, epoch=1)
    assert (seen["name"], seen["address"]) == ("red:8080", "red:8080")
    electorate.replicas[0].kill()
    electorate.replicas[2].kill()
    # Without a quorum nobody can lead, and no dead leader is shown for long.
    deadline = time.monotonic() + 10 * HEARTBEAT_S
    while electorate.replicas[1].call("leader") is not None:
        assert time.monotonic() < deadline, "a leader is shown that was silent for long"
        time.sleep(0.05)


def test_a_stopped_leader_is_replaced_fenced_and_a_candidate_again(electorate: Electorate) -> None:
    electorate.stand_all()
    electorate.replicas[0].stop()
    heir = electorate.wait_leader(1, 2)
    electorate.replicas[0].resume()
    status = electorate.wait_state(0, "standby", reason="did not acknowledge")
    assert status["reigns"] == 1
    electorate.replicas[heir].kill()
    electorate.wait_leader(*(number for number in range(3) if number != heir))


def test_a_hand_over_goes_to_whoever_is_first_and_cannot_choose(electorate: Electorate) -> None:
    electorate.stand_all()
    with pytest.raises(WorkerError, match=r"NoSuchCandidate.*cannot choose green"):
        electorate.replicas[0].call("transfer", to="green")
    done = electorate.replicas[0].call("transfer", limit=60.0)
    heir = electorate.wait_leader(1, 2)
    assert done["to"] == f"{NAMES[heir]}:8080"
    assert 0 < done["gap_s"] < 4 * HEARTBEAT_S + 1.0


def test_a_store_that_does_not_fit_the_election_is_refused(
    workers: ExitStack, tmp_path: Path
) -> None:
    silent = spawn_store(workers, directory=str(tmp_path / "silent"), heartbeat=0.0)
    with pytest.raises(WorkerError, match=r"ValueError.*heartbeats"):
        silent.call("stand", name="red")
    elsewhere = spawn_store(workers, directory=str(tmp_path / "elsewhere"), host="red:1")
    with pytest.raises(WorkerError, match=r"ValueError.*host='red:2'.*'red:1'"):
        elsewhere.call("stand", name="red", address="red:2")
