"""A complete driver of the core: four replicas in one thread, every message takes 10 ms, and one replica crashes."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Any

from msgspec import structs
from typing_extensions import override

from diembft.client.requests import session_of, signed_request
from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Equivocation,
    Persist,
    ReadBlocks,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.genesis import genesis
from diembft.consensus.replica import Replica
from diembft.host.keys import make_keys
from diembft.host.outlet import Outlet, carry_out
from diembft.host.storage import Storage
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from diembft.messages.digests import Digests
from diembft.messages.types import Reply

DELAY_S = 0.01
CONFIG = Config(n=4, delta_s=2 * DELAY_S)
DIGESTS = Digests(CONFIG.chain_id, CONFIG.epoch)
GENESIS = genesis(DIGESTS).block.id
KEYS = make_keys("symbolic", CONFIG.n, ["alice"], seed=0)  # "ed25519" signs and verifies for real
SESSION = session_of("alice")  # a client that runs for real draws a new one each time it starts
MACHINE = Sessions(AppendLog())


class Driver(Outlet):
    """Hands events to the replicas, one at a time, in the order of virtual time, and carries their effects out.

    `node` in the methods below is the replica whose effect it is.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.outlet: Outlet = self
        self.disks = [Storage() for _ in range(CONFIG.n)]  # survives a crash; a real one writes and syncs
        self.replicas: list[Replica | None] = [None] * CONFIG.n
        self.replies: list[tuple[int, Reply]] = []
        self._order = count()
        self._agenda: list[tuple[float, int, int, Event]] = []
        self._timers: dict[tuple[int, Timer], int] = {}
        """The running timers: the order of the entry in the agenda that is valid."""

    def start(self, me: int) -> None:
        """Start a replica, for the first time or after a crash."""
        recovered = self.disks[me].recover(CONFIG.kept_commits)
        self.replicas[me] = Replica(CONFIG, me, KEYS.replicas[me], KEYS.ring, MACHINE, recovered=recovered)
        self._handle(me, Started())

    def crash(self, me: int) -> None:
        """Everything that is not on the disk is gone, the running timers too."""
        self.replicas[me] = None
        self._timers = {key: order for key, order in self._timers.items() if key[0] != me}
        self.outlet.crashed(me)

    def submit(self, operation: bytes, number: int) -> None:
        """A client sends a request to all replicas."""
        request = signed_request(KEYS.clients["alice"], DIGESTS, "alice", SESSION, number, (operation,))
        for me in range(CONFIG.n):
            self._schedule(DELAY_S, me, Requests((request,)))

    def run(self, seconds: float) -> None:
        """Go on for so long."""
        until_s = self.now_s + seconds
        while self._agenda and self._agenda[0][0] <= until_s:
            self.now_s, order, me, event = heappop(self._agenda)
            if isinstance(event, TimerFired):
                if self._timers.get((me, event.timer)) != order:
                    continue  # replaced or cancelled: it must not fire
                del self._timers[me, event.timer]
            self._handle(me, event)
        self.now_s = until_s

    def _schedule(self, delay_s: float, me: int, event: Event) -> int:
        order = next(self._order)
        heappush(self._agenda, (self.now_s + delay_s, order, me, event))
        return order

    def _handle(self, me: int, event: Event) -> None:
        replica = self.replicas[me]
        if replica is not None:
            carry_out(self.outlet, me, replica.step(structs.replace(event, now_ms=int(self.now_s * 1000))))

    # --- what becomes of each kind of effect

    @override
    def persist(self, node: int, effect: Persist) -> None:
        self.disks[node].persist(effect)  # first of a step: durable before anything is sent

    @override
    def commit(self, node: int, effect: Commit) -> None:
        pass  # the place to tell an application; that the block is committed is on the disk already

    @override
    def send(self, node: int, effect: Send[Any]) -> None:
        if effect.to != node:  # what is sent to oneself has taken effect already
            self._schedule(DELAY_S, effect.to, Received(node, effect.message))

    @override
    def broadcast(self, node: int, effect: Broadcast[Any]) -> None:
        for to in range(CONFIG.n):
            if to != node:
                self._schedule(DELAY_S, to, Received(node, effect.message))

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        fired = TimerFired(effect.timer, effect.round)
        self._timers[node, effect.timer] = self._schedule(effect.delay_s, node, fired)

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        self._timers.pop((node, effect.timer), None)

    @override
    def reply(self, node: int, effect: SendReply) -> None:
        self.replies.append((node, effect.reply))

    @override
    def read_blocks(self, node: int, effect: ReadBlocks) -> None:  # committed blocks for a peer that is far behind
        blocks = self.disks[node].read(effect.after, effect.count, effect.max_bytes, GENESIS)
        self._schedule(0, node, BlocksRead(effect.peer, effect.round, blocks))

    @override
    def report(self, node: int, effect: Equivocation | Divergence) -> None:
        print("evidence:", effect)


def main() -> None:
    """Commit with four replicas, with three, and with the fourth back."""
    driver = Driver()
    for me in range(CONFIG.n):
        driver.start(me)
    driver.submit(b"first", number=0)
    driver.run(seconds=1)
    driver.crash(3)
    driver.submit(b"second", number=1)
    driver.run(seconds=1)
    driver.start(3)
    driver.submit(b"third", number=2)
    driver.run(seconds=1)
    for number in range(3):
        supporters = sorted(me for me, reply in driver.replies if reply.number == number)
        print(f"request {number}: a reply from {supporters}")
    for me, disk in enumerate(driver.disks):
        blocks = disk.read(GENESIS, disk.height, 1 << 20, GENESIS)
        requests = [request for block in blocks for request in block.payload]
        entries = [operation.decode() for request in requests for operation in request.operations]
        print(f"replica {me} committed {disk.height} blocks: {entries}")


if __name__ == "__main__":
    main()
