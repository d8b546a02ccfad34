"""Walks: long paths of drawn choices through whole states, by code that runs as it runs in any scenario.

A walk knows nothing of the search but its key: it says from which key each step led to which. That a step leads where
the search has no successor shows that the key merges what behaves differently. Every choice may be drawn, those too
that the search leaves out by symmetry.

A key that is wrong seldom shows on the paths that chance prefers. So three walks of four go *by novelty*: of four
choices that are drawn in a state, all are made, and the walk goes on where the key has been met least. Each fourth walk
is plain: one choice is drawn and made.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from diembft.twins.exhaustion.conjecture import NOBODY_LEFT
from diembft.twins.exhaustion.expansion import ChoicePath, FoundViolation, found_violation, told
from diembft.twins.exhaustion.stepping import Stepper, WholeState

DRAWN = 4
"""Choices that are made in each state of a walk by novelty."""

PLAIN_EVERY = 4
"""Which walks are plain."""

TRIES = 8
"""How often a plain walk draws a choice after which somebody is left in the next round."""

MIN_ROUNDS = 24
"""How long a walk is at least; see `rounds_of`."""

TIMES_DEPTH = 3
"""How many times deeper than the search."""


class Edge(NamedTuple):
    """One step that was made: the digest of the key that it began in, and of that which it led to."""

    before: bytes
    after: bytes
    position: int
    """How many choices of the path had been made before."""
    choice: int


class Walk(NamedTuple):
    """One walk."""

    number: int
    path: ChoicePath
    """Which initial state, then the choice of each round."""
    initial: bytes
    edges: tuple[Edge, ...]
    found: FoundViolation | None = None
    """The violation that ended it."""
    failure: str = ""
    """What the key itself raised, if it did: then the path ends there."""

    @property
    def plain(self) -> bool:
        """Whether nothing was chosen by novelty."""
        return is_plain(self.number)

    def path_of(self, edge: Edge) -> ChoicePath:
        """The path that ends with a step."""
        return (*self.path[: edge.position + 1], edge.choice)


def is_plain(number: int) -> bool:
    """Whether the walk of this number is plain."""
    return number % PLAIN_EVERY == PLAIN_EVERY - 1


def rounds_of(decided: int) -> int:
    """How many rounds a walk has, if the search decided so many."""
    return max(MIN_ROUNDS, TIMES_DEPTH * decided)


def walk(stepper: Stepper, seed: str, number: int, rounds: int, met: dict[bytes, int]) -> Walk:
    """One walk by a stepper that is new. It depends on its arguments alone; `met` counts how often walks before it went
    on from each key."""
    return _Walking(stepper, random.Random(f"{seed}/{number}"), number, met).run(rounds)


class KeyFailure(Exception):
    """The protocol's key cannot say what it is of a state."""


class _Walking:
    """A walk under way."""

    def __init__(self, stepper: Stepper, rng: random.Random, number: int, met: dict[bytes, int]) -> None:
        self.stepper = stepper
        self.rng = rng
        self.number = number
        self.met = met
        self.path: ChoicePath = (rng.randrange(len(stepper.leaders)),)
        self.edges: list[Edge] = []
        self.found: FoundViolation | None = None

    def run(self, rounds: int) -> Walk:
        initial = NOBODY_LEFT
        failure = ""
        try:
            state = self.stepper.initial(self.path[0])
            initial = key = key_of(self.stepper, state)
            for _ in range(rounds):
                following = self.next(state, key)
                if following is None:
                    break
                choice, state, key = following
                self.path = (*self.path, choice)
                self.met[key] = self.met.get(key, 0) + 1
        except KeyFailure as error:
            failure = str(error)
        return Walk(self.number, self.path, initial, tuple(self.edges), self.found, failure)

    def next(self, state: WholeState, key: bytes) -> tuple[int, WholeState, bytes] | None:
        """Where the walk goes on; None where it ends."""
        made = []
        for draw in range(TRIES if is_plain(self.number) else DRAWN):
            choice = self.rng.randrange(len(self.stepper.model.choices))
            after, faults = self.stepper.step(state, self.stepper.model.choices[choice])
            if faults:
                self.found = found_violation((*self.path, choice), faults)
                return None
            after_key = key_of(self.stepper, after)
            self.edges.append(Edge(key, after_key, len(self.path) - 1, choice))
            if after_key != NOBODY_LEFT:
                made.append((self.met.get(after_key, 0), draw, choice, after, after_key))
                if is_plain(self.number):
                    break
        if not made:
            return None
        _, _, choice, after, after_key = min(made, key=lambda entry: entry[:2])
        return choice, after, after_key


def key_of(stepper: Stepper, state: WholeState) -> bytes:
    """The digest of a state's key. Raises KeyFailure."""
    try:
        return stepper.key(state)
    except Exception as error:
        raise KeyFailure(f"the key fails: {told(error)}") from error
