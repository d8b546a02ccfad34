"""Whole states of the code that runs, stepped one choice at a time: nothing is merged, renamed, settled, rebuilt or
looked up. This is what the search's key is tested against (`walks`), and what is decided without any key (`unkeyed`).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import override

from diembft.judge.agreement import NAME as AGREEMENT
from diembft.protocols.states import Coarsening, NodeState, Sets, Step, Summary
from diembft.twins.exhaustion.conjecture import NOBODY_LEFT
from diembft.twins.exhaustion.engine import digest
from diembft.twins.exhaustion.expansion import ChoicePath, FoundViolation, found_violation
from diembft.twins.exhaustion.objections import certified_by, certified_twice
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.group import Group
from diembft.twins.runs.models import Choice, run_step
from diembft.twins.runs.world import Fault

Committed: TypeAlias = tuple[tuple[bytes, ...], ...]
"""Of each node: the blocks that it delivered, in their order."""


class WholeState(NamedTuple):
    """A global state before step `round`."""

    round: int
    leader: int
    nodes: tuple[NodeState, ...]
    committed: Committed
    last: Sets = ()
    """The partition of the last step."""


class Stepper:
    """Steps the nodes of one question.

    What a system remembers, such as which messages verify, lasts as long as the stepper: make a new one for each walk.
    For checks of the checks: other `choices`, and `coarsen`, which makes a key that merges more.
    """

    def __init__(
        self, question: Question, choices: tuple[Choice, ...] | None = None, coarsen: Coarsening | None = None
    ) -> None:
        engine = question.engine()
        self.world = engine.world
        self.model = engine.model if choices is None else type(engine.model)(choices)
        self._coarsen = coarsen
        self.leaders = sorted({choice.leader for choice in self.model.choices})
        """Who may lead the first round: the initial states, in their order."""
        self._keys = self.world.exploring.keys(self.world.system, self.world.bugs, crashes=self.world.crashes)
        self._proposers: dict[bytes, int] = {}

    def initial(self, index: int) -> WholeState:
        """The state before step 1 with this leader."""
        leader = self.leaders[index]
        return WholeState(1, leader, self.world.start(leader), ((),) * self.world.nodes)

    def step(self, state: WholeState, choice: Choice) -> tuple[WholeState, tuple[Fault, ...]]:
        """The state after a choice, and what oracles object to."""
        world = self.world
        committed = [list(own) for own in state.committed]
        nodes, outcomes = run_step(
            world,
            self.model,
            state.nodes,
            state.round,
            state.leader,
            choice,
            state.last,
            self._proposers,
            make_group=partial(_Watched, committed),
        )
        faults = [fault for outcome in outcomes for fault in outcome.faults]
        voted = {vote for outcome in outcomes for vote in outcome.voted}
        after = WholeState(
            state.round + 1,
            choice.leader,
            nodes,
            tuple([tuple(own) for own in committed]),
            choice.partition if self.model.remembers else (),
        )
        if not any(outcome.over for outcome in outcomes):
            certified = frozenset().union(*[certified_by(world, node.replica) for node in nodes])
            faults.extend(certified_twice(world, state.round, voted, certified))
        faults.extend(self._disagreements(after.committed))
        return after, tuple(faults)

    def _disagreements(self, committed: Committed) -> list[Fault]:
        """By what nodes delivered, whatever they say that they hold."""
        world = self.world
        longest = max(range(world.faulty, world.n), key=lambda node: len(committed[node]))
        chain = committed[longest]
        return [
            Fault(AGREEMENT, f"{world.name(node)} and {world.name(longest)} committed conflicting blocks")
            for node in range(world.faulty, world.n)
            if committed[node] != chain[: len(committed[node])]
        ]

    def key(self, state: WholeState) -> bytes:
        """The digest of the search's key of a state."""
        found = self.summary(state)
        if found is None:
            return NOBODY_LEFT
        return digest((found if self._coarsen is None else self._coarsen(found)).key(self.world.cast))

    def summary(self, state: WholeState) -> Summary | None:
        """What the search keeps of a state."""
        facts = [self._keys.facts(node) for node in state.nodes]
        return self._keys.summary(facts, Step(state.round, state.leader, state.last, self.model.tells))


def violation_on(question: Question, path: ChoicePath) -> FoundViolation | None:
    """The first violation on a path, which ends with it."""
    stepper = Stepper(question)
    state = stepper.initial(path[0])
    for position, choice in enumerate(path[1:], 2):
        state, faults = stepper.step(state, stepper.model.choices[choice])
        if faults:
            return found_violation(path[:position], faults)
    return None


class _Watched(Group):
    """A group of which is noted what its nodes deliver."""

    def __init__(self, committed: list[list[bytes]], *args: object, **options: object) -> None:
        self._committed = committed
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as Group has them

    @override
    def commit(self, node: int, effect: Any) -> None:
        super().commit(node, effect)
        block_id = effect.block.id
        if block_id not in self._committed[node]:  # twice is against the order of commits, and not against agreement
            self._committed[node].append(block_id)
