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
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from diembft.errors import InputError
from diembft.protocols.by_name import DEFAULT_PROTOCOL, protocol_of
from diembft.twins.exhaustion.engine import Engine, GlobalState, digest
from diembft.twins.runs.models import MODELS, make_model
from diembft.twins.runs.world import world_of

CHUNK = 16
"""States that one task expands."""

MAX_NODES = 60_000
"""Distinct states of nodes after which a worker starts with an empty memory."""

TASKS_AHEAD = 64
"""Tasks under way at once."""

BYTES_A_STATE = 140
"""Memory of the searching process for a visited state: a digest of 16 bytes in a set of Python objects, with its
place on the frontier; measured by `benchmarks/exploration.py`."""


class Question(msgspec.Struct, frozen=True):
    """What is to be decided: a system, a network model, and which scenarios count."""

    model: str = "barrier"
    replicas: int = 4
    faulty: int = 1
    sets: int = 2
    twins_lead: bool = False
    """Only validators with twins lead; otherwise all do."""
    quorum_filter: bool = False
    """Only partitions in which some set holds a quorum."""
    bugs: tuple[str, ...] = ()
    crashes: bool = False
    protocol: str = DEFAULT_PROTOCOL

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise InputError(f"model: {self.model!r} is none of {', '.join(MODELS)}")
        if not 1 <= self.replicas <= 13:
            raise InputError(f"replicas: {self.replicas} is not between 1 and 13")
        if not 0 <= self.faulty <= self.replicas:
            raise InputError(f"faulty: {self.faulty} is not between 0 and the number of replicas, {self.replicas}")
        if self.twins_lead and not self.faulty:
            raise InputError("leaders: twins cannot lead where there are none")
        if not 1 <= self.sets <= self.replicas + self.faulty:
            raise InputError(f"sets: {self.sets} is not between 1 and the number of nodes")

    def engine(self) -> Engine:
        """Something that computes states and successors for this question."""
        protocol = protocol_of(self.protocol)
        world = world_of(protocol, self.replicas, self.faulty, self.bugs, crashes=self.crashes)
        model = make_model(
            self.model, world, max_sets=self.sets, quorum_filter=self.quorum_filter, twins_lead=self.twins_lead
        )
        return Engine(world, model)


ChoicePath = tuple[int, ...]
"""A frontier state: which initial state, then the choice of each step."""


class FoundViolation(msgspec.Struct, frozen=True):
    """A violation: the choices that lead to it, and what the oracles say."""

    path: tuple[int, ...]
    oracles: tuple[str, ...]
    details: tuple[str, ...]


class Expanded(NamedTuple):
    """What a task comes to: for each of its states the new states as (choice, digest), and the violations."""

    successors: list[list[tuple[int, bytes]]]
    distinct: int
    """Successors that are not the very same node for node."""
    found: list[FoundViolation]


_engines: dict[Question, Engine] = {}


def expand(question: Question, paths: list[ChoicePath]) -> Expanded:
    """One task. States that occur in it before are left out; violations end their scenario."""
    engine = _engines.get(question)
    if engine is None or engine.size > MAX_NODES:
        engine = _engines[question] = question.engine()
    initial = engine.initial()
    states: dict[ChoicePath, GlobalState] = {}

    def state_of(path: ChoicePath) -> GlobalState:
        if len(path) == 1:
            return initial[path[0]]
        known = states.get(path)
        if known is None:
            known = states[path] = engine.apply(state_of(path[:-1]), path[-1]).state
        return known

    seen: set[bytes] = set()
    result = Expanded([], 0, [])
    distinct = 0
    for path in paths:
        new: list[tuple[int, bytes]] = []
        engine.trim()
        for successor in engine.successors(state_of(path)):
            distinct += 1
            if successor.faults:
                faults = engine.apply(state_of(path), successor.choice).faults
                assert faults, "because a rebuilt state behaves as the state that it was rebuilt from"
                result.found.append(
                    FoundViolation(
                        (*path, successor.choice),
                        tuple(dict.fromkeys([fault.oracle for fault in faults])),
                        tuple(dict.fromkeys([fault.detail for fault in faults])),
                    )
                )
                continue
            if successor.key is None:
                continue
            key = digest(successor.key)
            if key not in seen:
                seen.add(key)
                new.append((successor.choice, key))
        result.successors.append(new)
    return result._replace(distinct=distinct)


class SearchLevel(msgspec.Struct, frozen=True):
    """One level: the states before step `round`."""

    round: int
    states: int
    """New ones."""
    visited: int
    """In all."""
    transitions: int
    """From the level before: states times choices."""
    distinct: int
    """Of these, computed: not the same by symmetry nor node for node."""
    scenarios: str
    """How many scenarios of `round - 1` rounds have been decided; a big integer."""
    seconds: float


class SearchEnding(Enum):
    """Why a search ended."""

    FIXED_POINT = "fixed point"
    VIOLATION = "violation"
    DEPTH = "depth limit"
    STATES = "state limit"
    TIME = "time limit"
    MEMORY = "memory limit"


CHECKPOINT_FORMAT = "diembft-exploration"

CHECKPOINT_VERSION = 2
"""To be raised whenever keys change: a search must not go on among states that were told apart otherwise."""


class SearchCheckpoint(msgspec.Struct):
    """A search between two levels."""

    question: Question
    levels: list[SearchLevel]
    visited: bytes
    frontier: list[ChoicePath]
    transitions: int
    format: str = CHECKPOINT_FORMAT
    version: int = CHECKPOINT_VERSION


class Limits(NamedTuple):
    """Where a search ends although it is not finished; None: nowhere."""

    rounds: int | None = None
    states: int | None = None
    seconds: float | None = None
    memory_bytes: int | None = None


NO_LIMITS = Limits()


class Decision(NamedTuple):
    """How a search ended, and what was decided."""

    question: Question
    choices: int
    levels: list[SearchLevel]
    ending: SearchEnding
    found: FoundViolation | None
    transitions: int
    visited: int

    @property
    def decided_rounds(self) -> int:
        """Scenarios of up to so many rounds are decided; all of them at a fixed point."""
        return self.levels[-1].round - 1

    def statement(self) -> str:
        """What was decided, in one sentence, and what it does not cover."""
        question = self.question
        space = (
            f"{'' if question.protocol == DEFAULT_PROTOCOL else f'protocol {question.protocol}, '}"
            f"model {question.model}: {question.replicas} replicas, {question.faulty} with a twin, "
            f"up to {question.sets} sets{' of which one holds a quorum' if question.quorum_filter else ''}, "
            f"{'twins lead' if question.twins_lead else 'all may lead'}"
            f"{', one correct node may crash and restart in each round' if question.crashes else ''}"
            f"{', bugs ' + ', '.join(question.bugs) if question.bugs else ''}"
        )
        judged = "agreement, certified_uniqueness, honest_vote_once, commit_order and certificates of distinct signers"
        match self.ending:
            case SearchEnding.FIXED_POINT:
                text = f"No scenario of any length violates {judged} in {space}."
            case SearchEnding.VIOLATION:
                assert self.found is not None, "because the search ended with it"
                text = (
                    f"A scenario of {_rounds(len(self.found.path) - 1)} violates {', '.join(self.found.oracles)}, "
                    f"and no shorter one does, in {space}."
                )
            case _:
                text = (
                    f"No scenario of up to {_rounds(self.decided_rounds)} violates {judged} in {space}; "
                    f"longer ones are not decided ({self.ending.value})."
                )
        return text + (
            " Not covered: liveness, commit_chain, drops inside a set, messages that arrive in a later round, "
            "other network models."
        )


def _rounds(number: int) -> str:
    return f"{number} round{'' if number == 1 else 's'}"


class LevelProgress(NamedTuple):
    """How far a level is."""

    round: int
    done: int
    of: int
    visited: int
    rate: float
    """States a second."""


def explore(
    question: Question,
    *,
    limits: Limits = NO_LIMITS,
    executor: Executor | None = None,
    checkpoint: Path | None = None,
    on_level: Callable[[SearchLevel], None] = lambda level: None,
    on_progress: Callable[[LevelProgress], None] = lambda progress: None,
) -> Decision:
    """Decide the question as far as the limits allow.

    With `checkpoint`, a search goes on from that file if it is there, and is saved to it after each level. Raises
    InputError if the file belongs to another question.
    """
    engine = question.engine()
    choices = len(engine.model.choices)
    begun = time.monotonic()
    saved = _load(checkpoint, question) if checkpoint is not None and checkpoint.exists() else None
    if saved is None:
        visited: set[bytes] = set()
        frontier: list[ChoicePath] = []
        for index, state in enumerate(engine.initial()):
            key = digest(engine.key(state))
            if key not in visited:
                visited.add(key)
                frontier.append((index,))
        leaders = len(engine.initial())
        levels = [SearchLevel(1, len(frontier), len(visited), 0, 0, str(leaders), 0.0)]
        transitions = 0
        on_level(levels[0])
    else:
        visited = {saved.visited[at : at + 16] for at in range(0, len(saved.visited), 16)}
        frontier, levels, transitions = saved.frontier, saved.levels, saved.transitions
    earlier = levels[-1].seconds

    def ended(ending: SearchEnding, found: FoundViolation | None = None) -> Decision:
        return Decision(question, choices, levels, ending, found, transitions, len(visited))

    while frontier:
        last = levels[-1]
        if limits.rounds is not None and last.round > limits.rounds:
            return ended(SearchEnding.DEPTH)
        new: list[ChoicePath] = []
        distinct = done = 0
        added: list[bytes] = []
        chunks = [frontier[at : at + CHUNK] for at in range(0, len(frontier), CHUNK)]
        for paths, expanded in _mapped(executor, question, chunks):
            if expanded.found:
                transitions += done * choices
                return ended(SearchEnding.VIOLATION, expanded.found[0])
            distinct += expanded.distinct
            done += len(paths)
            for path, successors in zip(paths, expanded.successors, strict=True):
                for choice, key in successors:
                    if key not in visited:
                        visited.add(key)
                        added.append(key)
                        new.append((*path, choice))
            seconds = earlier + time.monotonic() - begun
            on_progress(
                LevelProgress(last.round, done, len(frontier), len(visited), done / max(seconds - last.seconds, 1e-9))
            )
            limit = None
            if limits.seconds is not None and seconds > limits.seconds:
                limit = SearchEnding.TIME
            elif limits.states is not None and len(visited) > limits.states:
                limit = SearchEnding.STATES
            elif limits.memory_bytes is not None and len(visited) * BYTES_A_STATE > limits.memory_bytes:
                limit = SearchEnding.MEMORY
            if limit is not None:
                visited.difference_update(added)  # this level is not decided
                return ended(limit)
        transitions += len(frontier) * choices
        scenarios = str(int(last.scenarios) * choices)
        levels.append(
            SearchLevel(
                last.round + 1,
                len(new),
                len(visited),
                len(frontier) * choices,
                distinct,
                scenarios,
                earlier + time.monotonic() - begun,
            )
        )
        on_level(levels[-1])
        frontier = new
        if checkpoint is not None:
            _save(checkpoint, SearchCheckpoint(question, levels, b"".join(sorted(visited)), frontier, transitions))
    return ended(SearchEnding.FIXED_POINT)


def _mapped(
    executor: Executor | None, question: Question, chunks: list[list[ChoicePath]]
) -> Iterator[tuple[list[ChoicePath], Expanded]]:
    """The outcome of each chunk, in order, with a bounded number of tasks under way."""
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


def _save(path: Path, checkpoint: SearchCheckpoint) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(msgspec.msgpack.encode(checkpoint))
    partial.replace(path)


def _load(path: Path, question: Question) -> SearchCheckpoint:
    try:
        saved = msgspec.msgpack.decode(path.read_bytes(), type=SearchCheckpoint)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"{path}: not a checkpoint of an exploration: {error}") from None
    if (saved.format, saved.version) != (CHECKPOINT_FORMAT, CHECKPOINT_VERSION):
        raise InputError(f"{path}: checkpoint: is of version {saved.version}, and not {CHECKPOINT_VERSION}: begin anew")
    if saved.question != question:
        raise InputError(f"{path}: checkpoint: belongs to another question: {saved.question}")
    return saved
