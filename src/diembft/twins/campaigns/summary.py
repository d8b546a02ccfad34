"""What came of scenarios: the result of each, and what results add up to."""

from __future__ import annotations

from collections import Counter

import msgspec
from msgspec import Struct

from diembft.judge.expected import none_violated
from diembft.twins.runs.oracles import ORACLES

SHOWN_UNEXPECTED = 100
"""How many unexpected results a summary keeps."""


class Violation(Struct, frozen=True):
    """One violated oracle, as results have it."""

    oracle: str
    detail: str
    round: int | None = None
    nodes: tuple[str, ...] = ()


class ScenarioResult(Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="result"):
    """What came of one scenario. `index` counts within the campaign."""

    index: int
    name: str
    as_expected: bool
    ending: str
    """Why the execution ended: `complete`, `stuck` or `timed_out`."""
    violations: tuple[Violation, ...] = ()
    undecided: tuple[str, ...] = ()
    """Oracles that could not tell."""
    unkept: bool = False
    """Liveness is undecided, though the scenario promises it."""
    bugs: tuple[str, ...] = ()


class CampaignSummary(Struct):
    """What results add up to."""

    scenarios: int = 0
    as_expected: int = 0
    violated: int = 0
    unkept: int = 0
    endings: Counter[str] = msgspec.field(default_factory=Counter)
    oracles: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each oracle was violated."""
    undecided: Counter[str] = msgspec.field(default_factory=Counter)
    unexpected: list[ScenarioResult] = msgspec.field(default_factory=list)
    """The first results that are not as expected, by index."""
    first_violated: ScenarioResult | None = None
    """Of those that are violated the one with the lowest index."""
    wanted: bool = False
    """Whether one of them at least must be violated."""

    def add(self, result: ScenarioResult) -> None:
        """Count one result."""
        self.scenarios += 1
        self.as_expected += result.as_expected
        self.violated += bool(result.violations)
        self.unkept += result.unkept
        self.endings[result.ending] += 1
        self.oracles.update([violation.oracle for violation in result.violations])
        self.undecided.update(result.undecided)
        if result.violations and (self.first_violated is None or result.index < self.first_violated.index):
            self.first_violated = result
        if not result.as_expected:
            self.unexpected.append(result)
            if len(self.unexpected) > 2 * SHOWN_UNEXPECTED:
                self.shorten()

    def shorten(self) -> None:
        """Keep the unexpected results that come first."""
        self.unexpected.sort(key=lambda result: result.index)
        del self.unexpected[SHOWN_UNEXPECTED:]

    def judged(self, oracle: str) -> int:
        """Of how many scenarios an oracle could tell."""
        return self.scenarios - self.undecided[oracle]

    @property
    def shortfall(self) -> str:
        """What all results together lack, though each may be as expected; "" if nothing."""
        if not self.scenarios:
            return "no scenario was executed"
        if not any(map(self.judged, ORACLES)):
            return "no oracle could tell anything"
        if self.wanted and not self.violated:
            return none_violated(self.scenarios)
        return ""

    @property
    def passed(self) -> bool:
        """Whether the results are as expected, each and together."""
        return self.as_expected == self.scenarios and not self.shortfall
