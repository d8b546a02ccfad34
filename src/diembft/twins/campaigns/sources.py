"""Where the scenarios of a campaign come from: a list, or a range of a space. Both are pickled, and cut into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import TypeAlias

import msgspec
from msgspec import Struct

from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space

_encoder = msgspec.json.Encoder()


class ScenarioList(Struct, frozen=True):
    """Scenarios in a list, as read from a file."""

    listed: tuple[Scenario, ...]

    @property
    def bugs(self) -> tuple[str, ...]:
        """The bugs that are planted in any of them."""
        return tuple(dict.fromkeys([bug for scenario in self.listed for bug in scenario.bugs]))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.listed)

    def scenarios(self, start: int, count: int) -> Iterator[Scenario]:
        """Those of a range."""
        return iter(self.listed[start : start + count])

    def part(self, start: int, count: int) -> ScenarioList:
        """Those of a range, as a list of its own."""
        return ScenarioList(self.listed[start : start + count])

    def digest(self) -> str:
        """A digest of all of them."""
        return blake2b(_encoder.encode(self.listed), digest_size=16).hexdigest()


class ScenarioRange(Struct, frozen=True):
    """A range of a space or, with a seed, of the sample that the seed fixes: generated where it is executed.

    With `canonical`, only one of each set of scenarios that renaming makes equal.
    """

    space: Space
    start: int
    count: int
    seed: int | None = None
    canonical: bool = False

    @property
    def bugs(self) -> tuple[str, ...]:
        """The bugs that are planted in each of them."""
        return self.space.bugs

    def scenarios(self, start: int, count: int) -> Iterator[Scenario]:
        """Those of a range within this one; with `canonical` there may be fewer."""
        count = min(count, self.count - start)
        for rank in self.space.ranks(self.start + start, count, seed=self.seed, canonical=self.canonical):
            yield self.space.scenario(rank)

    def part(self, start: int, count: int) -> ScenarioRange:
        """A range within this one, as one of its own."""
        count = min(count, self.count - start)
        return ScenarioRange(self.space, self.start + start, count, self.seed, self.canonical)

    def digest(self) -> str:
        """A digest of the space and of all that says which of its scenarios these are."""
        return blake2b(_encoder.encode(self), digest_size=16).hexdigest()


ScenarioSource: TypeAlias = ScenarioList | ScenarioRange


def neighbourly(scenarios: Sequence[Scenario]) -> bool:
    """Whether scenarios that follow one another begin alike, so that sharing pays."""
    pairs = list(pairwise(scenarios[:1000]))
    alike = sum([_common(one, other) for one, other in pairs])
    return bool(pairs) and alike >= len(pairs) * 2


def _common(one: Scenario, other: Scenario) -> int:
    """How many rounds two scenarios begin with alike."""
    common = 0
    for mine, its in zip(one.rounds, other.rounds, strict=False):
        if mine != its:
            break
        common += 1
    return common
