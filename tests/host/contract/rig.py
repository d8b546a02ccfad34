"""What the suite asks of a driver; see the package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from typing_extensions import override

from diembft.consensus.config import Config
from diembft.consensus.events import Event, Requests
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.crypto.symbolic import client_signer
from diembft.host.outlet import InOrder, Outlet
from diembft.machine.effects import Persist
from diembft.messages.digests import Digests
from diembft.messages.types import Message, Request

N = 4


class Rig(ABC):
    """One driver with four validators, and perhaps a second copy of one."""

    timers: ClassVar[bool] = True
    reads: ClassVar[bool] = True
    outlet: ClassVar[bool] = True
    requests: ClassVar[bool] = True
    delay_s: ClassVar[float] = 0.01
    tick_s: ClassVar[float] = 0.01
    client: ClassVar[str] = "alice"

    identities: tuple[int, ...] = tuple(range(N))
    config: Config

    def __init__(self, kind: type[Replica]) -> None:
        self.kind = kind
        self.sent: list[tuple[int, Message, Recovered | None]] = []

    @abstractmethod
    def start(self, node: int) -> None: ...

    @abstractmethod
    def crash(self, node: int) -> None: ...

    @abstractmethod
    def hand(self, node: int, event: Event) -> None: ...

    @abstractmethod
    def run(self, seconds: float) -> None: ...

    @abstractmethod
    def machine(self, node: int) -> Any: ...

    @abstractmethod
    def durable(self, node: int) -> Recovered | None: ...

    def put_in_front(self, make: Callable[[Outlet], Outlet]) -> None:
        raise NotImplementedError

    # --- for rigs and tests

    def leaves(self, node: int, message: Message) -> None:
        """A message leaves a node."""
        self.sent.append((node, message, self.durable(node)))

    def start_all(self) -> None:
        for node in range(len(self.identities)):
            self.start(node)

    def request(self, number: int, operation: bytes = b"op") -> None:
        """A client's request reaches all that run."""
        digest = Digests(self.config.chain_id, self.config.epoch).request(self.client, number, operation)
        event = Requests((Request(self.client, number, operation, client_signer(self.client).sign(digest)),))
        for node in range(len(self.identities)):
            if self.machine(node) is not None:
                self.hand(node, event)


class SlowDisk:
    """Writes that take until the test says that they are done: the oldest of a node first."""

    def __init__(self) -> None:
        self.under_way: deque[tuple[int, Persist, Callable[[], None]]] = deque()
        self.outlets: dict[int, Outlet] = {}

    def in_front_of(self, outlet: Outlet) -> Outlet:
        return _Slow(outlet, self)

    def complete(self, node: int) -> Persist:
        """The oldest write of a node reaches the disk."""
        entry = next(entry for entry in self.under_way if entry[0] == node)
        self.under_way.remove(entry)
        _, effect, done = entry
        self.outlets[node].persist(node, effect)
        done()
        return effect

    def complete_all(self) -> None:
        """Writes that are under way now, and not those that begin then."""
        for node in [node for node, _, _ in self.under_way]:
            self.complete(node)

    def lose(self, node: int) -> list[Callable[[], None]]:
        """The power went: what was under way never reaches the disk. Who would have been told."""
        lost = [done for of, _, done in self.under_way if of == node]
        self.under_way = deque([entry for entry in self.under_way if entry[0] != node])
        return lost


class _Slow(InOrder):
    def __init__(self, outlet: Outlet, disk: SlowDisk) -> None:
        self.lost: list[Callable[[], None]] = []
        self._disk = disk
        self._own = outlet
        super().__init__(outlet, self._begin_write)

    def _begin_write(self, node: int, effect: Persist, done: Callable[[], None]) -> None:
        self._disk.outlets[node] = self._own
        self._disk.under_way.append((node, effect, done))

    @override
    def crashed(self, node: int) -> None:
        late = self._disk.lose(node)
        super().crashed(node)
        for done in late:  # a disk that says so too late is not heard
            done()
