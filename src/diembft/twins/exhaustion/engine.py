"""States, their successors and what oracles object to, for one model.

The engine remembers what came of each set of nodes in each phase, so that choices that share sets share the work, and
keeps one copy of equal nodes, so that equal outcomes are recognised before the canonical key is computed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from hashlib import blake2b
from itertools import permutations, product
from typing import Any, NamedTuple

import msgspec

from diembft.protocols.interface import NOBODY
from diembft.protocols.states import NodeState, Sets, Step, Summary, moved
from diembft.twins.exhaustion.objections import certified_by, certified_twice, disagreements
from diembft.twins.runs.models import (
    Barrier,
    Choice,
    Kind,
    Lazy,
    PhaseOutcome,
    TwoPhase,
    collector_of,
    renamed,
    run_phase,
)
from diembft.twins.runs.world import Fault, World

MAX_OUTCOMES = 400_000
"""How many outcomes of groups are remembered: about 1 kB each."""

IDLE = PhaseOutcome((), (), ())
"""Nothing happened."""


class GlobalState(NamedTuple):
    """A global state before step `round`: nodes by their number in the engine, who leads the round, and the partition
    of the last step in a model that remembers it."""

    round: int
    leader: int
    nodes: tuple[int, ...]
    last: Sets = ()


class Successor(NamedTuple):
    """What a choice leads to. `key` is None if nobody is left in the next round: then nothing can follow."""

    choice: int
    state: GlobalState
    key: Hashable
    faults: tuple[Fault, ...]


class Engine:
    """Computes successors; bound to one world and model. `rename=False` keeps names apart (for checks)."""

    def __init__(self, world: World, model: Barrier | TwoPhase | Lazy, *, rename: bool = True) -> None:
        self.world = world
        self.model = model
        self.rename = rename
        self.evaluations = 0
        self._nodes: list[NodeState] = []
        self._facts: list[Any] = []
        self._certified: list[frozenset[tuple[int, bytes]]] = []
        self._known: dict[Hashable, int] = {}
        self._keys = world.exploring.keys(world.system, world.bugs, crashes=world.crashes)
        self._outcomes: dict[Hashable, tuple[tuple[int, ...], PhaseOutcome]] = {}
        self._index = {renamed(choice, {}): index for index, choice in enumerate(model.choices)}
        self._repeated: dict[tuple[tuple[int, ...], ...], frozenset[int]] = {}
        self._states: dict[Summary, GlobalState | None] = {}
        self._tables: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._proposers: dict[bytes, int] = {}

    @property
    def size(self) -> int:
        """How many distinct states of nodes it remembers."""
        return len(self._nodes)

    def trim(self) -> None:
        """Forget outcomes if they are many; they are computed anew."""
        if len(self._outcomes) > MAX_OUTCOMES:
            self._outcomes.clear()

    def initial(self) -> list[GlobalState]:
        """The states before step 1, by the leader of round 1."""
        leaders = sorted({choice.leader for choice in self.model.choices})
        return [GlobalState(1, leader, self._numbers(1, self.world.start(leader), settles=True)) for leader in leaders]

    def node(self, number: int) -> NodeState:
        """The node with this number."""
        return self._nodes[number]

    def key(self, state: GlobalState) -> Hashable:
        """The canonical key of a state."""
        found = self.summary(state)
        return None if found is None else found.key(self.world.cast, rename=self.rename)

    def summary(self, state: GlobalState) -> Summary | None:
        """What of a state can still matter."""
        facts = [self._facts[number] for number in state.nodes]
        step = Step(state.round, state.leader, state.last, self.model.tells)
        return self._keys.summary(facts, step)

    def apply(self, state: GlobalState, choice: int) -> Successor:
        """The state after one choice."""
        chosen = self.model.choices[choice]
        after, faults = self._step(state, chosen)
        return self._successor(choice, after, faults)

    def successors(self, state: GlobalState) -> Iterator[Successor]:
        """What the choices lead to; of choices that lead to the very same, or to the same but for names, one.

        They are computed from the state that the summary of this one is rebuilt to, where it can be, so that what
        groups of nodes come to is remembered across states; the successors' states are those of the rebuilt state.
        """
        if not self.rename:
            yield from self._successors(state, frozenset(), None)
            return
        found = self.summary(state)
        assert found is not None, "because a state in whose round nobody is has no successors"
        ordered, places = found.sorted(self.world.cast)
        rebuilt = self._rebuilt(ordered)
        if rebuilt is None:
            yield from self._successors(state, self._repeated_choices(found), None)
        else:
            yield from self._successors(rebuilt, self._repeated_choices(ordered), self._moved(places))

    def _successors(
        self, state: GlobalState, skipped: frozenset[int], moved: tuple[int, ...] | None
    ) -> Iterator[Successor]:
        seen: set[Hashable] = set()
        phases: dict[Hashable, tuple[tuple[int, ...], tuple[PhaseOutcome, ...]]] = {}
        for index, choice in enumerate(self.model.choices):
            if index in skipped:
                continue
            after, faults = self._step(state, choice, phases)
            raw = (after, faults)
            if raw in seen:
                continue
            seen.add(raw)
            yield self._successor(index if moved is None else moved[index], after, faults)

    def _successor(self, choice: int, after: GlobalState, faults: tuple[Fault, ...]) -> Successor:
        """What a choice leads to. Nothing follows a violation, so that its state has no key."""
        replicas = {node: self._nodes[after.nodes[node]].replica for node in range(self.world.faulty, self.world.n)}
        faults = (*faults, *disagreements(self.world, replicas))
        return Successor(choice, after, None if faults else self.key(after), faults)

    def _rebuilt(self, ordered: Summary) -> GlobalState | None:
        """The state that a summary is rebuilt to."""
        if ordered not in self._states:
            leader = next(self.world.identity(node) for node, entry in enumerate(ordered.entries) if entry.leads)
            rebuilt = self._keys.rebuild(ordered, leader)
            if rebuilt is None:
                self._states[ordered] = None
            else:
                numbers = self._numbers(rebuilt.round - 1, rebuilt.nodes, settles=True)
                self._states[ordered] = GlobalState(rebuilt.round, leader, numbers, ordered.last)
        return self._states[ordered]

    def _moved(self, places: tuple[int, ...]) -> tuple[int, ...]:
        """For each choice in the names of the sorted summary, the choice in the names of the state itself."""
        table = self._tables.get(places)
        if table is None:
            place = dict(enumerate(places))
            table = tuple([self._index[renamed(choice, place)] for choice in self.model.choices])
            self._tables[places] = table
        return table

    def _repeated_choices(self, found: Summary) -> frozenset[int]:
        """Choices that another choice equals once correct nodes that are alike in this state change places."""
        classes = tuple([tuple(alike) for alike in found.alike(self.world.cast) if len(alike) > 1])
        known = self._repeated.get(classes)
        if known is None:
            repeated: set[int] = set()
            for images in product(*[permutations(alike) for alike in classes]):
                place = {
                    node: image
                    for alike, order in zip(classes, images, strict=True)
                    for node, image in zip(alike, order, strict=True)
                }
                for index, choice in enumerate(self.model.choices):
                    if self._index[renamed(choice, place)] < index:
                        repeated.add(index)
            known = self._repeated[classes] = frozenset(repeated)
        return known

    def _step(
        self,
        state: GlobalState,
        choice: Choice,
        known: dict[Hashable, tuple[tuple[int, ...], tuple[PhaseOutcome, ...]]] | None = None,
    ) -> tuple[GlobalState, tuple[Fault, ...]]:
        """One step; `known` are phases of other choices in this state, which begin alike."""
        numbers = state.nodes
        faults: list[Fault] = []
        voted: set[tuple[int, bytes]] = set()
        known = {} if known is None else known
        for kind, sets in self.model.phases(choice, state.last):
            call = (numbers, kind.name, sets, choice.reverse, choice.leader if kind.collects else NOBODY)
            result = known.get(call)
            if result is None:
                result = known[call] = self._phase(state, numbers, kind, sets, choice)
            numbers, outcomes = result
            for outcome in outcomes:
                faults.extend(outcome.faults)
                voted.update(outcome.voted)
            if any(outcome.over for outcome in outcomes):
                break
        certified = frozenset().union(*{self._certified[number] for number in numbers})
        faults.extend(certified_twice(self.world, state.round, voted, certified))
        last = moved(choice.partition, {}) if self.model.remembers else ()
        return GlobalState(state.round + 1, choice.leader, numbers, last), tuple(faults)

    def _phase(
        self, state: GlobalState, numbers: tuple[int, ...], kind: Kind, sets: Sets, choice: Choice
    ) -> tuple[tuple[int, ...], tuple[PhaseOutcome, ...]]:
        """The nodes after a phase, and the outcomes of sets in which there is something to tell."""
        nodes = list(numbers)
        outcomes = []
        for members in sets:
            before = tuple([numbers[node] for node in members])
            after, outcome = self._evaluate(state, members, before, kind, choice)
            for node, number in zip(members, after, strict=True):
                nodes[node] = number
            if outcome.voted or outcome.faults:
                outcomes.append(outcome)
        return tuple(nodes), tuple(outcomes)

    def _evaluate(
        self, state: GlobalState, members: tuple[int, ...], before: tuple[int, ...], kind: Kind, choice: Choice
    ) -> tuple[tuple[int, ...], PhaseOutcome]:
        # Who leads matters while proposals pass; the order of what goes to added copies, where some are among others.
        world = self.world
        reverse = choice.reverse and len(members) > 1 and members[-1] >= world.n
        leader = state.leader if kind.leads else NOBODY
        collector = collector_of(world, choice.leader, members) if kind.collects else NOBODY
        memo = (state.round, leader, members, before, kind.name, reverse, collector)
        known = self._outcomes.get(memo)
        if known is not None:
            return known
        if self._is_idle(before, state.round, kind):
            return before, IDLE
        self.evaluations += 1
        states = [self._nodes[number] for number in before]
        outcome = run_phase(
            world, state.round, members, states, kind, leader, collector, self._proposers, reverse=reverse
        )
        after = self._numbers(state.round, outcome.states, settles=kind.settles)
        result = (after, outcome._replace(states=()))  # the states are known by their numbers
        orders = (reverse,) if outcome.ordered else (False, True)
        collectors = (
            (collector,)
            if outcome.collected or not kind.collects
            else {NOBODY, *[world.identity(node) for node in members]}
        )
        for order, other in product(orders, collectors):
            self._outcomes[*memo[:5], order, other] = result
        return result

    def _is_idle(self, before: tuple[int, ...], step_round: int, kind: Kind) -> bool:
        """Whether nothing happens: nobody has something under way, nor a timer that fires in this phase."""
        if kind.crashes:
            return False
        round_ = step_round - kind.previous
        timers = "timers" in kind.actions
        for number in before:
            node = self._nodes[number]
            if timers and node.replica.current_round == round_:
                return False
            for _, message in node.kept:
                if self.world.round_of(message) <= round_ and self.world.kinds[type(message)] not in kind.withhold:
                    return False
        return True

    def _numbers(self, round_: int, states: Sequence[NodeState], *, settles: bool) -> tuple[int, ...]:
        """The numbers of nodes after a phase of step `round_`: states that differ in nothing that is alive have one."""
        for state in states:
            self._keys.settle(state.replica, settles=settles)
        return tuple([self._number(state, self._keys.raw(round_, state)) for state in states])

    def _number(self, state: NodeState, key: Hashable) -> int:
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._nodes)
            self._nodes.append(state)
            self._facts.append(self._keys.facts(state))
            self._certified.append(certified_by(self.world, state.replica))
            for _, message in state.kept:
                # A leader's copies propose different blocks, so that a block tells which of them proposed it.
                self._proposers.update(self.world.proposed(message))
        return number


_encode = msgspec.msgpack.Encoder().encode


def digest(key: Hashable) -> bytes:
    """16 bytes that stand for a key, the same in every process."""
    return blake2b(_encode(key), digest_size=16).digest()
