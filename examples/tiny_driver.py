"""A complete driver of the core: four replicas in one thread, every message takes 10 ms, and one replica crashes."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Any, assert_never

from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    ReadBlocks,
    Rejected,
    SafetyRecord,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.replica import Recovered, Replica
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from diembft.messages.digests import Digests
from diembft.messages.types import Block, Reply, Request

DELAY_S = 0.01
CONFIG = Config(n=4, delta_s=2 * DELAY_S)
DIGESTS = Digests(CONFIG.chain_id, CONFIG.epoch)
KEYS = SymbolicKeyRing(CONFIG.n)  # for a real service: diembft.crypto.ed25519
MACHINE = Sessions(AppendLog())


class Disk:
    """What survives a crash of one replica. A real one writes and syncs where this one assigns."""

    def __init__(self) -> None:
        self.record: SafetyRecord | None = None
        self.pending: dict[bytes, Block] = {}
        self.committed: list[Block] = []
        self.state_id = b""
        self.ledger: Any = None

    def persist(self, effect: Persist) -> None:
        """Write all of this, or nothing."""
        self.record = effect.record
        self.pending |= {block.id: block for block in effect.blocks}
        for block_id in effect.committed:
            self.committed.append(self.pending.pop(block_id))
        if effect.committed:  # a block that is not committed by now, and not above the last commit, never will be
            last_round = self.committed[-1].round
            self.pending = {id_: block for id_, block in self.pending.items() if block.round > last_round}

    def recover(self) -> Recovered | None:
        """What a replica begins from."""
        if self.record is None:
            return None
        recent = tuple(self.committed[-CONFIG.kept_commits :])
        pending = tuple(self.pending.values())
        return Recovered(self.record, recent, len(self.committed), self.state_id, self.ledger, pending)

    def read(self, request: ReadBlocks) -> tuple[Block, ...]:
        """Committed blocks for a peer that is far behind."""
        ids = [DIGESTS.genesis, *(block.id for block in self.committed)]
        if request.after not in ids:
            return ()
        start = ids.index(request.after)
        return tuple(self.committed[start : start + request.count])  # a real one minds max_bytes


class Driver:
    """Hands events to the replicas, one at a time, in the order of virtual time, and carries their effects out."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.disks = [Disk() for _ in range(CONFIG.n)]
        self.replicas: list[Replica | None] = [None] * CONFIG.n
        self.replies: list[tuple[int, Reply]] = []
        self._order = count()
        self._agenda: list[tuple[float, int, int, Event]] = []
        self._timers: dict[tuple[int, Timer], int] = {}
        """The running timers: the order of the entry in the agenda that is valid."""

    def start(self, me: int) -> None:
        """Start a replica, for the first time or after a crash."""
        self.replicas[me] = Replica(CONFIG, me, replica_signer(me), KEYS, MACHINE, recovered=self.disks[me].recover())
        self._handle(me, Started())

    def crash(self, me: int) -> None:
        """Everything that is not on the disk is gone, the running timers too."""
        self.replicas[me] = None
        self._timers = {key: order for key, order in self._timers.items() if key[0] != me}

    def submit(self, operation: bytes, number: int) -> None:
        """A client sends a request to all replicas."""
        signature = client_signer("alice").sign(DIGESTS.request("alice", number, operation))
        request = Request("alice", number, operation, signature)
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
            for effect in replica.step(event):
                self._carry_out(me, effect)

    def _carry_out(self, me: int, effect: Effect) -> None:
        match effect:
            case Persist():
                self.disks[me].persist(effect)  # first in the list: durable before anything is sent
            case Send(to, message):
                if to != me:  # what is sent to oneself has taken effect already
                    self._schedule(DELAY_S, to, Received(me, message))
            case Broadcast(message):
                for to in range(CONFIG.n):
                    if to != me:
                        self._schedule(DELAY_S, to, Received(me, message))
            case SetTimer(timer, delay_s, round_):
                self._timers[me, timer] = self._schedule(delay_s, me, TimerFired(timer, round_))
            case CancelTimer(timer):
                self._timers.pop((me, timer), None)
            case Commit():  # a real driver writes the ledger together with the Persist of this step
                self.disks[me].state_id, self.disks[me].ledger = effect.state_id, effect.ledger
            case SendReply(reply):
                self.replies.append((me, reply))
            case ReadBlocks():
                blocks = self.disks[me].read(effect)
                self._schedule(0, me, BlocksRead(effect.peer, effect.round, blocks))
            case Rejected() | Ignored():
                pass  # the place for a counter of reasons
            case Equivocation() | Divergence():
                print("evidence:", effect)
            case _:
                assert_never(effect)


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
        entries = [request.operation.decode() for block in disk.committed for request in block.payload]
        print(f"replica {me} committed {len(disk.committed)} blocks: {entries}")


if __name__ == "__main__":
    main()
