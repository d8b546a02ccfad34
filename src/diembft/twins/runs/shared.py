"""An execution that pauses, forks, notes what it looks up in its script, and makes no step twice.

A replica is deterministic: the same replica comes by the same event to the same state and the same effects, if the
script names the same leaders. So replicas are kept as values that are never stepped themselves, each with what it came
to by which event; executions that share a beginning share these, and whatever in them goes alike again.

That assumes the contract of `step` and `fork` and nothing else. A remembered step is that of a fork of this very
object, never of one that compares equal. And it is that of a message that is alike in every part (`alike`): what a
protocol takes to be equal may leave something out, such as what a digest forgets, and is not asked. Its `hash` is
asked, which makes a step be found or not, but never a wrong one. Events of timers are the tester's own values.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import override

from diembft.machine.events import Received
from diembft.protocols.interface import TIMEOUT, Replica, System, UnderTest
from diembft.twins.runs.alike import alike
from diembft.twins.runs.routes import LEADER, Routes
from diembft.twins.runs.steps import StepFailed, fork, step
from diembft.twins.runs.timed import PausedAtRound, TimedRun
from diembft.twins.runs.timed_nodes import Effects, Event


class Lookup(NamedTuple):
    """What an execution looked up in its script."""

    round: int
    kind: int
    """Of a message (see `routes`), or LEADER."""
    node: int
    """The sender."""
    receivers: int
    """Mask of those that it is sent to."""


LookupAnswer: TypeAlias = int | tuple[int, int]
"""To a Lookup: the leader; or whom a message reaches, with those in other sets if that matters (masks)."""


def answer_of(lookup: Lookup, routes: Routes) -> LookupAnswer:
    """What a round says to a Lookup."""
    if lookup.kind == LEADER:
        return routes.leader
    reached = routes.reach[lookup.kind][lookup.node] & lookup.receivers
    if lookup.kind == TIMEOUT and routes.timeouts_excepted:
        return reached, routes.apart[TIMEOUT][lookup.node] & lookup.receivers
    return reached


class _Local:
    """A replica in one state, and where each event leads it."""

    __slots__ = ("replica", "steps")

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.steps: dict[Hashable, list[_Step]] = {}


class _Step(NamedTuple):
    """What an event leads to, if these are the leaders."""

    event: Event
    asked: tuple[tuple[int, int], ...]
    """(round, leader) of all questions in the step."""
    local: _Local
    effects: Effects


class Tally:
    """Counts for an execution and all its forks."""

    steps = 0
    """How many steps were made, and are remembered."""


class SharedRun(TimedRun):
    """An execution that can be paused and forked. The system must be of its tree alone."""

    def __init__(
        self,
        protocol: UnderTest,
        system: System,
        script: dict[int, Routes],
        last: int,
        *,
        after: Routes,
        limit: int,
        pauses: int,
    ) -> None:
        super().__init__(protocol, system, script, last, after=after, limit=limit)
        self.pauses = pauses
        self.asked: list[tuple[Lookup, LookupAnswer]] = []
        """What was looked up since the last fork, with the answers."""
        self._locals = [_Local(replica) for replica in self.replicas if replica is not None]
        self.tally = Tally()

    def go_on(self) -> bool:
        """Execute to the next pause or to the end; whether it is a pause."""
        try:
            self.run()
        except PausedAtRound:
            return True
        return False

    def fork(self) -> SharedRun:
        """An independent copy, on the same script."""
        assert self.storages is None, "because nodes of executions that fork do not crash"
        copy = object.__new__(SharedRun)
        copy.__dict__.update({name: _copied(value) for name, value in self.__dict__.items()})
        copy.script = self.script
        copy.asked = []
        copy.record = type(self.record)(*map(_copied, self.record))
        copy._waiting = [waiting.copy() for waiting in self._waiting]
        return copy

    @override
    def react(self, node: int, event: Event) -> tuple[Replica, Effects]:
        local = self._locals[node]
        key = (event.peer, hash(event.message)) if isinstance(event, Received) else event
        variants = local.steps.get(key)
        if variants is None:
            variants = local.steps[key] = []
        leader = self.system.leaders.of
        for known in variants:
            if _same(known.event, event) and all(leader(round_) == answer for round_, answer in known.asked):
                break
        else:
            known = self._step_of(local, event)
            variants.append(known)
        self._note(known.asked)
        self._locals[node] = known.local
        replica = self.replicas[node] = known.local.replica
        return replica, known.effects

    def _note(self, asked: Iterable[tuple[int, int]]) -> None:
        for round_, answer in asked:
            self.asked.append((Lookup(round_, LEADER, 0, 0), answer))

    def _step_of(self, local: _Local, event: Event) -> _Step:
        replica = fork(local.replica)
        noted: list[tuple[int, int]] = []
        self.system.leaders.noted = noted
        try:
            effects = tuple(step(replica, event))  # whatever the replica does with its own list
        except StepFailed:
            self._note(dict.fromkeys(noted))  # with other leaders it may not fail
            raise
        finally:
            self.system.leaders.noted = None
        self.tally.steps += 1
        return _Step(event, tuple(dict.fromkeys(noted)), _Local(replica), effects)

    @override
    def reached(self, routes: Routes, round_: int, kind: int, node: int, receivers: int) -> int:
        if not receivers:
            return 0
        lookup = Lookup(round_, kind, node, receivers)
        self.asked.append((lookup, answer_of(lookup, routes)))
        return receivers & routes.reach[kind][node]


def _copied(value: Any) -> Any:
    """A copy of what an execution may change in place."""
    return value.copy() if type(value) in (list, dict) else value


def _same(one: Event, other: Event) -> bool:
    """Whether two events of one key are the same."""
    return not isinstance(one, Received) or alike(one.message, other.message)
