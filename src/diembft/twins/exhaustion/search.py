"""Breadth first over distinct global states until nothing new appears, or a limit is reached.

What is kept of visited states are their digests, and which of them follow which (`conjecture`). A state on the frontier
is the list of choices that first led to it: a worker computes it anew, so that levels are mapped over any
`concurrent.futures` executor, a checkpoint is small, and a violation is a scenario at once. The outcome does not depend
on the number of workers. What it says of scenarios is as good as the key: see `deciding`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from diembft.errors import require, require_moment, require_types
from diembft.twins.exhaustion.checkpoint import SearchCheckpoint, SearchLevel, SearchPart, load, save
from diembft.twins.exhaustion.conjecture import DIGEST_BYTES, NOBODY_LEFT, Conjecture
from diembft.twins.exhaustion.engine import Engine, digest
from diembft.twins.exhaustion.expansion import (
    Attest,
    ChoicePath,
    Expanded,
    FoundViolation,
    expand,
    found_violation,
    told,
)
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.steps import StepFailed

CHUNK = 16
"""States that one task expands."""

TASKS_AHEAD = 64
"""Tasks under way at once."""

SAVE_SECONDS = 300.0
"""How often a search is saved within a level."""

BYTES_A_STATE = 400
"""Memory of the searching process for a visited state: a digest of 16 bytes with its number, the numbers of those that
follow it, and its place on the frontier; measured by `benchmarks/exploration.py`."""


class Limits(msgspec.Struct, frozen=True):
    """Where a search ends although it is not finished; None: nowhere."""

    rounds: int | None = None
    states: int | None = None
    seconds: float | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        require_types(self)
        for field in ("rounds", "states", "memory_bytes"):
            value = getattr(self, field)
            require(value is None or value >= 0, f"Limits.{field}", value, "is negative")
        if self.seconds is not None:
            require_moment(self.seconds, "Limits.seconds")


NO_LIMITS = Limits()


class SearchEnding(Enum):
    """Why a search ended."""

    FIXED_POINT = "fixed point"
    VIOLATION = "violation"
    KEY = "the key failed"
    DEPTH = "depth limit"
    STATES = "state limit"
    TIME = "time limit"
    MEMORY = "memory limit"


class LevelProgress(NamedTuple):
    """How far a level is."""

    round: int
    done: int
    of: int
    visited: int
    rate: float
    """States a second."""


OnLevelProgress: TypeAlias = Callable[[LevelProgress], None]


class Searched(NamedTuple):
    """How a search ended."""

    question: Question
    choices: int
    """Of a round."""
    levels: list[SearchLevel]
    ending: SearchEnding
    found: FoundViolation | None
    transitions: int
    conjecture: Conjecture
    failure: str = ""
    """What went wrong with the key, where that ended the search."""
    cores: frozenset[str] = frozenset()
    """What stands for the code that workers ran, if they were asked, also before a checkpoint."""


def search(
    question: Question,
    *,
    limits: Limits = NO_LIMITS,
    executor: Executor | None = None,
    attest: Attest | None = None,
    checkpoint: Path | None = None,
    on_level: Callable[[SearchLevel], None] = lambda level: None,
    on_progress: OnLevelProgress = lambda progress: None,
) -> Searched:
    """Follow all keys, breadth first, as far as the limits allow.

    With `attest`, each worker says which code it runs. With `checkpoint`, a search goes on from that file if it is
    there, and is saved to it after each level, now and then within one, and when a limit or Ctrl-C ends it. Raises
    InputError if the file belongs to another question.
    """
    engine = question.engine()
    saved = load(checkpoint, question) if checkpoint is not None and checkpoint.exists() else None
    try:
        under_way = _begun(engine, question) if saved is None else _resumed(saved, len(engine.model.choices))
    except StepFailed as failure:  # of a first event, whoever leads
        fault = engine.world.fault(failure)
        return _not_begun(engine, question, SearchEnding.VIOLATION, found=found_violation((0,), (fault,)))
    except Exception as error:  # the key cannot even say what it is of the initial states
        return _not_begun(engine, question, SearchEnding.KEY, failure=told(error))
    if saved is None:
        on_level(under_way.levels[0])
    while under_way.frontier:
        if limits.rounds is not None and under_way.levels[-1].round > limits.rounds:
            return _ended(under_way, SearchEnding.DEPTH)
        ended = _go_on(under_way, limits, _Workers(executor, attest), checkpoint, on_progress)
        if ended is not None:
            return ended
        on_level(under_way.levels[-1])
        _save(under_way, checkpoint)
    return _ended(under_way, SearchEnding.FIXED_POINT)


class _Workers(NamedTuple):
    """Who does the work."""

    executor: Executor | None
    attest: Attest | None


class _Search(msgspec.Struct):
    """A search as far as it is."""

    question: Question
    choices: int
    """Of a round."""
    levels: list[SearchLevel]
    conjecture: Any
    """A Conjecture."""
    frontier: list[ChoicePath]
    """The states of the last level."""
    transitions: int
    began_s: float
    """When it would have begun if it had never been interrupted, by the monotonic clock."""
    cores: set[str] = msgspec.field(default_factory=set)
    part: SearchPart = SearchPart()
    """What of the frontier was followed. It is replaced when a task was taken in whole: an interrupt in the midst of
    that leaves more in the other fields, which does not count."""
    new: list[ChoicePath] = msgspec.field(default_factory=list)
    """The states of the next level."""
    saved_s: float = msgspec.field(default_factory=time.monotonic)
    """When it was saved, or began."""

    @property
    def followed(self) -> int:
        """How many states earlier levels had, which were all followed."""
        return self.levels[-1].visited - len(self.frontier)

    @property
    def left(self) -> list[ChoicePath]:
        """What of the frontier was not followed yet."""
        return self.frontier[self.part.followed :]


def _begun(engine: Engine, question: Question) -> _Search:
    began_s = time.monotonic()
    conjecture = Conjecture()
    frontier: list[ChoicePath] = []
    initial = engine.initial()
    for index, state in enumerate(initial):
        if conjecture.add(digest(engine.key(state))):
            frontier.append((index,))
    conjecture.begin()
    first = SearchLevel(1, len(frontier), len(conjecture), 0, 0, str(len(initial)), 0.0)
    return _Search(question, len(engine.model.choices), [first], conjecture, frontier, 0, began_s)


def _resumed(saved: SearchCheckpoint, choices: int) -> _Search:
    began_s = time.monotonic() - saved.seconds
    keys = [saved.keys[at : at + DIGEST_BYTES] for at in range(0, len(saved.keys), DIGEST_BYTES)]
    conjecture = Conjecture(keys, saved.levels[0].states, saved.successors)
    return _Search(
        saved.question,
        choices,
        saved.levels,
        conjecture,
        saved.frontier,
        saved.transitions,
        began_s,
        set(saved.cores),
        saved.part,
        saved.new,
    )


def _save(search: _Search, checkpoint: Path | None) -> None:
    """Save what tasks have brought in whole."""
    if checkpoint is None:
        return
    conjecture, part = search.conjecture, search.part
    keys = conjecture.keys[: part.visited if part.followed else search.levels[-1].visited]
    saved = SearchCheckpoint(
        search.question,
        search.levels,
        b"".join(keys),
        conjecture.successors[: search.followed + part.followed],
        search.frontier,
        part,
        search.new[: part.new],
        search.transitions,
        time.monotonic() - search.began_s,
        sorted(search.cores),
    )
    save(checkpoint, saved)
    search.saved_s = time.monotonic()


def _not_begun(
    engine: Engine, question: Question, ending: SearchEnding, *, found: FoundViolation | None = None, failure: str = ""
) -> Searched:
    nothing = [SearchLevel(1, 0, 0, 0, 0, "0", 0.0)]
    return Searched(question, len(engine.model.choices), nothing, ending, found, 0, Conjecture(), failure)


def _ended(search: _Search, ending: SearchEnding, found: FoundViolation | None = None, failure: str = "") -> Searched:
    return Searched(
        search.question,
        search.choices,
        search.levels,
        ending,
        found,
        search.transitions,
        search.conjecture,
        failure,
        frozenset(search.cores),
    )


def _go_on(
    search: _Search, limits: Limits, workers: _Workers, checkpoint: Path | None, on_progress: OnLevelProgress
) -> Searched | None:
    """Expand the frontier, and put the next level in its place; how the search ended, if it did on the way. Then the
    level is not decided, and what it added goes, unless it ended with a violation."""
    conjecture = search.conjecture
    seconds_left = None if limits.seconds is None else limits.seconds - (time.monotonic() - search.began_s)
    try:
        for paths, expanded in _mapped(workers, search.question, search.left, seconds_left):
            search.cores.add(expanded.core)
            if expanded.found:
                search.transitions += (search.part.followed + len(expanded.successors)) * search.choices
                return _ended(search, SearchEnding.VIOLATION, expanded.found[0])
            if expanded.complete and not expanded.failure:
                _take(search, paths, expanded)
            seconds = time.monotonic() - search.began_s
            on_progress(_progress(search, seconds))
            ending = SearchEnding.KEY if expanded.failure else _limit_met(limits, len(conjecture), seconds)
            if ending is not None or not expanded.complete:
                if not expanded.failure:
                    _save(search, checkpoint)
                conjecture.cut(search.levels[-1].visited, search.followed)
                return _ended(search, ending or SearchEnding.TIME, failure=expanded.failure)
            if time.monotonic() - search.saved_s > SAVE_SECONDS:
                _save(search, checkpoint)
    except KeyboardInterrupt:
        _save(search, checkpoint)
        raise
    transitions = len(search.frontier) * search.choices
    search.transitions += transitions
    search.frontier, distinct = search.new, search.part.distinct
    search.new, search.part = [], SearchPart()
    search.levels.append(_next_level(search, transitions, distinct))
    return None


def _take(search: _Search, paths: list[ChoicePath], expanded: Expanded) -> None:
    """Add what a task found."""
    conjecture, new, part = search.conjecture, search.new, search.part
    for path, successors in zip(paths, expanded.successors, strict=True):
        new += [(*path, choice) for choice, key in successors if key != NOBODY_LEFT and conjecture.add(key)]
        conjecture.follow([key for _, key in successors])
    search.part = SearchPart(part.followed + len(paths), part.distinct + expanded.distinct, len(new), len(conjecture))


def _next_level(search: _Search, transitions: int, distinct: int) -> SearchLevel:
    last = search.levels[-1]
    return SearchLevel(
        last.round + 1,
        len(search.frontier),
        len(search.conjecture),
        transitions,
        distinct,
        str(int(last.scenarios) * search.choices),
        time.monotonic() - search.began_s,
    )


def _progress(search: _Search, seconds: float) -> LevelProgress:
    last, done = search.levels[-1], search.part.followed
    rate = done / max(seconds - last.seconds, 1e-9)
    return LevelProgress(last.round, done, len(search.frontier), len(search.conjecture), rate)


def _limit_met(limits: Limits, visited: int, seconds: float) -> SearchEnding | None:
    if limits.seconds is not None and seconds > limits.seconds:
        return SearchEnding.TIME
    if limits.states is not None and visited > limits.states:
        return SearchEnding.STATES
    if limits.memory_bytes is not None and visited * BYTES_A_STATE > limits.memory_bytes:
        return SearchEnding.MEMORY
    return None


def _mapped(
    workers: _Workers, question: Question, frontier: list[ChoicePath], seconds: float | None
) -> Iterator[tuple[list[ChoicePath], Expanded]]:
    """The outcome of each chunk of the frontier, in order, with a bounded number of tasks under way; none of them takes
    longer than there is time left when it is sent off."""
    executor, attest = workers
    deadline = None if seconds is None else time.monotonic() + seconds

    def left() -> float | None:
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    chunks = [frontier[at : at + CHUNK] for at in range(0, len(frontier), CHUNK)]
    if executor is None:
        for chunk in chunks:
            yield chunk, expand(question, chunk, left(), attest)
        return
    waiting = iter(chunks)
    under_way: deque[tuple[list[ChoicePath], Future[Expanded]]] = deque()
    try:
        while True:
            for chunk in islice(waiting, TASKS_AHEAD - len(under_way)):
                under_way.append((chunk, executor.submit(expand, question, chunk, left(), attest)))
            if not under_way:
                return
            chunk, future = under_way.popleft()
            yield chunk, future.result()
    finally:
        for _, future in under_way:
            future.cancel()
