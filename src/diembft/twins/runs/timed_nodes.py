"""The nodes of a scenario in virtual time: what is under way among them, and their effects carried out.

Which messages pass is said in `routes`. `timed` has the run itself: whose turn it is, and when it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from typing_extensions import override

from diembft.errors import InputError
from diembft.host.outlet import Outlet
from diembft.machine.effects import Broadcast, CancelTimer, Send, SetTimer
from diembft.machine.events import Received, Timer
from diembft.protocols.interface import (
    LATE_REQUEST,
    REQUEST,
    TIMEOUT,
    NodeStorage,
    Replica,
    System,
    UnderTest,
)
from diembft.twins.runs.record import (
    TICKS_PER_BOUND,
    BlockCommitted,
    Ending,
    MessageSent,
    RunRecord,
)
from diembft.twins.runs.routes import Routes
from diembft.twins.runs.steps import StepFailed, guarded

NEVER = 1 << 62

NO_MESSAGE = -1
"""As the number of a message: the event brings none."""

PASSES_ON_SENDING = 3
"""A timeout that an exception drops passes on this sending."""

Event: TypeAlias = Any
"""Of `diembft.machine.events`, with a protocol's messages."""

Effects: TypeAlias = Sequence[Any]
"""Of `diembft.machine.effects`, and what a protocol has besides."""

Arrival = tuple[int, Event, int]
"""Who receives what, and its number among all that was sent."""


class RunObserver(Protocol):
    """Watches an execution, for a trace. Nodes are numbers, times are ticks, masks have bit i for node i."""

    def sent(self, tick: int, node: int, number: int, to: int, message: Any) -> None:
        """A message was sent to the nodes of a mask."""

    def dropped(self, tick: int, number: int, receivers: int, reason: str) -> None:
        """It will not reach these."""

    def delivered(self, tick: int, node: int, number: int, effects: Effects) -> None:
        """It was handled."""

    def fired(self, tick: int, node: int, timer: Timer, round_: int) -> None:
        """A timer fired."""

    def stepped(self, tick: int, node: int, replica: Replica, effects: Effects) -> None:
        """A step was made, whatever its event, and its effects are about to be carried out."""

    def crashed(self, tick: int, node: int) -> None:
        """A node stopped."""

    def restarted(self, tick: int, node: int) -> None:
        """A node runs again."""


class TimedNodes(Outlet):
    """The nodes of one scenario. `script` holds the rounds; a round beyond it is `after` the last."""

    def __init__(
        self,
        protocol: UnderTest,
        system: System,
        script: dict[int, Routes],
        last: int,
        *,
        after: Routes,
        delayed: bool,
        crashes: bool,
        observer: RunObserver | None,
    ) -> None:
        cast = system.cast
        nodes = range(len(cast.names))
        self.protocol = protocol
        self.system = system
        self.script = script
        self.last = last
        self.after = after
        self.delayed = delayed
        self.observer = observer
        self.in_front: Outlet | None = None
        """Through what effects come here, if through anything (`diembft.host.outlet`)."""
        self.now = 0
        self.unmade: StepFailed | None = None
        """Why a node could not be made, if one could not."""
        self.replicas: list[Replica | None] = [self._made(node) for node in nodes]
        self.rounds = [0] * len(nodes)
        """Which round each node is in."""
        self.record = RunRecord([], [], [], [], Ending.COMPLETE, 0)
        self.storages: list[NodeStorage] | None = _storages_of(protocol, system) if crashes else None
        self._ends_at = NEVER
        self._waited_for = sum([1 << node for node in cast.correct])
        """Correct nodes that have not committed a block of the last round or a later one."""
        self._reorders = False

        self._kinds = protocol.kinds
        self._round_of = protocol.round_of
        self._identity = cast.identity
        self._copies = cast.copies
        everyone = (1 << len(nodes)) - 1
        self._others = [everyone & ~(1 << node) for node in nodes]
        self._members = _MEMBERS
        self._twins = sum([cast.copies[replica] for replica in cast.faulty])
        self._ticks_per_s = TICKS_PER_BOUND / system.delay_bound_s
        self._begin(len(nodes))

    def _begin(self, nodes: int) -> None:
        """Nothing is under way, and no timer runs."""
        self._arrivals: list[Arrival] = []
        """Of this tick."""
        self._handled = 0
        """How many of them are done."""
        self._queue: list[Arrival] = []
        """Of the next tick."""
        self.round_due = [NEVER] * nodes
        self.round_of_timer = [0] * nodes
        self.fetch_due = [NEVER] * nodes
        self.fetch_round = [0] * nodes
        self._earliest = NEVER
        """No timer is due before."""
        self.gave_up = [0] * nodes
        """The round that each node sent a timeout of last."""
        self._hurried = [0] * nodes
        """The round whose timer fired early last."""
        self.sendings: dict[tuple[int, int, int], int] = {}
        """How often a node's timeout of a round was kept from a node by an exception."""
        self._waiting: list[list[tuple[int, Event, int]]] = [[] for _ in range(nodes)]
        """(round, event, number): what waits until a node leaves the round."""

    def _made(self, node: int) -> Replica | None:
        try:
            return guarded("its making", self.system.node, node)
        except StepFailed as failure:
            failure.node = node
            self.unmade = self.unmade or failure
            return None

    def reached(self, routes: Routes, round_: int, kind: int, node: int, receivers: int) -> int:
        """Whom of the receivers a message reaches, as its round has it."""
        return receivers & routes.reach[kind][node]

    # --- effects

    @override
    def persist(self, node: int, effect: Any) -> None:
        if self.storages is not None:
            self.storages[node].persist(effect)

    @override
    def commit(self, node: int, effect: Any) -> None:
        self.record.committed.append(BlockCommitted(self.now, node, effect.block, effect.certificate))
        if effect.block.round >= self.last:
            self._waited_for &= ~(1 << node)
            if not self._waited_for and self._ends_at != NEVER:
                self._ends_at = self.now

    @override
    def send(self, node: int, effect: Send[Any]) -> None:
        self._send(node, self._copies[effect.to] & self._others[node], effect.message)

    @override
    def broadcast(self, node: int, effect: Broadcast[Any]) -> None:
        self._send(node, self._others[node], effect.message)

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        due = self.now + round(effect.delay_s * self._ticks_per_s)
        if effect.timer is Timer.FETCH:
            self.fetch_due[node] = due
            self.fetch_round[node] = effect.round
        else:
            round_ = effect.round
            if self._hurried[node] < round_ and self._routes(round_).early:
                self._hurried[node] = round_
                due = self.now
            self.round_due[node] = due
            self.round_of_timer[node] = round_
        if due < self._earliest:
            self._earliest = due

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        dues = self.fetch_due if effect.timer is Timer.FETCH else self.round_due
        dues[node] = NEVER

    # --- messages

    def _routes(self, round_: int) -> Routes:
        return self.script.get(round_) or self.after

    def _send(self, node: int, receivers: int, message: Any) -> None:
        kind = self._kinds[type(message)]
        round_ = self._round_of(message)
        routes = self.script.get(round_) or self.after
        if kind == TIMEOUT:
            self.gave_up[node] = round_
        elif kind == REQUEST and self.gave_up[node] >= round_:
            kind = LATE_REQUEST
        sent = self.record.sent
        number = len(sent)
        sent.append(MessageSent(self.now, node, message))
        reached = self.reached(routes, round_, kind, node, receivers)
        if reached != receivers or self.observer is not None:
            reached = self._kept_back(node, receivers, reached, message, kind, round_, routes, number)
        if reached:
            event = Received(self._identity[node], message)
            queue = self._queue
            for receiver in self._members[reached]:
                queue.append((receiver, event, number))

    def _kept_back(
        self,
        node: int,
        receivers: int,
        reached: int,
        message: Any,
        kind: int,
        round_: int,
        routes: Routes,
        number: int,
    ) -> int:
        """What becomes of a message to those that it does not reach at once. Returns whom it reaches."""
        apart = receivers & routes.apart[kind][node]
        excepted = receivers & ~reached & ~apart
        if kind == TIMEOUT and routes.timeouts_excepted and excepted:
            for receiver in self._members[excepted]:
                key = (node, receiver, round_)
                sending = self.sendings[key] = self.sendings.get(key, 0) + 1
                if sending >= PASSES_ON_SENDING:
                    reached |= 1 << receiver
                    excepted &= ~(1 << receiver)
        observer = self.observer
        if observer is not None:
            observer.sent(self.now, node, number, receivers, message)
            if excepted:
                observer.dropped(self.now, number, excepted, "exception")
        if apart:
            if self.delayed if routes.delayed is None else routes.delayed:
                event = Received(self._identity[node], message)
                for receiver in self._members[apart]:
                    if self.rounds[receiver] > round_:
                        reached |= 1 << receiver
                    else:
                        self._waiting[receiver].append((round_, event, number))
            elif observer is not None:
                observer.dropped(self.now, number, apart, "partition")
        return reached

    def _reordered(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Where a round says so, what goes to the nodes of a twin comes last, in reversed order."""
        kept: list[Arrival] = []
        turned: list[Arrival] = []
        for arrival in arrivals:
            node, event, _ = arrival
            of_twin = self._twins >> node & 1
            if of_twin and isinstance(event, Received) and self._routes(self._round_of(event.message)).reversed:
                turned.append(arrival)
            else:
                kept.append(arrival)
        turned.reverse()
        return kept + turned


def _storages_of(protocol: UnderTest, system: System) -> list[NodeStorage]:
    """A storage for each node. Raises InputError if the protocol has none."""
    storages = [system.storage() for _ in system.cast.names]
    found = [storage for storage in storages if storage is not None]
    if len(found) < len(storages):
        raise InputError(f"crash: nodes of protocol {protocol.name} keep nothing that they could restart from")
    return found


class _Members(dict[int, tuple[int, ...]]):
    """The nodes of each mask, as they are asked for."""

    def __missing__(self, mask: int) -> tuple[int, ...]:
        members = self[mask] = tuple([node for node in range(mask.bit_length()) if mask >> node & 1])
        return members


_MEMBERS = _Members()
