"""Breadth first over distinct global states until nothing new appears, or a limit is reached.

Only 16-byte digests of visited states are kept. A state on the frontier is the list of choices that first led to it:
a worker computes it anew, so that levels are mapped over any `concurrent.futures` executor, a checkpoint is small,
and a violation is a scenario at once, the shortest there is. The outcome does not depend on the number of workers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from diembft.errors import require_type
from diembft.twins.exhaustion.checkpoint import SearchCheckpoint, load, save
from diembft.twins.exhaustion.decision import Decision, SearchEnding, SearchLevel
from diembft.twins.exhaustion.engine import Engine, digest
from diembft.twins.exhaustion.expansion import ChoicePath, Expanded, FoundViolation, expand
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.steps import StepFailed

CHUNK = 16
"""States that one task expands."""

TASKS_AHEAD = 64
"""Tasks under way at once."""

BYTES_A_STATE = 140
"""Memory of the searching process for a visited state: a digest of 16 bytes in a set of Python objects, with its
place on the frontier; measured by `benchmarks/exploration.py`."""


class Limits(NamedTuple):
    """Where a search ends although it is not finished; None: nowhere."""

    rounds: int | None = None
    states: int | None = None
    seconds: float | None = None
    memory_bytes: int | None = None


NO_LIMITS = Limits()


class LevelProgress(NamedTuple):
    """How far a level is."""

    round: int
    done: int
    of: int
    visited: int
    rate: float
    """States a second."""


OnLevelProgress: TypeAlias = Callable[[LevelProgress], None]


def explore(
    question: Question,
    *,
    limits: Limits = NO_LIMITS,
    executor: Executor | None = None,
    checkpoint: Path | None = None,
    on_level: Callable[[SearchLevel], None] = lambda level: None,
    on_progress: OnLevelProgress = lambda progress: None,
) -> Decision:
    """Decide the question as far as the limits allow.

    With `checkpoint`, a search goes on from that file if it is there, and is saved to it after each level. Raises
    InputError if the file belongs to another question.

    >>> from diembft import Question, explore
    >>> explore(Question(quorum_filter=True, bugs=("conflicting_votes",))).found.oracles
    ('honest_vote_once', 'certified_uniqueness')
    """
    require_type(question, Question, "explore")
    engine = question.engine()
    choices = len(engine.model.choices)
    saved = load(checkpoint, question) if checkpoint is not None and checkpoint.exists() else None
    try:
        search = _begun(engine, question) if saved is None else _resumed(saved, choices)
    except StepFailed as failure:  # of a first event, whoever leads
        fault = engine.world.fault(failure)
        first = SearchLevel(1, 0, 0, 0, 0, "0", 0.0)
        found = FoundViolation((0,), (fault.oracle,), (fault.detail,))
        return Decision(question, choices, [first], SearchEnding.VIOLATION, found, 0, 0)
    if saved is None:
        on_level(search.levels[0])
    while search.frontier:
        if limits.rounds is not None and search.levels[-1].round > limits.rounds:
            return _ended(search, SearchEnding.DEPTH)
        decision = _go_on(search, limits, executor, on_progress)
        if decision is not None:
            return decision
        on_level(search.levels[-1])
        if checkpoint is not None:
            save(checkpoint, _checkpoint(search))
    return _ended(search, SearchEnding.FIXED_POINT)


class _Search(msgspec.Struct):
    """A search as far as it is."""

    question: Question
    choices: int
    """Of a round."""
    levels: list[SearchLevel]
    visited: set[bytes]
    frontier: list[ChoicePath]
    """The states of the last level."""
    transitions: int
    began_s: float
    """When it would have begun if it had never been interrupted, by the monotonic clock."""


def _begun(engine: Engine, question: Question) -> _Search:
    began_s = time.monotonic()
    visited: set[bytes] = set()
    frontier: list[ChoicePath] = []
    for index, state in enumerate(engine.initial()):
        key = digest(engine.key(state))
        if key not in visited:
            visited.add(key)
            frontier.append((index,))
    leaders = len(engine.initial())
    first = SearchLevel(1, len(frontier), len(visited), 0, 0, str(leaders), 0.0)
    return _Search(question, len(engine.model.choices), [first], visited, frontier, 0, began_s)


def _resumed(saved: SearchCheckpoint, choices: int) -> _Search:
    began_s = time.monotonic() - saved.levels[-1].seconds
    visited = {saved.visited[at : at + 16] for at in range(0, len(saved.visited), 16)}
    return _Search(saved.question, choices, saved.levels, visited, saved.frontier, saved.transitions, began_s)


def _checkpoint(search: _Search) -> SearchCheckpoint:
    visited = b"".join(sorted(search.visited))
    return SearchCheckpoint(search.question, search.levels, visited, search.frontier, search.transitions)


def _ended(search: _Search, ending: SearchEnding, found: FoundViolation | None = None) -> Decision:
    return Decision(
        search.question, search.choices, search.levels, ending, found, search.transitions, len(search.visited)
    )


def _go_on(search: _Search, limits: Limits, executor: Executor | None, on_progress: OnLevelProgress) -> Decision | None:
    """Expand the frontier, and put the next level in its place; the decision, if the search ends on the way."""
    visited, frontier = search.visited, search.frontier
    new: list[ChoicePath] = []
    added: list[bytes] = []
    distinct = done = 0
    for paths, expanded in _mapped(executor, search.question, frontier):
        if expanded.found:
            search.transitions += done * search.choices
            return _ended(search, SearchEnding.VIOLATION, expanded.found[0])
        distinct += expanded.distinct
        done += len(paths)
        for path, successors in zip(paths, expanded.successors, strict=True):
            for choice, key in successors:
                if key not in visited:
                    visited.add(key)
                    added.append(key)
                    new.append((*path, choice))
        seconds = time.monotonic() - search.began_s
        on_progress(_progress(search, done, seconds))
        limit = _limit_met(limits, len(visited), seconds)
        if limit is not None:
            visited.difference_update(added)  # this level is not decided
            return _ended(search, limit)
    search.frontier = new
    search.transitions += len(frontier) * search.choices
    search.levels.append(_next_level(search, len(frontier) * search.choices, distinct))
    return None


def _next_level(search: _Search, transitions: int, distinct: int) -> SearchLevel:
    last = search.levels[-1]
    return SearchLevel(
        last.round + 1,
        len(search.frontier),
        len(search.visited),
        transitions,
        distinct,
        str(int(last.scenarios) * search.choices),
        time.monotonic() - search.began_s,
    )


def _progress(search: _Search, done: int, seconds: float) -> LevelProgress:
    last = search.levels[-1]
    rate = done / max(seconds - last.seconds, 1e-9)
    return LevelProgress(last.round, done, len(search.frontier), len(search.visited), rate)


def _limit_met(limits: Limits, visited: int, seconds: float) -> SearchEnding | None:
    if limits.seconds is not None and seconds > limits.seconds:
        return SearchEnding.TIME
    if limits.states is not None and visited > limits.states:
        return SearchEnding.STATES
    if limits.memory_bytes is not None and visited * BYTES_A_STATE > limits.memory_bytes:
        return SearchEnding.MEMORY
    return None


def _mapped(
    executor: Executor | None, question: Question, frontier: list[ChoicePath]
) -> Iterator[tuple[list[ChoicePath], Expanded]]:
    """The outcome of each chunk of the frontier, in order, with a bounded number of tasks under way."""
    chunks = [frontier[at : at + CHUNK] for at in range(0, len(frontier), CHUNK)]
    if executor is None:
        for chunk in chunks:
            yield chunk, expand(question, chunk)
        return
    waiting = iter(chunks)
    under_way: deque[tuple[list[ChoicePath], Future[Expanded]]] = deque()
    try:
        while True:
            for chunk in islice(waiting, TASKS_AHEAD - len(under_way)):
                under_way.append((chunk, executor.submit(expand, question, chunk)))
            if not under_way:
                return
            chunk, future = under_way.popleft()
            yield chunk, future.result()
    finally:
        for _, future in under_way:
            future.cancel()
