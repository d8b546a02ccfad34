"""The executor: one scenario, one execution of the protocol that it names, in virtual time.

Time is counted in ticks: every message takes one, a quarter of the delay bound. Ties follow the order of sending; at
equal times deliveries precede timers, timers go by node. Timers do not grow. Which messages pass is said in
`routes`; a message to an identity goes to every copy of it, the sender's twin included, and the sender's own copy
has taken effect inside its step.

- A message belongs to a round; that round's partition and exceptions apply to it whenever it is sent. After the last
  round the network is whole, and led as that round was.
- A timeout that an exception drops passes on its third sending. What a *partition* keeps apart is lost, or, with
  `delayed`, arrives when its receiver leaves the round.
- Nodes crash and restart as a round begins: when the first node enters it, after what that node did in this step; in
  round 1 when all have started.
- The end: every running node has passed the last round, and every correct one has committed a block of it or of a
  later round, or 7 delay bounds have gone by; or nobody changed its round while every timer fired several times; or a
  limit on virtual time.

The same scenario gives the same record and the same trace, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from diembft.errors import InputError
from diembft.machine.effects import EFFECTS, Broadcast, CancelTimer, Commit, Persist, Send, SetTimer
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.protocols.interface import (
    AFTER_THE_LAST,
    LATE_REQUEST,
    REQUEST,
    TIMEOUT,
    Crypto,
    Replica,
    Storage,
    System,
    UnderTest,
)
from diembft.protocols.registry import protocol_of
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.record import TICKS_PER_BOUND, Committed, Ending, Entered, Record, Restarted, Sent
from diembft.twins.runs.routes import Routes, routes_of, whole
from diembft.twins.scenarios.scenario import Scenario

NEVER = 1 << 62

BOUNDS_AFTER_THE_LAST = 7
"""How long an execution goes on when every replica has passed the last round, in delay bounds."""

ROUND_TIMER_TICKS = 5 * TICKS_PER_BOUND

STUCK_TIMERS = 4
"""How often the round timer fires without any change of round before an execution is stuck: once more than an
exception lasts."""

LIMIT_TIMERS = 6
"""The least limit on virtual time, in round timers for each round."""

PASSES_ON_SENDING = 3
"""A timeout that an exception drops passes on this sending."""

Event: TypeAlias = Any
"""Of `diembft.machine.events`, with a protocol's messages."""

Effects: TypeAlias = Sequence[Any]
"""Of `diembft.machine.effects`, and what a protocol has besides."""

Arrival = tuple[int, Event, int]
"""Who receives what, and its number among all that was sent."""


class Observer(Protocol):
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


class Paused(Exception):
    """An execution that pauses has come to a round that nobody was in before."""


class Execution:
    """One scenario under way. `script` holds the rounds; a round beyond it is `after` the last."""

    pauses = False
    """Whether it stops whenever a round is entered that nobody was in."""

    def __init__(
        self,
        protocol: UnderTest,
        system: System,
        script: dict[int, Routes],
        last: int,
        *,
        after: Routes,
        delayed: bool = False,
        limit: int = NEVER,
        crashes: bool = False,
        observer: Observer | None = None,
    ) -> None:
        cast = system.cast
        nodes = range(len(cast.names))
        self.protocol = protocol
        self.system = system
        self.script = script
        self.last = last
        self.after = after
        self.delayed = delayed
        self.limit = limit
        self.pending: tuple[int, Effects] | None = None
        """While paused: the node that entered a new round, and the effects of its step, which are to be carried out."""
        self.observer = observer
        self.now = 0
        self.replicas: list[Replica | None] = [system.node(node) for node in nodes]
        self.rounds = [0] * len(nodes)
        """Which round each node is in."""
        self.record = Record([], [], [], [], Ending.COMPLETE, 0)
        self._arrivals: list[Arrival] = []
        """Of this tick."""
        self._handled = 0
        """How many of them are done."""
        self._queue: list[Arrival] = []
        """Of the next tick."""
        self.round_due = [NEVER] * len(nodes)
        self.round_of_timer = [0] * len(nodes)
        self.fetch_due = [NEVER] * len(nodes)
        self.fetch_round = [0] * len(nodes)
        self._earliest = NEVER
        """No timer is due before."""
        self.gave_up = [0] * len(nodes)
        """The round that each node sent a timeout of last."""
        self._hurried = [0] * len(nodes)
        """The round whose timer fired early last."""
        self.sendings: dict[tuple[int, int, int], int] = {}
        """How often a node's timeout of a round was kept from a node by an exception."""
        self._held: list[list[tuple[int, Event, int]]] = [[] for _ in nodes]
        """(round, event, number): what waits until a node leaves the round."""
        self.changed_at = 0
        self.highest = 0
        self.passed = 0
        self._up = len(nodes)
        self._ends_at = NEVER
        self._waited_for = sum([1 << node for node in cast.correct])
        """Correct nodes that have not committed a block of the last round or a later one."""
        self._incidents: list[Routes] = []
        self._storages: list[Storage] | None = _storages_of(protocol, system) if crashes else None
        self._started = 0
        """How many nodes have had their first event."""
        self._reorders = False

        self._kinds = protocol.kinds
        self._round_of = protocol.round_of
        self._identity = cast.identity
        self._copies = cast.copies
        everyone = (1 << len(nodes)) - 1
        self._others = [everyone & ~(1 << node) for node in nodes]
        self._members = _MEMBERS
        self._twins = sum([cast.copies[replica] for replica in cast.faulty])
        ticks_per_s = TICKS_PER_BOUND / system.delay_bound_s
        self._ticks_per_s = ticks_per_s

    def run(self) -> Record:
        """Go on to the end. If it pauses: raises Paused on the way; then call it again."""
        if self.pending is not None:
            (node, effects), self.pending = self.pending, None
            replica = self.replicas[node]
            assert replica is not None, "because it made these effects"
            self._entered(node, replica.current_round)
            self._carry_out(node, effects)
        while self._started < len(self.replicas):
            self._started += 1
            self._step(self._started - 1, Started(), -1)
        if self._incidents:
            self._befall()
        while True:
            arrivals = self._arrivals
            while self._handled < len(arrivals):
                node, event, number = arrivals[self._handled]
                self._handled += 1
                if self.replicas[node] is not None:
                    self._step(node, event, number)
                elif self.observer is not None:
                    self.observer.dropped(self.now, number, 1 << node, "crashed")
            if self._earliest <= self.now:
                self._fire_due()
            if self._queue:
                next_tick = self.now + 1
            else:
                next_tick = self._earliest = min(min(self.round_due), min(self.fetch_due))
            if next_tick > self._ends_at:
                return self._end(Ending.COMPLETE, self._ends_at)
            if next_tick > self.changed_at + STUCK_TIMERS * ROUND_TIMER_TICKS + TICKS_PER_BOUND:
                return self._end(Ending.STUCK, self.now)
            if next_tick > self.limit:
                return self._end(Ending.TIMED_OUT, self.limit)
            self.now = next_tick
            self._arrivals, self._queue, self._handled = self._queue, [], 0
            if self._reorders:
                self._arrivals = self._reordered(self._arrivals)

    def _end(self, ending: Ending, tick: int) -> Record:
        self.record = self.record._replace(ending=ending, end=tick)
        return self.record

    # --- steps

    def _step(self, node: int, event: Event, number: int) -> None:
        """One event at one node that runs."""
        replica, effects = self.react(node, event)
        observer = self.observer
        if observer is not None:
            if number >= 0:
                observer.delivered(self.now, node, number, effects)
            observer.stepped(self.now, node, replica, effects)
        round_ = replica.current_round
        if round_ != self.rounds[node]:
            if self.pauses and round_ > self.highest:
                self.pending = (node, effects)
                raise Paused
            self._entered(node, round_)
        self._carry_out(node, effects)

    def react(self, node: int, event: Event) -> tuple[Replica, Effects]:
        """Let the replica of a node handle an event."""
        replica = self.replicas[node]
        assert replica is not None, "because the caller has looked"
        return replica, replica.step(event)

    def reached(self, routes: Routes, round_: int, kind: int, node: int, receivers: int) -> int:
        """Whom of the receivers a message reaches, as its round has it."""
        return receivers & routes.reach[kind][node]

    def _carry_out(self, node: int, effects: Effects) -> None:
        kinds = EFFECTS
        for effect in effects:
            kind = kinds[type(effect)]
            if kind is Send:
                self._send(node, self._copies[effect.to] & self._others[node], effect.message)
            elif kind is SetTimer:
                self._set_timer(node, effect)
            elif kind is Persist:
                if self._storages is not None:
                    self._storages[node].persist(effect)
            elif kind is Broadcast:
                self._send(node, self._others[node], effect.message)
            elif kind is Commit:
                self._commit(node, effect)
            elif kind is CancelTimer:
                dues = self.fetch_due if effect.timer is Timer.FETCH else self.round_due
                dues[node] = NEVER
        if self._incidents and self._started == len(self.replicas):
            self._befall()

    def _commit(self, node: int, effect: Commit) -> None:
        self.record.committed.append(Committed(self.now, node, effect.block, effect.certificate))
        if effect.block.round >= self.last:
            self._waited_for &= ~(1 << node)
            if not self._waited_for and self._ends_at != NEVER:
                self._ends_at = self.now
        if self._storages is not None:
            self._storages[node].commit(effect)

    def _entered(self, node: int, round_: int) -> None:
        """A node changed its round."""
        before = self.rounds[node]
        self.rounds[node] = round_
        self.record.entered.append(Entered(self.now, node, round_))
        self.changed_at = self.now
        if round_ > self.last >= before:
            self.passed += 1
            self._look_whether_all_passed()
        if round_ > self.highest:
            for begun in range(self.highest + 1, min(round_, self.last) + 1):
                routes = self._routes(begun)
                self._reorders = self._reorders or routes.reversed
                if routes.crash or routes.restart:
                    self._incidents.append(routes)
            self.highest = round_
        held = self._held[node]
        if held:
            self._held[node] = [entry for entry in held if entry[0] >= round_]
            self._queue += [(node, event, number) for of_round, event, number in held if of_round < round_]

    def _look_whether_all_passed(self) -> None:
        if self.passed != self._up or self.passed == 0:
            self._ends_at = NEVER
        elif not self._waited_for:
            self._ends_at = self.now
        else:
            self._ends_at = self.now + BOUNDS_AFTER_THE_LAST * TICKS_PER_BOUND

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
        sent.append(Sent(self.now, node, message))
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
                        self._held[receiver].append((round_, event, number))
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

    # --- timers

    def _set_timer(self, node: int, effect: SetTimer) -> None:
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

    def _fire_due(self) -> None:
        """Fire all timers that are due, node by node."""
        now = self.now
        while self._earliest <= now:
            for node in range(len(self.replicas)):
                if self.round_due[node] <= now:
                    self._fire(node, Timer.ROUND, self.round_due, self.round_of_timer[node])
                if self.fetch_due[node] <= now:
                    self._fire(node, Timer.FETCH, self.fetch_due, self.fetch_round[node])
            self._earliest = min(min(self.round_due), min(self.fetch_due))

    def _fire(self, node: int, timer: Timer, dues: list[int], round_: int) -> None:
        dues[node] = NEVER
        if self.observer is not None:
            self.observer.fired(self.now, node, timer, round_)
        self._step(node, TimerFired(timer, round_), -1)

    # --- crashes

    def _befall(self) -> None:
        """Let nodes crash and restart as a round begins."""
        incidents, self._incidents = self._incidents, []
        for routes in incidents:
            for node in self._members[routes.crash]:
                self._crash(node)
            for node in self._members[routes.restart]:
                self._restart(node)

    def _crash(self, node: int) -> None:
        assert self._storages is not None, "because the caller knew that there are crashes"
        self.replicas[node] = None
        self.round_due[node] = self.fetch_due[node] = NEVER
        self._held[node] = []
        self._up -= 1
        self.passed -= self.rounds[node] > self.last
        self._look_whether_all_passed()
        if self.observer is not None:
            self.observer.crashed(self.now, node)

    def _restart(self, node: int) -> None:
        assert self._storages is not None, "because the caller knew that there are crashes"
        self.replicas[node] = self.system.node(node, self._storages[node].recover())
        self.rounds[node] = self.gave_up[node] = 0
        self._up += 1
        self._look_whether_all_passed()
        self.record.restarted.append(Restarted(self.now, node, len(self.record.sent)))
        if self.observer is not None:
            self.observer.restarted(self.now, node)
        self._step(node, Started(), -1)


def execute(
    scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic", observer: Observer | None = None
) -> Record:
    """Execute one scenario. `delayed`: what partitions keep apart arrives later, where a round does not say
    otherwise. Raises InputError for what its protocol has not."""
    system = system_of(scenario, crypto)
    script, after = script_of(scenario, system)
    crashes = any(routes.crash or routes.restart for routes in script.values())
    limit = time_limit(scenario)
    return Execution(
        protocol_of(scenario.protocol),
        system,
        script,
        len(script),
        after=after,
        delayed=delayed,
        limit=limit,
        crashes=crashes,
        observer=observer,
    ).run()


def _storages_of(protocol: UnderTest, system: System) -> list[Storage]:
    """A storage for each node. Raises InputError if the protocol has none."""
    storages = [system.storage() for _ in system.cast.names]
    found = [storage for storage in storages if storage is not None]
    if len(found) < len(storages):
        raise InputError(f"crash: nodes of protocol {protocol.name} keep nothing that they could restart from")
    return found


def script_of(scenario: Scenario, system: System) -> tuple[dict[int, Routes], Routes]:
    """The rounds of a scenario as tables, and what holds after the last; the leaders are told to the system."""
    script = {
        index + 1: routes_of(scenario.replicas, scenario.twins, round_) for index, round_ in enumerate(scenario.rounds)
    }
    leaders = system.leaders
    leaders.clear()
    for number, routes in script.items():
        leaders[number] = routes.leader
    leaders[AFTER_THE_LAST] = script[len(script)].leader if script else 0
    return script, whole(system.cast, leaders[AFTER_THE_LAST])


def time_limit(scenario: Scenario) -> int:
    """When an execution ends in any case, in ticks: the larger of the scenario's timeout and a bound by its rounds."""
    rounds = len(scenario.rounds) + BOUNDS_AFTER_THE_LAST
    own = int(scenario.timeout_s / scenario.delay_bound_s * TICKS_PER_BOUND)
    return max(own, LIMIT_TIMERS * ROUND_TIMER_TICKS * rounds)


class _Members(dict[int, tuple[int, ...]]):
    """The nodes of each mask, as they are asked for."""

    def __missing__(self, mask: int) -> tuple[int, ...]:
        members = self[mask] = tuple([node for node in range(mask.bit_length()) if mask >> node & 1])
        return members


_MEMBERS = _Members()
