"""A test double of an election: the test says who is elected."""

from __future__ import annotations

import threading
from collections.abc import Callable

from aurora_store.election import Election, Handover, Leader, Member, Request
from aurora_store.errors import StoreError


class Appointed(Election):
    """Elected as long as `elected` is set; never told that another one is."""

    def __init__(self, name: str) -> None:
        self.member = Member(name)
        self.elected = threading.Event()

    @property
    def look_every(self) -> float:
        return 0.01

    def start(self, notify: Callable[[], None]) -> None: ...

    def close(self) -> None: ...

    def leader(self) -> Leader | None:
        return None

    def candidates(self) -> list[Member]:
        return [self.member]

    def seek(self, position: int) -> bool:
        return self.elected.is_set()

    def give_up(self) -> None: ...

    def advertise(self, epoch: int) -> None: ...

    def holds(self) -> bool:
        return True

    def requested(self) -> Request | None:
        return None

    def prepare(self, request: Request, position: int) -> None: ...

    def ready(self, request: Request) -> str | None:
        return None

    def succeeded(self, timeout: float) -> tuple[str, float]:
        raise NotImplementedError

    def report(self, request: Request, outcome: Handover | StoreError) -> None: ...
