"""Random runs that violate something, made as small as they get: by making them again and again with less in them.

A smaller run is taken if it violates the same property. What goes: planted bugs, incidents, clients, Byzantine
replicas, replicas, requests, losses and delays, skewed clocks, settings, time (see `reductions`). From the same run
comes the same smallest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from diembft.crypto.interface import Crypto
from diembft.errors import InputError
from diembft.faults.registry import plant
from diembft.reducing import Reduction, reduced
from diembft.simulation.drawing import DrawnRun
from diembft.simulation.fuzz import EXCEPTION, run_drawn
from diembft.simulation.reductions import REDUCTIONS
from diembft.trace.records import Violated

MOST_EXECUTIONS = 1000
"""How many runs are made at most, unless the caller says otherwise."""


class Case(Struct, frozen=True, kw_only=True):
    """A run, and what is run: all that its result depends on."""

    run: DrawnRun
    bugs: tuple[str, ...] = ()
    """Names of planted bugs."""
    crypto: Crypto = "symbolic"


class ShrunkCase(Struct, frozen=True, kw_only=True):
    """A case as small as it got."""

    case: Case
    violation: Violated
    """The violation that was kept, as it shows here."""
    executions: int
    """How many runs were made."""
    complete: bool
    """Whether nothing more can go; else it ended before."""


OnRun: TypeAlias = Callable[[ShrunkCase], None]
"""Called after each run with what came of all so far."""


def shrink_case(case: Case, *, most: int = MOST_EXECUTIONS, watch: OnRun | None = None) -> ShrunkCase:
    """Make a case smaller, as long as it violates the property that it violates first.

    Raises InputError if it violates none.
    """
    found = _violations(case)
    if not found:
        raise InputError(f"scenario {case.run.index} of seed {case.run.seed}: violates nothing")
    shrinking = _Shrinking(case, found[0], most, watch)
    reduced(case, _REDUCTIONS, shrinking.try_one)
    return shrinking.so_far(complete=not shrinking.cut_short)


def _violations(case: Case) -> tuple[Violated, ...]:
    return run_drawn(case.run, bugs=plant(case.bugs), crypto=case.crypto).violations


class _Shrinking:
    """The smallest case so far, and which were tried."""

    def __init__(self, case: Case, violation: Violated, most: int, watch: OnRun | None) -> None:
        self.smallest = case
        self.violation = violation
        self.tried = {case: None}
        self.cut_short = False
        self._what = _what(violation)
        self._most = most
        self._watch = watch

    def try_one(self, case: Case) -> bool:
        """Make a run, unless it is known, and take it if it shows the violation."""
        if case in self.tried:
            return False
        if len(self.tried) >= self._most:
            self.cut_short = True
            return False
        self.tried[case] = None
        found = [violated for violated in _violations(case) if _what(violated) == self._what]
        if found:
            self.smallest, self.violation = case, found[0]
        if self._watch is not None:
            self._watch(self.so_far(complete=False))
        return bool(found)

    def so_far(self, *, complete: bool) -> ShrunkCase:
        """What came of it."""
        return ShrunkCase(case=self.smallest, violation=self.violation, executions=len(self.tried), complete=complete)


def _what(violated: Violated) -> tuple[str, ...]:
    """What counts as the same violation: one of the same property; of exceptions, one of the same kind and place."""
    if violated.property != EXCEPTION:
        return (violated.property,)
    return violated.property, violated.detail.partition(":")[0], violated.detail.rpartition("(")[2]


def _without_bugs(case: Case) -> Iterator[Case]:
    for bug in case.bugs:
        yield replace(case, bugs=tuple([other for other in case.bugs if other != bug]))


def _of_run(reduction: Reduction[DrawnRun], case: Case) -> Iterator[Case]:
    for run in reduction(case.run):
        yield replace(case, run=run)


_REDUCTIONS: tuple[Reduction[Case], ...] = (
    _without_bugs,
    *[partial(_of_run, reduction) for reduction in REDUCTIONS],
)
