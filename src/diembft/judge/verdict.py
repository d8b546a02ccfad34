"""What is said of a property: a verdict, and what shows it."""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

from msgspec import Struct, field
from typing_extensions import override


class Verdict(Enum):
    """Of one property in one run."""

    HELD = "held"
    VIOLATED = "violated"
    UNDECIDED = "undecided"
    """Its precondition never came about."""


class Finding(Struct, frozen=True):
    """What was found of a property: the verdict and, if violated, where and what shows it."""

    oracle: str
    """The name of the property."""
    verdict: Verdict = field(name="outcome")
    """`outcome` in JSON."""
    detail: str = ""
    """One sentence."""
    round: int | None = None
    nodes: tuple[str, ...] = ()
    certificates: tuple[Any, ...] = ()
    signed: tuple[Any, ...] = ()
    """Votes and timeouts."""


class Report(Protocol):
    """Takes what a property finds violated."""

    def violated(self, finding: Finding) -> None:
        """Something is violated; a property may say it again each time that it sees it."""
        ...


class Decided(Protocol):
    """A property that knows whether it had anything to judge."""

    @property
    def decided(self) -> bool:
        """Whether it was told a fact about a correct node, so that it is not undecided."""
        ...


class FirstFindings(Report):
    """Keeps the first violation of each property."""

    def __init__(self) -> None:
        self.of: dict[str, Finding] = {}

    @override
    def violated(self, finding: Finding) -> None:
        self.of.setdefault(finding.oracle, finding)


def violation(
    oracle: str,
    detail: str,
    round_: int | None = None,
    nodes: tuple[str, ...] = (),
    certificates: tuple[Any, ...] = (),
    signed: tuple[Any, ...] = (),
) -> Finding:
    """The finding of a violation."""
    return Finding(oracle, Verdict.VIOLATED, detail, round_, nodes, certificates, signed)


def listed(words: tuple[str, ...]) -> str:
    """`a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
