"""One replica in a DistAlgo process: events into the core, effects out of it, failures by the rules of a test case.

The same as the simulator does, in real time. The network's delay is drawn by the sender, and the message held back
for so long before it is sent (what the real network takes comes on top); only for a client's request the receiver
does that, since the request belongs to the round that its replica is in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypeAlias

from msgspec import structs
from typing_extensions import override

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
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.genesis import genesis
from diembft.distalgo.endpoint import Endpoint, Wires
from diembft.distalgo.folder import Ledger
from diembft.distalgo.plan import Plan
from diembft.host import recording
from diembft.host.clock import milliseconds
from diembft.host.outlet import Outlet, carry_out
from diembft.host.recording import LOSS
from diembft.host.storage import Storage
from diembft.messages.codec import Frame, Submit
from diembft.messages.digests import Digests
from diembft.messages.types import Message, Reply, Request, kind_of, round_of
from diembft.testcase.case import Attribute
from diembft.testcase.failures import CLIENT, UNTOUCHED, FailureRules
from diembft.testcase.latency import NOTHING, Links
from diembft.testcase.types import MsgType
from diembft.trace import diembft as neutral
from diembft.trace import records

log = logging.getLogger(__name__)

Settings: TypeAlias = list[tuple[Attribute, int]]


class ReplicaNode(Endpoint[Timer], Outlet):
    """Replica number `index` of a test case. What it commits is also written to `ledger`, if there is one."""

    def __init__(self, plan: Plan, index: int, wires: Wires, ledger: Ledger | None = None) -> None:
        super().__init__(index, wires)
        case, config = plan.case, plan.config
        self.name = plan.names[index]
        self.replica = plan.replica(index)
        self._plan = plan
        self._peers = tuple([peer for peer in range(config.n) if peer != index])
        self._links = Links(case.latencies, NOTHING)
        self._rules = FailureRules(case.failures)
        self._rng = Random(f"{case.failure_seed!r}/{index}")
        self._genesis_id = genesis(Digests(config.chain_id, config.epoch)).block.id
        self._storage = Storage()
        self._ledger = ledger
        self.outlet: Outlet = self
        """Where effects go: here, or through something that stands in front (`diembft.host.outlet`)."""
        self._state: recording.Snapshot | None = None
        self._settings: Settings = []
        """What failures set in this replica, once the step under way is done."""

    @property
    def struck(self) -> list[int]:
        """How often each failure rule struck what this replica sent, and requests on their way to it."""
        return self._rules.struck

    def start(self) -> None:
        """The first event."""
        self._step(Started())

    # --- events

    def _received(self, sender: int, number: int, frame: Frame) -> None:
        match frame:
            case Submit(request):
                self._request_arrived(number, request)
            case Reply():
                raise AssertionError("because replies go to clients")
            case _:
                self._step(Received(sender, frame), number)

    def _fired(self, timer: Timer, detail: int) -> None:
        self.records.append(records.Fired(self.now_s, self.name, timer.value, detail))
        log.info("timer %s of round %d fired", timer.value, detail)
        self._step(TimerFired(timer, detail))

    def _request_arrived(self, number: int, request: Request) -> None:
        """The network's share of a request's way: its receiver knows the round that it belongs to."""
        round_ = self.replica.current_round
        delay_s = self._fate(CLIENT, self.index, MsgType.Request.value, round_)
        if delay_s is None:
            self.records.append(records.Dropped(self.now_s, number, self.name, LOSS))
        else:
            self._after(delay_s, partial(self._step, Requests((request,)), number))

    def _step(self, event: Event, number: int | None = None) -> None:
        """Hand in an event, `number` being that of the message that it is, and carry out what follows."""
        effects = self.replica.step(structs.replace(event, now_ms=milliseconds(self.now_s)))
        if number is not None:
            self.records.append(recording.delivered(self.now_s, self.name, number, effects))
        carry_out(self.outlet, self.index, effects)
        self._set_attributes()
        self._record_state()

    # --- effects

    @override
    def persist(self, node: int, effect: Persist) -> None:
        self._storage.persist(effect)
        self.records.append(recording.persisted(self.now_s, self.name, effect))

    @override
    def commit(self, node: int, effect: Commit) -> None:
        record = recording.committed(self.now_s, self.name, effect)
        self.records.append(record)
        executed = len(record.executed or ())
        log.info("committed block %d, of round %d, with %d requests", effect.height, effect.block.round, executed)
        if self._ledger is not None:
            self._ledger.append(record)

    @override
    def send(self, node: int, effect: Send[Message]) -> None:
        to = effect.to
        self._send(tuple([peer for peer in self._peers if peer == to]), effect.message, own=to == self.index)

    @override
    def broadcast(self, node: int, effect: Broadcast[Message]) -> None:
        self._send(self._peers, effect.message, own=True)

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        self._start_timer(effect.timer, effect.delay_s, effect.round)
        self.records.append(records.TimerSet(self.now_s, self.name, effect.timer.value, effect.delay_s, effect.round))

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        self._cancel_timer(effect.timer)
        self.records.append(records.TimerCancelled(self.now_s, self.name, effect.timer.value))

    @override
    def reply(self, node: int, effect: SendReply) -> None:
        reply = effect.reply
        number = self._next_number()
        self.records.append(recording.replied(self.now_s, self.name, reply, number))
        host = self._plan.host_of.get(reply.client)
        assert host is not None, "because only these clients have a key"
        data = self._encoded(reply, f"reply to request {reply.number} of {reply.client}")
        self._carry(host, CLIENT, reply.client, MsgType.Reply.value, self.replica.current_round, number, data)

    @override
    def read_blocks(self, node: int, effect: ReadBlocks) -> None:
        self._later(0.0, partial(self._read_blocks, effect))

    @override
    def report(self, node: int, effect: Equivocation | Divergence) -> None:
        log.warning("evidence: %s", type(effect).__name__)
        self.records.append(recording.evidence(self.now_s, self.name, effect))

    @override
    def note(self, node: int, effect: Effect) -> None:
        if isinstance(effect, Rejected | Ignored):
            log.debug("%s: %s", type(effect).__name__, effect.reason.value)

    def _read_blocks(self, read: ReadBlocks) -> None:
        blocks = self._storage.read(read.after, read.count, read.max_bytes, self._genesis_id)
        self.records.append(records.BlocksRead(self.now_s, self.name, read.peer, len(blocks)))
        self._step(BlocksRead(read.peer, read.round, blocks))

    def _send(self, receivers: tuple[int, ...], message: Message, *, own: bool) -> None:
        """Put a message on its way. `own`: a copy of it has taken effect here already."""
        kind, round_ = kind_of(message), round_of(message)
        if own:
            self._fate(self.index, self.index, kind, round_)
        if not receivers:
            return
        number = self._next_number()
        names = self._plan.names
        self.records.append(
            records.Sent(
                self.now_s, self.name, number, tuple([names[peer] for peer in receivers]), neutral.message(message)
            )
        )
        data = self._encoded(message, f"{kind} of round {round_}")
        for receiver in receivers:
            self._carry(receiver, receiver, names[receiver], kind, round_, number, data)

    def _carry(self, to: int, dest: int, name: str, kind: str, round_: int, number: int, data: bytes) -> None:
        """Send to endpoint `to`, if the failures let it pass; `dest` is what they call the receiver."""
        delay_s = self._fate(self.index, dest, kind, round_)
        if delay_s is None:
            self.records.append(records.Dropped(self.now_s, number, name, LOSS))
        else:
            self._after(delay_s, partial(self._post, to, number, data))

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something when a message has taken its time; at once if only the real network is to take any."""
        if delay_s:
            self._later(delay_s, action)
        else:
            action()

    # --- failures

    def _fate(self, src: int, dest: int, kind: str, round_: int) -> float | None:
        """How long a message is held back, in seconds; None: it is lost. As a sender, note what is to be set here."""
        delay_s = self._links.draw_s(src, dest, self._rng) if src != dest else 0.0
        fate = self._rules.fate(src, dest, kind, round_, partial(self._leader, src), self._rng)
        if fate is UNTOUCHED:
            return delay_s
        if src != CLIENT:
            self._settings.extend(fate.sets)
        return None if fate.lost else delay_s + fate.delay_s

    def _leader(self, src: int, round_: int) -> int | None:
        return None if src == CLIENT else self.replica.leader(round_)

    def _set_attributes(self) -> None:
        settings, self._settings = self._settings, []
        for attribute, value in settings:
            self.replica.set_attribute(attribute, value)
            self.records.append(records.SetAttribute(self.now_s, self.name, attribute, value))
            log.info("failure injection: %s is %d now", attribute, value)

    def _record_state(self) -> None:
        state = recording.snapshot(self.replica)
        if state != self._state:
            if self._state is None or state[0] != self._state[0]:
                log.info("round %d, led by %s", state[0], self._plan.names[state[1]])
            self._state = state
            self.records.append(recording.state(self.now_s, self.name, state))
