"""Which of the replicas leads: election, taking over, and handing over.

    election = ZooKeeperElection(
        "zk://h1:2181,h2:2181,h3:2181/scheduler/election",
        member=Member("host-1", "10.0.0.1:8080"),
    )
    candidate = Candidate(store, election, on_leading=begin_work, on_standby=end_work)
    candidate.start()

An election decides who tries; the log's promise alone makes sure that only one can commit. See
``docs/election.md``.
"""

from aurora_store.election.candidate import Candidate, CandidateState, CandidateStatus
from aurora_store.election.election import Election, Handover, Request
from aurora_store.election.heartbeat import HeartbeatElection
from aurora_store.election.member import Leader, Member
from aurora_store.election.remote import hand_over, look_up
from aurora_store.election.zookeeper import ZooKeeperElection

__all__ = [
    "Candidate",
    "CandidateState",
    "CandidateStatus",
    "Election",
    "Handover",
    "HeartbeatElection",
    "Leader",
    "Member",
    "Request",
    "ZooKeeperElection",
    "hand_over",
    "look_up",
]
