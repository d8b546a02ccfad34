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
  limit on virtual time; or a node failed (`steps`). Virtual time goes on: nodes make so many steps in a tick at most.

The same scenario gives the same record and the same trace, byte for byte.
"""

from __future__ import annotations

from diembft.host.outlet import carry_out
from diembft.machine.events import Started, Timer, TimerFired
from diembft.protocols.by_name import protocol_of
from diembft.protocols.interface import (
    AFTER_THE_LAST,
    Crypto,
    Replica,
    System,
    UnderTest,
)
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.record import (
    TICKS_PER_BOUND,
    Ending,
    NodeFailed,
    NodeRestarted,
    RoundEntered,
    RunRecord,
)
from diembft.twins.runs.routes import Routes, routes_of, whole
from diembft.twins.runs.steps import StepFailed, guarded, most_steps, step
from diembft.twins.runs.timed_nodes import NEVER, NO_MESSAGE, Effects, Event, RunObserver, TimedNodes
from diembft.twins.scenarios.scenario import Scenario

BOUNDS_AFTER_THE_LAST = 7
"""How long an execution goes on when every replica has passed the last round, in delay bounds."""

ROUND_TIMER_TICKS = 5 * TICKS_PER_BOUND

STUCK_TIMERS = 4
"""How often the round timer fires without any change of round before an execution is stuck: once more than an
exception lasts."""

LIMIT_TIMERS = 6
"""The least limit on virtual time, in round timers for each round."""


class PausedAtRound(Exception):
    """An execution that pauses has come to a round that nobody was in before."""


class TimedRun(TimedNodes):
    """One scenario under way."""

    pauses = 0
    """Up to which round it stops whenever one is entered that nobody was in."""

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
        observer: RunObserver | None = None,
    ) -> None:
        super().__init__(
            protocol, system, script, last, after=after, delayed=delayed, crashes=crashes, observer=observer
        )
        self.limit = limit
        self.pending: tuple[int, Effects] | None = None
        """While paused: the node that entered a new round, and the effects of its step, which are to be carried out."""
        self.changed_at = 0
        self.highest = 0
        self.passed = 0
        self._up = len(self.replicas)
        self._incidents: list[Routes] = []
        self._started = 0
        """How many nodes have had their first event."""
        self._most = most_steps(len(self.replicas), 0)
        """How many steps there may be in a tick."""
        self._left = self._most

    def run(self) -> RunRecord:
        """Go on to the end. If it pauses: raises PausedAtRound on the way; then call it again."""
        try:
            return self._go_on()
        except StepFailed as failure:
            failed = NodeFailed(self.now, failure.node, self.rounds[failure.node], failure.what)
            self.record = self.record._replace(failed=(failed,))
            if self.observer is not None:
                self.observer.crashed(self.now, failure.node)
            return self._end(Ending.FAILED, self.now)

    def _go_on(self) -> RunRecord:
        if self.unmade is not None:
            raise self.unmade
        if self.pending is not None:
            (node, effects), self.pending = self.pending, None
            replica = self.replicas[node]
            assert replica is not None, "because it made these effects"
            self._entered(node, replica.current_round)
            self._carry_out(node, effects)
        while self._started < len(self.replicas):
            self._started += 1
            self._step(self._started - 1, Started(), NO_MESSAGE)
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
            self._left = self._most
            self._arrivals, self._queue, self._handled = self._queue, [], 0
            if self._reorders:
                self._arrivals = self._reordered(self._arrivals)

    def _end(self, ending: Ending, tick: int) -> RunRecord:
        self.record = self.record._replace(ending=ending, end=tick)
        return self.record

    # --- steps

    def _step(self, node: int, event: Event, number: int) -> None:
        """One event at one node that runs. Raises StepFailed."""
        self._left -= 1
        if self._left < len(self._queue):  # each message is a step of the next tick
            raise StepFailed(f"messages do not end: a moment takes more than {self._most:,} steps", node)
        try:
            replica, effects = self.react(node, event)
        except StepFailed as failure:
            failure.node = node
            raise
        observer = self.observer
        if observer is not None:
            if number != NO_MESSAGE:
                observer.delivered(self.now, node, number, effects)
            observer.stepped(self.now, node, replica, effects)
        round_ = replica.current_round
        if round_ != self.rounds[node]:
            if self.highest < round_ <= self.pauses:
                self.pending = (node, effects)
                raise PausedAtRound
            self._entered(node, round_)
        self._carry_out(node, effects)

    def react(self, node: int, event: Event) -> tuple[Replica, Effects]:
        """Let the replica of a node handle an event. Raises StepFailed."""
        replica = self.replicas[node]
        assert replica is not None, "because the caller has looked"
        return replica, step(replica, event)

    def _carry_out(self, node: int, effects: Effects) -> None:
        carry_out(self.in_front or self, node, effects)
        if self._incidents and self._started == len(self.replicas):
            self._befall()

    def _entered(self, node: int, round_: int) -> None:
        """A node changed its round."""
        before = self.rounds[node]
        self.rounds[node] = round_
        self.record.entered.append(RoundEntered(self.now, node, round_))
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
            self._most = most_steps(len(self.replicas), round_)
        waiting = self._waiting[node]
        if waiting:
            self._waiting[node] = [entry for entry in waiting if entry[0] >= round_]
            self._queue += [(node, event, number) for of_round, event, number in waiting if of_round < round_]

    def _look_whether_all_passed(self) -> None:
        if self.passed != self._up or self.passed == 0:
            self._ends_at = NEVER
        elif not self._waited_for:
            self._ends_at = self.now
        else:
            self._ends_at = self.now + BOUNDS_AFTER_THE_LAST * TICKS_PER_BOUND

    # --- timers

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
        self._step(node, TimerFired(timer, round_), NO_MESSAGE)

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
        assert self.storages is not None, "because the caller knew that there are crashes"
        self.replicas[node] = None
        self.round_due[node] = self.fetch_due[node] = NEVER
        self._waiting[node] = []
        if self.in_front is not None:
            self.in_front.crashed(node)
        self._up -= 1
        self.passed -= self.rounds[node] > self.last
        self._look_whether_all_passed()
        if self.observer is not None:
            self.observer.crashed(self.now, node)

    def _restart(self, node: int) -> None:
        assert self.storages is not None, "because the caller knew that there are crashes"
        try:
            self.replicas[node] = guarded("a restart", self._recovered, node)
        except StepFailed as failure:
            failure.node = node
            raise
        self.rounds[node] = self.gave_up[node] = 0
        self._up += 1
        self._look_whether_all_passed()
        self.record.restarted.append(NodeRestarted(self.now, node, len(self.record.sent)))
        if self.observer is not None:
            self.observer.restarted(self.now, node)
        self._step(node, Started(), NO_MESSAGE)

    def _recovered(self, node: int) -> Replica:
        assert self.storages is not None, "because the caller knew that there are crashes"
        return self.system.node(node, self.storages[node].recover())


def execute(
    scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic", observer: RunObserver | None = None
) -> RunRecord:
    """Execute one scenario. `delayed`: what partitions keep apart arrives later, where a round does not say
    otherwise. Raises InputError for what its protocol has not."""
    system = system_of(scenario, crypto)
    script, after = script_of(scenario, system)
    crashes = any(routes.crash or routes.restart for routes in script.values())
    limit = time_limit(scenario)
    return TimedRun(
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
