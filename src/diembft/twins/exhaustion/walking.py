"""Walks made by workers, and held against what the search takes for true.

Walks are drawn in *streams*, one for each worker: a walk depends on the seed, its stream and its number, and on the
walks of its stream before it, which say what is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import NamedTuple, TypeAlias

from diembft.twins.exhaustion.confirmation import objections
from diembft.twins.exhaustion.conjecture import Conjecture
from diembft.twins.exhaustion.differences import Difference, difference_of
from diembft.twins.exhaustion.expansion import Attest, FoundViolation
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.stepping import Stepper
from diembft.twins.exhaustion.walks import Walk, walk

TASK_STEPS = 400
"""How many steps a task makes before it reports: less than a second's worth."""


class WalkPlan(NamedTuple):
    """How walks are made. They end when there are so many steps and so many seconds have passed, whichever is set."""

    rounds: int
    """Of a walk."""
    seed: int = 0
    steps: int | None = None
    seconds: float | None = None
    streams: int = 1
    attest: Attest | None = None
    """Says, in a worker, which code it runs."""


class Walked(NamedTuple):
    """What walks came to."""

    walks: int
    steps: int
    rounds: int
    """Of a walk, at most."""
    seconds: float
    keys: int
    """How many keys were met."""
    executed: int
    """How many walks were executed by the executor as well, and judged by the judge."""
    difference: Difference | None = None
    found: FoundViolation | None = None
    cores: frozenset[str] = frozenset()
    """What stands for the code that workers ran, if they were asked."""


OnWalks: TypeAlias = Callable[[Walked], None]


def walk_on(
    question: Question, plan: WalkPlan, conjecture: Conjecture, executor: Executor | None, on_walks: OnWalks
) -> Walked:
    """Walk until the plan is fulfilled, or a violation is found. After a difference walks go on: they may yet find what
    the wrong key hid."""
    return _Walkers(question, plan, conjecture).run(executor, on_walks)


class _Stream(NamedTuple):
    """Where a stream of walks is."""

    number: int
    walks: int
    met: dict[bytes, int]


class _Report(NamedTuple):
    """What a task comes to."""

    stream: _Stream
    walks: list[Walk]
    core: str


def _task(question: Question, plan: WalkPlan, stream: _Stream, steps: int, seconds: float | None) -> _Report:
    """Some walks of a stream: until there are so many steps, or a violation, or the time is over; at least one."""
    deadline = None if seconds is None else time.monotonic() + seconds
    walks: list[Walk] = []
    made = 0
    met = dict(stream.met)
    while made < steps and (not walks or deadline is None or time.monotonic() < deadline):
        one = walk(Stepper(question), f"{plan.seed}/{stream.number}", stream.walks + len(walks), plan.rounds, met)
        if one.plain and one.found is None:
            one = _executed(question, one)
        walks.append(one)
        made += len(one.edges)
        if one.found is not None:
            break
    core = "" if plan.attest is None else plan.attest(question.protocol)
    return _Report(_Stream(stream.number, stream.walks + len(walks), met), walks, core)


def _executed(question: Question, one: Walk) -> Walk:
    """A walk that found nothing, executed from its beginning to its end: what was not looked for in single steps."""
    findings = objections(question, one.path)
    if not findings:
        return one
    oracles = tuple([finding.oracle for finding in findings])
    return one._replace(found=FoundViolation(one.path, oracles, tuple([finding.detail for finding in findings])))


class _Walkers:
    """All streams, and what they came to."""

    def __init__(self, question: Question, plan: WalkPlan, conjecture: Conjecture) -> None:
        self._question = question
        self._plan = plan
        self._conjecture = conjecture
        self._began = time.monotonic()
        self._keys: set[bytes] = set()
        self._walked = Walked(0, 0, plan.rounds, 0.0, 0, 0)

    def run(self, executor: Executor | None, on_walks: OnWalks) -> Walked:
        streams = [_Stream(number, 0, {}) for number in range(self._plan.streams)]
        if executor is None:
            while self._goes_on():
                streams.append(self._take(_task(*self._call(streams.pop(0))), on_walks))
            return self._walked
        under_way: set[Future[_Report]] = {executor.submit(_task, *self._call(stream)) for stream in streams}
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                stream = self._take(future.result(), on_walks)
                if self._goes_on():
                    under_way.add(executor.submit(_task, *self._call(stream)))
        return self._walked

    def _call(self, stream: _Stream) -> tuple[Question, WalkPlan, _Stream, int, float | None]:
        plan = self._plan
        steps = TASK_STEPS if plan.steps is None else min(TASK_STEPS, max(1, plan.steps - self._walked.steps))
        return self._question, plan, stream, steps, self._seconds_left()

    def _seconds_left(self) -> float | None:
        seconds = self._plan.seconds
        return None if seconds is None else self._began + seconds - time.monotonic()

    def _goes_on(self) -> bool:
        walked, left = self._walked, self._seconds_left()
        if walked.found is not None or (left is not None and left <= 0):
            return False
        return self._plan.steps is None or walked.steps < self._plan.steps

    def _take(self, report: _Report, on_walks: OnWalks) -> _Stream:
        """Count a report, and hold its walks against the search."""
        walked = self._walked
        difference, found = walked.difference, walked.found
        for one in report.walks:
            difference = difference or difference_of(self._conjecture, one)
            found = found or one.found
            self._keys.update([edge.after for edge in one.edges])
        self._walked = Walked(
            walked.walks + len(report.walks),
            walked.steps + sum([len(one.edges) for one in report.walks]),
            walked.rounds,
            time.monotonic() - self._began,
            len(self._keys),
            walked.executed + len([one for one in report.walks if one.plain]),
            difference,
            found,
            walked.cores | {report.core},
        )
        on_walks(self._walked)
        return report.stream
