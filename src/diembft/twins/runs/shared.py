"""An execution that pauses, forks, notes what it looks up in its script, and makes no step twice.

A replica is deterministic: in the same state the same event leads to the same state and the same effects, if the script
names the same leaders. So replicas are kept as values that are never stepped themselves, each with what it came to
by which event; executions that share a beginning share these, and whatever in them goes alike again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from typing_extensions import override

from diembft.protocols.interface import TIMEOUT, Replica, System, UnderTest
from diembft.twins.runs.record import RunRecord
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
        self.steps: dict[Event, list[_Step]] = {}


class _Step(NamedTuple):
    """What an event leads to, if these are the leaders."""

    asked: tuple[tuple[int, int], ...]
    """(round, leader) of all questions in the step."""
    local: _Local
    effects: Effects


class Tally:
    """Counts for an execution and all its forks."""

    steps = 0
    """How many steps were made, and are remembered."""


class SharedRun(TimedRun):
    """An execution that can be paused and forked. The system must be of its graph alone."""

    pauses = True

    def __init__(
        self, protocol: UnderTest, system: System, script: dict[int, Routes], last: int, *, after: Routes
    ) -> None:
        super().__init__(protocol, system, script, last, after=after)
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

    @property
    def pending_round(self) -> int:
        """The round that is about to be entered, while paused."""
        assert self.pending is not None, "because it is paused"
        return self._locals[self.pending[0]].replica.current_round

    def under_way(self) -> list[tuple[int, Event, int]]:
        """What was sent and is not delivered, in the order of delivery."""
        return self._arrivals[self._handled :] + self._queue

    def fork(self) -> SharedRun:
        """An independent copy, on the same script."""
        copy = object.__new__(SharedRun)
        copy.__dict__.update(self.__dict__)
        copy.asked = []
        copy._locals = self._locals.copy()
        copy.replicas = self.replicas.copy()
        copy.rounds = self.rounds.copy()
        record = self.record
        copy.record = RunRecord(
            record.sent.copy(),
            record.committed.copy(),
            record.entered.copy(),
            record.restarted.copy(),
            record.ending,
            record.end,
        )
        copy._arrivals = self._arrivals[self._handled :]
        copy._handled = 0
        copy._queue = self._queue.copy()
        copy.round_due = self.round_due.copy()
        copy.round_of_timer = self.round_of_timer.copy()
        copy.fetch_due = self.fetch_due.copy()
        copy.fetch_round = self.fetch_round.copy()
        copy.gave_up = self.gave_up.copy()
        copy.sendings = self.sendings.copy()
        return copy

    @override
    def react(self, node: int, event: Event) -> tuple[Replica, Effects]:
        local = self._locals[node]
        variants = local.steps.get(event)
        if variants is None:
            variants = local.steps[event] = []
        leader = self.system.leaders.of
        for known in variants:
            if all(leader(round_) == answer for round_, answer in known.asked):
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
            effects = step(replica, event)
        except StepFailed:
            self._note(dict.fromkeys(noted))  # with other leaders it may not fail
            raise
        finally:
            self.system.leaders.noted = None
        self.tally.steps += 1
        return _Step(tuple(dict.fromkeys(noted)), _Local(replica), effects)

    @override
    def reached(self, routes: Routes, round_: int, kind: int, node: int, receivers: int) -> int:
        if not receivers:
            return 0
        lookup = Lookup(round_, kind, node, receivers)
        self.asked.append((lookup, answer_of(lookup, routes)))
        return receivers & routes.reach[kind][node]
