"""What a candidate asks of an election, however it is held.

An election decides who *tries* to lead, so that candidates do not depose each other. It is never
trusted for safety: whoever leads has the promise of a quorum of the log, and that alone fences
every older leader. Two candidates that both believe to be elected cost time, nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from aurora_store.election.member import Leader, Member
from aurora_store.errors import StoreError


@dataclass(frozen=True)
class Request:
    """Leadership is to be handed over.

    Attributes:
        to: the name of who leads next; ``None``: whichever standby is ready first.
        timeout: how long to wait for it to be ready, in seconds.
        id: tells one request from the next.
    """

    to: str | None
    timeout: float
    id: str


@dataclass(frozen=True)
class Handover:
    """Leadership was handed over.

    Attributes:
        to: the name of who leads now.
        gap_s: from the moment when the old leader took no more writers until it heard that the new
            one does, in seconds, by the old leader's clock.
    """

    to: str
    gap_s: float


class Election(ABC):
    """One candidate's part in an election.

    `start`, `close`, `leader` and `candidates` are for everybody; the rest is for the one thread of
    a `Candidate`, and none of it waits long unless it takes a `timeout`.
    """

    member: Member
    """Who this candidate is."""

    @property
    @abstractmethod
    def look_every(self) -> float:
        """After so many seconds without news a candidate should `seek` again."""

    @abstractmethod
    def start(self, notify: Callable[[], None]) -> None:
        """Takes part from now on. `notify` is called, by any thread, when there is news.

        Raises:
            ElectionUnavailable: it cannot be reached; nothing was started.
        """

    @abstractmethod
    def close(self) -> None:
        """Leaves. Idempotent."""

    @abstractmethod
    def leader(self) -> Leader | None:
        """Who leads, as last heard; ``None`` if nobody is known to."""

    @abstractmethod
    def candidates(self) -> list[Member]:
        """Who stands, as far as that can be known, sorted by name."""

    # ---- of a standby ----

    @abstractmethod
    def seek(self, position: int) -> bool:
        """Stands; true if elected. `position`: what the own replica has applied."""

    @abstractmethod
    def give_up(self) -> None:
        """Lets others try; the one that is `ready` first. No-op for one who is not elected."""

    # ---- of the leader ----

    @abstractmethod
    def advertise(self, epoch: int) -> None:
        """Tells everybody that the elected candidate leads now."""

    @abstractmethod
    def holds(self) -> bool:
        """False only if another candidate was elected meanwhile."""

    @abstractmethod
    def requested(self) -> Request | None:
        """A hand-over that another process asks for."""

    @abstractmethod
    def prepare(self, request: Request, position: int) -> None:
        """Asks for a standby that has applied `position`: see `ready`.

        Raises:
            NoSuchCandidate: nobody of that name stands.
            HandoverFailed: another hand-over is under way.
        """

    @abstractmethod
    def ready(self, request: Request) -> str | None:
        """The name of the standby that leads next, once it is ready."""

    @abstractmethod
    def succeeded(self, timeout: float) -> tuple[str, float]:
        """Waits until another one leads; returns its name, and when that was heard (monotonic).

        Raises:
            HandoverFailed: nobody did in time. Everybody may stand again.
        """

    @abstractmethod
    def report(self, request: Request, outcome: Handover | StoreError) -> None:
        """Tells who asked for the hand-over what became of it, and lets everybody stand again."""
