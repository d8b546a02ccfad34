"""What replicas and clients in DistAlgo processes share: a clock, a mailbox, an agenda, timers, an outbox, records.

A process (`run.da`) is a loop: it puts what arrives into the mailbox, calls `work`, sends what `take` gives, and waits
until there is mail or `wait_s` seconds have passed. All that is decided is decided here, in ordinary Python.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from diembft.messages.codec import Frame, Malformed, decode, encode
from diembft.trace.records import Record

MAX_WAIT_S: Final = 1.0
"""A process looks around at least this often, whatever it waits for."""

T = TypeVar("T")
"""What names a timer."""


RequireFit: TypeAlias = Callable[[bytes, str], bytes]
"""Returns bytes that a message can carry; raises InputError, naming what they are, for others."""


class Outgoing(NamedTuple):
    """A message that leaves now: for which endpoint, its number in the trace, its bytes."""

    to: int
    number: int
    data: bytes


class Wires(NamedTuple):
    """How endpoints of one run are wired.

    Endpoints are numbered: the replicas first, then the processes of clients. `clock` gives seconds, the same to all
    processes of a machine, and `began_s` is when the run began.
    """

    endpoints: int
    began_s: float
    require_fit: RequireFit
    clock: Callable[[], float] = time.monotonic


class Endpoint(ABC, Generic[T]):
    """One process. Its timers are named by values of `T`; at most one of each name runs."""

    def __init__(self, index: int, wires: Wires) -> None:
        self.index = index
        self.records: list[Record] = []
        self._wires = wires
        self._numbers = count(wires.endpoints + index, wires.endpoints)
        self._order = count()
        self._mail: deque[tuple[int, int, bytes]] = deque()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._timers: dict[T, tuple[float, int]] = {}
        self._outbox: list[Outgoing] = []

    @property
    def now_s(self) -> float:
        """Seconds since the run began."""
        return self._wires.clock() - self._wires.began_s

    # --- what the process calls

    def arrived(self, sender: int, number: int, data: bytes) -> None:
        """A message came from another endpoint."""
        self._mail.append((sender, number, data))

    @property
    def has_mail(self) -> bool:
        """Whether `work` has something to do at once."""
        return bool(self._mail)

    @property
    def wait_s(self) -> float:
        """After how many seconds there is something to do even if nothing arrives."""
        due = [due_s for due_s, _ in self._timers.values()]
        if self._agenda:
            due.append(self._agenda[0][0])
        return min(MAX_WAIT_S, max(0.0, min(due) - self.now_s)) if due else MAX_WAIT_S

    def work(self) -> None:
        """Do all that is to be done now: what has arrived before what fires, as in virtual time."""
        while True:
            if self._mail:
                sender, number, data = self._mail.popleft()
                frame = decode(data)
                assert not isinstance(frame, Malformed), "because it was encoded here, in another process"
                self._received(sender, number, frame)
            elif self._agenda and self._agenda[0][0] <= self.now_s:
                heappop(self._agenda)[2]()
            elif (timer := self._due_timer()) is not None:
                _, detail = self._timers.pop(timer)
                self._fired(timer, detail)
            else:
                return

    def take(self) -> list[Outgoing]:
        """What is to be sent now, in this order."""
        outgoing, self._outbox = self._outbox, []
        return outgoing

    # --- for subclasses

    @abstractmethod
    def _received(self, sender: int, number: int, frame: Frame) -> None:
        """Handle a message."""

    @abstractmethod
    def _fired(self, timer: T, detail: int) -> None:
        """Handle a timer that ran out; `detail` is what it was started with."""

    def _next_number(self) -> int:
        """A number for a message that no other endpoint uses."""
        return next(self._numbers)

    def _encoded(self, frame: Frame, what: str) -> bytes:
        return self._wires.require_fit(encode(frame), what)

    def _post(self, to: int, number: int, data: bytes) -> None:
        self._outbox.append(Outgoing(to, number, data))

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        heappush(self._agenda, (self.now_s + delay_s, next(self._order), action))

    def _start_timer(self, timer: T, delay_s: float, detail: int) -> None:
        """Start a timer anew; one of its name that runs is replaced."""
        self._timers[timer] = (self.now_s + delay_s, detail)

    def _cancel_timer(self, timer: T) -> None:
        self._timers.pop(timer, None)

    def _due_timer(self) -> T | None:
        """Of the timers that have run out, the one that did so first."""
        if not self._timers:
            return None
        first = min(self._timers, key=lambda timer: self._timers[timer][0])
        return first if self._timers[first][0] <= self.now_s else None
