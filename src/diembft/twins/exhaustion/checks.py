"""Whether the canonical key and the search that trusts it are right: three checks against unreduced states.

*Unreduced* states are exact: the whole of every replica, with nothing merged, renamed, skipped or forgotten, and
nothing rebuilt. What is compared are sets of canonical keys and violations, which say the same for both.

- `brute_force`: to a small depth, the unreduced states have the keys that the search finds, level by level;
- `walks`: walks of many rounds, by the code as it runs, go where the search goes, step by step;
- `pairs`: unreduced states of one key have successors of the same keys and violations, and so has the state that
  the search takes for them.

A key that merges too much is caught: the tests let each check catch some (`protocols.diembft.wrong_keys`).
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator, Sequence
from itertools import permutations, zip_longest
from typing import NamedTuple, TypeAlias

from typing_extensions import override

from diembft.protocols.states import Coarsening, NodeState, Summary
from diembft.twins.exhaustion.conjecture import NOBODY_LEFT, Conjecture
from diembft.twins.exhaustion.differences import difference_of
from diembft.twins.exhaustion.engine import Engine, GlobalState, Successor, digest
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.stepping import Stepper
from diembft.twins.exhaustion.walks import TRIES, walk
from diembft.twins.runs.models import Choice, Kind, PhaseOutcome, collector_of, renamed, run_phase
from diembft.twins.runs.world import World

Behaviour: TypeAlias = frozenset[tuple[Hashable, tuple[str, ...]]]
"""What the choices of a state lead to: keys of successors, and the oracles that object."""

WALKS_A_PAIR = 20
"""How many walks are tried to find a pair."""


def exact(found: Summary) -> Summary:
    """The canonical key itself."""
    return found


class Setting(NamedTuple):
    """What is checked."""

    question: Question
    coarsen: Coarsening = exact
    choices: int | None = None
    """At most so many choices of a round, drawn; None: all of them."""
    seed: int = 0

    def search(self) -> CoarseEngine:
        """What the search computes with."""
        return CoarseEngine(self)

    def unreduced(self) -> Unreduced:
        """What it is compared with."""
        return Unreduced(self)


class CoarseEngine(Engine):
    """The engine of the search, perhaps with another key and fewer choices."""

    def __init__(self, setting: Setting) -> None:
        engine = setting.question.engine()
        model = engine.model
        if setting.choices is not None:
            model = type(model)(drawn(engine.world, model.choices, setting.choices, random.Random(setting.seed)))
        super().__init__(engine.world, model)
        self.coarsen = setting.coarsen

    @override
    def key(self, state: GlobalState) -> Hashable:
        if self.coarsen is exact:
            return super().key(state)
        found = self.summary(state)
        return None if found is None else self.coarsen(found).key(self.world.cast)

    def look(self, state: GlobalState) -> Hashable:
        """What one sees of a state without knowing what matters: how many rounds ago everything was, node by node."""
        facts = [self._facts[number] for number in state.nodes]
        nodes = [
            (*self._keys.look(of_node, state.round), self.world.identity(node) == state.leader)
            for node, of_node in enumerate(facts)
        ]
        correct = slice(self.world.faulty, self.world.n)
        return (tuple(sorted(nodes[correct])), tuple(nodes[: correct.start]), tuple(nodes[correct.stop :]))

    def at(self, path: tuple[int, ...]) -> GlobalState:
        """The state that a path of choices leads to, from an initial state on."""
        state = self.initial()[path[0]]
        for choice in path[1:]:
            state = self.apply(state, choice).state
        return state


def drawn(world: World, choices: tuple[Choice, ...], limit: int, rng: random.Random) -> tuple[Choice, ...]:
    """Some of the choices: with each one all that it becomes when correct nodes change places, and at least one."""
    correct = range(world.faulty, world.n)
    places = [dict(zip(correct, image, strict=True)) for image in permutations(correct)]
    orbits: dict[Choice, list[Choice]] = {}
    for choice in choices:
        least = min([renamed(choice, place) for place in places], key=repr)
        orbits.setdefault(least, []).append(choice)
    order = list(orbits.values())
    rng.shuffle(order)
    order.sort(key=lambda orbit: len(orbit) > limit)
    taken = order[0]
    for orbit in order[1:]:
        if len(taken) + len(orbit) <= limit:
            taken = taken + orbit
    return tuple([choice for choice in choices if choice in taken])


class Unreduced(CoarseEngine):
    """Unreduced states. Only what is the very same in every detail is not computed again."""

    def successors(self, state: GlobalState) -> Iterator[Successor]:
        """What all choices lead to."""
        for choice in range(len(self.model.choices)):
            yield self.apply(state, choice)

    def forget(self) -> None:
        """Free the memory that outcomes of earlier rounds take."""
        self._outcomes.clear()

    def _evaluate(
        self, state: GlobalState, members: tuple[int, ...], before: tuple[int, ...], kind: Kind, choice: Choice
    ) -> tuple[tuple[int, ...], PhaseOutcome]:
        collector = collector_of(self.world, choice.leader, members)
        call = (state, members, before, kind, collector, choice.reverse)
        known = self._outcomes.get(call)
        if known is not None:
            return known
        outcome = run_phase(
            self.world,
            state.round,
            members,
            [self.node(number) for number in before],
            kind,
            state.leader,
            collector,
            self._proposers,
            reverse=choice.reverse,
        )
        after = self._numbers(state.round, outcome.states, settles=kind.settles)
        self._outcomes[call] = (after, outcome)
        return after, outcome

    def _numbers(self, round_: int, states: Sequence[NodeState], *, settles: bool) -> tuple[int, ...]:
        return tuple([self._number(state, self._keys.exact(state)) for state in states])


def objections(successor: Successor) -> tuple[str, ...]:
    """The oracles that object to a successor."""
    return tuple(sorted({fault.oracle for fault in successor.faults}))


class LevelKeys(NamedTuple):
    """What a breadth-first search comes to at one level."""

    round: int
    states: int
    new: frozenset[bytes]
    """Digests of the keys that no earlier level has."""
    violations: frozenset[tuple[str, ...]]
    """Of the transitions into this level."""


def levels(system: CoarseEngine, rounds: int | None = None) -> Iterator[LevelKeys]:
    """Breadth first. Unreduced states are continued one by one, those of a search one for each key."""
    unreduced = isinstance(system, Unreduced)
    visited: set[bytes] = set()
    known: set[GlobalState] = set()
    frontier: list[GlobalState] = []
    new: set[bytes] = set()
    for state in system.initial():
        key = digest(system.key(state))
        if unreduced or key not in visited:
            frontier.append(state)
        visited.add(key)
        new.add(key)
    yield LevelKeys(1, len(frontier), frozenset(new), frozenset())
    round_ = 1
    while frontier and (rounds is None or round_ <= rounds):
        round_ += 1
        following: list[GlobalState] = []
        new, violations = set(), set()
        for state in frontier:
            for successor in system.successors(state):
                if successor.faults:
                    violations.add(objections(successor))
                    continue
                if successor.key is None:
                    continue
                key = digest(successor.key)
                first = key not in visited
                if first:
                    visited.add(key)
                    new.add(key)
                if first if not unreduced else successor.state not in known:
                    known.add(successor.state)
                    following.append(successor.state)
        frontier = following
        yield LevelKeys(round_, len(frontier), frozenset(new), frozenset(violations))


class Difference(NamedTuple):
    """What a check found."""

    check: str
    detail: str


class CheckReport(NamedTuple):
    """What a check compared, and what differed."""

    check: str
    compared: str
    differences: tuple[Difference, ...]


def brute_force(setting: Setting, rounds: int) -> CheckReport:
    """Compare the search with all unreduced states of so many rounds."""
    found: list[Difference] = []
    states = keys = 0
    unreduced, search = setting.unreduced(), setting.search()
    for raw, searched in zip(levels(unreduced, rounds), levels(search, rounds), strict=False):
        unreduced.forget()
        states += raw.states
        keys += len(searched.new)
        where = f"before round {raw.round}"
        missing, extra = len(raw.new - searched.new), len(searched.new - raw.new)
        if missing or extra:
            detail = f"{where}: the search misses {missing} keys of unreduced states, and has {extra} that none has"
            found.append(Difference("brute force", detail))
        if raw.violations != searched.violations:
            mine, its = sorted(raw.violations), sorted(searched.violations)
            detail = f"{where}: violated are {mine} in unreduced states, {its} in the search"
            found.append(Difference("brute force", detail))
    choices = len(search.model.choices)
    compared = f"{states} unreduced states of up to {rounds} rounds of {choices} choices, with {keys} keys"
    return CheckReport("brute force", compared, tuple(found))


def conjecture_of(setting: Setting, rounds: int | None = None) -> Conjecture:
    """What a search with the key of this setting takes for true; `rounds`: of scenarios of no more rounds."""
    engine = setting.search()
    conjecture = Conjecture()
    frontier = [state for state in engine.initial() if conjecture.add(digest(engine.key(state)))]
    conjecture.begin()
    followed = 0
    while frontier and (rounds is None or followed < rounds):
        followed += 1
        following: list[GlobalState] = []
        for state in frontier:
            keys = []
            for successor in engine.successors(state):
                if successor.faults:
                    continue
                key = NOBODY_LEFT if successor.key is None else digest(successor.key)
                keys.append(key)
                if key != NOBODY_LEFT and conjecture.add(key):
                    following.append(successor.state)
            conjecture.follow(keys)
        frontier = following
    return conjecture


def walks(setting: Setting, conjecture: Conjecture, *, count: int, rounds: int) -> CheckReport:
    """Walks go where the search goes, as far as it went."""
    choices = setting.search().model.choices
    coarsen = None if setting.coarsen is exact else setting.coarsen
    found: list[Difference] = []
    steps = 0
    met: dict[bytes, int] = {}
    for number in range(count):
        one = walk(Stepper(setting.question, choices, coarsen), str(setting.seed), number, rounds, met)
        steps += len(one.edges)
        difference = difference_of(conjecture, one)
        if difference is not None:
            found.append(Difference("walks", f"choices {difference.path}: {difference.detail}"))
    compared = f"{count} walks of up to {rounds} rounds, {steps} steps, {len(met)} of {len(conjecture)} keys met"
    return CheckReport("walks", compared, tuple(found))


def drawn_walk(system: Unreduced, rng: random.Random, rounds: int) -> Iterator[tuple[ChoicePath, Successor]]:
    """A random walk with its path so far, until a violation, or until nobody is left."""
    initial = system.initial()
    path: ChoicePath = (rng.randrange(len(initial)),)
    state = initial[path[0]]
    for _ in range(rounds):
        for _ in range(TRIES):
            successor = system.apply(state, rng.randrange(len(system.model.choices)))
            if successor.faults or successor.key is not None:
                break
        if successor.key is None and not successor.faults:
            return
        path = (*path, successor.choice)
        yield path, successor
        if successor.faults:
            return
        state = successor.state


def behaviour(system: CoarseEngine, state: GlobalState) -> Behaviour:
    """What the choices of a state lead to."""
    return frozenset(
        [(None if successor.faults else successor.key, objections(successor)) for successor in system.successors(state)]
    )


def pairs(setting: Setting, *, count: int, rounds: int) -> CheckReport:
    """States of one key have the same successors, as has the state that the search takes for them.

    Most pairs are among what the search merges, others are met on random walks.
    """
    rng = random.Random(setting.seed)
    unreduced, search = setting.unreduced(), setting.search()
    known: dict[ChoicePath, Behaviour] = {}
    found: list[Difference] = []

    def of(path: ChoicePath) -> Behaviour:
        if path not in known:
            known[path] = behaviour(unreduced, unreduced.at(path))
            unreduced.forget()
            compare(path, "the state of the search", known[path], behaviour(search, search.at(path)))
        return known[path]

    def compare(path: ChoicePath, other: str, mine: Behaviour, its: Behaviour) -> None:
        if mine != its:
            found.append(Difference("pairs", f"choices {path} against {other}: {_difference(mine, its)}"))

    drawn_pairs = (candidates := merged(search, rounds))[: count - count // 4]
    drawn_pairs += met(unreduced, rng, count - len(drawn_pairs), rounds)
    for one, other in drawn_pairs:
        compare(one, f"choices {other}", of(one), of(other))
    return CheckReport("pairs", f"{len(drawn_pairs)} pairs of {len(candidates)} and more", tuple(found))


def merged(search: CoarseEngine, rounds: int) -> list[tuple[ChoicePath, ChoicePath]]:
    """Paths to states of one key that differ, as a search meets them.

    One pair for each key and each `look` that its states have; they take turns by key, so that rare keys and rare
    looks come up among the first pairs.
    """
    first: dict[Hashable, tuple[ChoicePath, GlobalState]] = {}
    frontier: list[tuple[ChoicePath, GlobalState]] = []
    for index, state in enumerate(search.initial()):
        entry: tuple[ChoicePath, GlobalState] = ((index,), state)
        if first.setdefault(search.key(state), entry) is entry:
            frontier.append(entry)
    found: dict[Hashable, dict[Hashable, tuple[ChoicePath, ChoicePath]]] = {}
    for _ in range(rounds):
        following = []
        for path, state in frontier:
            for successor in search.successors(state):
                if successor.faults or successor.key is None:
                    continue
                # The engine's own successor may stem from a state that stands for this one, in other names.
                entry = ((*path, successor.choice), search.apply(state, successor.choice).state)
                before = first.setdefault(successor.key, entry)
                if before is entry:
                    following.append(entry)
                elif before[1] != entry[1]:
                    looks = found.setdefault(successor.key, {})
                    looks.setdefault(search.look(entry[1]), (before[0], entry[0]))
        frontier = following
    turns = zip_longest(*[list(looks.values())[::-1] for looks in found.values()])
    return [pair for turn in turns for pair in turn if pair is not None]


def met(system: Unreduced, rng: random.Random, count: int, rounds: int) -> list[tuple[ChoicePath, ChoicePath]]:
    """Paths to states of one key that differ, as random walks meet them."""
    first: dict[Hashable, tuple[ChoicePath, GlobalState]] = {}
    found: dict[GlobalState, tuple[ChoicePath, ChoicePath]] = {}
    for _ in range(WALKS_A_PAIR * count):
        system.forget()
        for path, successor in drawn_walk(system, rng, rounds):
            if successor.faults or len(found) >= count:
                break
            before = first.setdefault(successor.key, (path, successor.state))
            if before[1] != successor.state:
                found.setdefault(successor.state, (before[0], path))
    return list(found.values())


def _difference(mine: Behaviour, its: Behaviour) -> str:
    only_mine, only_its = sorted(map(repr, mine - its)), sorted(map(repr, its - mine))
    return "; ".join(
        [
            f"{len(only)} successors only of the {which}, such as {only[0]}"
            for which, only in (("first", only_mine), ("second", only_its))
            if only
        ]
    )
