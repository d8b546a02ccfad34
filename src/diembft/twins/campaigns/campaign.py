"""Campaigns: many scenarios over many workers, resumable, with one line of JSON for each.

A campaign cuts its scenarios into chunks and hands them to any `concurrent.futures` executor: processes of this
machine, or those of a Dask cluster. A chunk's results are written in one piece, behind them the mark that it is
done; so an interrupted campaign goes on where the marks end, and a worker that dies costs the time of its chunk,
which is handed out again: no scenario is lost and none counts twice.

Expected is that a scenario without planted bugs holds and that one with planted bugs is violated; `expect_violation`
says that every one must be. A scenario that promises liveness and gives no occasion to judge it has not held.
"""

from __future__ import annotations

import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from threading import local
from typing import Protocol, TypeAlias

import msgspec
from msgspec import Struct

from diembft.errors import InputError
from diembft.judge.verdict import Verdict
from diembft.protocols.interface import Crypto
from diembft.twins.campaigns.workers import is_breakdown
from diembft.twins.runs.judging import Judgement, run
from diembft.twins.runs.prefixes import PrefixRuns
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space

FORMAT = "diembft-twins-results"
VERSION = 1

CHUNK = 200
"""How many scenarios a worker takes at once, unless said otherwise."""

NEIGHBOURS = 2_000
"""The same where neighbouring scenarios share what they have in common: enough to be worth it."""

AHEAD = 3
"""How many chunks wait for each worker."""

ATTEMPTS = 3
"""How often all workers may break down in a row, before their chunks are to blame."""


# --- results


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


class CampaignHeader(Struct, frozen=True, tag_field="kind", tag="campaign"):
    """The first line of a file of results: which campaign it is of."""

    scenarios: int
    chunk: int
    digest: str
    """Of what is executed, and how: results of another campaign are not added to."""
    format: str = FORMAT
    version: int = VERSION


class ChunkDone(Struct, frozen=True, tag_field="kind", tag="done"):
    """The results of chunk number `chunk` stand right before this line."""

    chunk: int


_Line: TypeAlias = CampaignHeader | ScenarioResult | ChunkDone
_decoder = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


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

    @property
    def passed(self) -> bool:
        """Whether every result is as expected."""
        return self.as_expected == self.scenarios


SHOWN_UNEXPECTED = 100


# --- what is executed


class ScenarioSource(Protocol):
    """Where scenarios come from; picklable."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def scenarios(self, start: int, count: int) -> Iterator[Scenario]:
        """Those of a range."""
        ...

    def part(self, start: int, count: int) -> ScenarioSource:
        """What a worker needs for a range, as a source of its own that begins at 0."""
        ...

    def digest(self) -> str:
        """Says which scenarios these are."""
        ...


class ScenarioList(Struct, frozen=True):
    """Scenarios in a list, as read from a file."""

    listed: tuple[Scenario, ...]

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


class Manner(Struct, frozen=True):
    """How scenarios are executed and judged."""

    expect_violation: bool = False
    """Every scenario must be violated, with planted bugs or without."""
    share: bool = True
    """Execute what neighbours have in common once, where there are any. The results are the same."""
    delayed: bool = False
    """What partitions keep apart arrives when the receiver leaves the round; then nothing is shared."""
    crypto: Crypto = "symbolic"


class Chunk(Struct, frozen=True):
    """The work of one worker at a time."""

    source: ScenarioList | ScenarioRange
    first: int
    """The index of its first scenario in the campaign."""
    manner: Manner


# --- in the worker

_mine = local()


def execute_chunk(chunk: Chunk) -> bytes:
    """The results of a chunk as lines of JSON. Workers keep what their chunks share."""
    prefix_runs = None
    if chunk.manner.share and _is_shareable(chunk):
        if not hasattr(_mine, "prefix_runs"):
            _mine.prefix_runs = PrefixRuns()
        prefix_runs = _mine.prefix_runs
    collects = gc.isenabled()
    gc.disable()  # nothing that an execution makes refers to itself
    try:
        results = [
            result_of(chunk.first + offset, scenario, _judge(scenario, chunk.manner, prefix_runs), chunk.manner)
            for offset, scenario in enumerate(chunk.source.scenarios(0, chunk.source.count))
        ]
    finally:
        if collects:
            gc.enable()
    return b"".join([_encoder.encode(result) + b"\n" for result in results])


def _is_shareable(chunk: Chunk) -> bool:
    """Whether sharing is possible, and worth what it costs: scenarios of a sample have little in common."""
    manner, source = chunk.manner, chunk.source
    if manner.delayed or manner.crypto != "symbolic":
        return False
    return neighbourly(source.listed) if isinstance(source, ScenarioList) else source.seed is None


def _judge(scenario: Scenario, manner: Manner, prefix_runs: PrefixRuns | None) -> Judgement:
    if prefix_runs is not None:
        return prefix_runs.run(scenario)
    delayed = manner.delayed and scenario.model == "timed"
    crypto = manner.crypto if scenario.model == "timed" else "symbolic"
    return run(scenario, delayed=delayed, crypto=crypto)


def result_of(index: int, scenario: Scenario, judgement: Judgement, manner: Manner) -> ScenarioResult:
    """What results say of a scenario."""
    violations = tuple(
        [Violation(finding.oracle, finding.detail, finding.round, finding.nodes) for finding in judgement.violations]
    )
    must_fail = manner.expect_violation or bool(scenario.bugs)
    unkept = judgement.breaks_promise and not violations
    return ScenarioResult(
        index=index,
        name=scenario.name,
        as_expected=bool(violations) if must_fail else not violations and not unkept,
        ending=judgement.ending.name.lower(),
        violations=violations,
        undecided=tuple([f.oracle for f in judgement.findings if f.verdict is Verdict.UNDECIDED]),
        unkept=unkept,
        bugs=scenario.bugs,
    )


# --- the campaign


class CampaignProgress(Struct, frozen=True):
    """How far a campaign is."""

    done: int
    """Scenarios, those of earlier runs included."""
    total: int
    violated: int
    unexpected: int
    rate: float
    """Scenarios a second, in this run."""
    remaining_s: float | None


MakeExecutor: TypeAlias = Callable[[], Executor]
OnProgress: TypeAlias = Callable[[CampaignProgress], None]


def run_campaign(
    source: ScenarioList | ScenarioRange,
    manner: Manner,
    *,
    make_executor: MakeExecutor,
    workers: int,
    results: Path | None = None,
    chunk: int | None = None,
    watch: OnProgress | None = None,
) -> CampaignSummary:
    """Execute and judge all scenarios of a source; go on with what `results` holds, if it is of this campaign.

    `make_executor` is called again if its workers break down. Raises InputError if the file is of another campaign, and
    ChildProcessError if a chunk kills every worker that takes it.
    """
    size = chunk or (
        NEIGHBOURS if manner.share and isinstance(source, ScenarioRange) and source.seed is None else CHUNK
    )
    book = _Book(results, _head(source, manner, size))
    size = book.chunk
    done_before = book.summary.scenarios
    began = time.monotonic()
    try:
        waiting = (number for number in range(-(-source.count // size)) if number not in book.done)

        def chunk_of(number: int) -> Chunk:
            return Chunk(source.part(number * size, size), number * size, manner)

        for number, lines in _completed(waiting, chunk_of, make_executor, workers * AHEAD):
            book.add(number, lines)
            if watch is not None:
                watch(_progress(book.summary, source.count, done_before, time.monotonic() - began))
    finally:
        book.close()
    book.summary.shorten()
    return book.summary


def _head(source: ScenarioList | ScenarioRange, manner: Manner, size: int) -> CampaignHeader:
    judged = msgspec.structs.replace(manner, share=True)  # sharing changes no result
    digest = blake2b(f"{source.digest()} {judged!r}".encode(), digest_size=16).hexdigest()
    return CampaignHeader(source.count, size, digest)


def _progress(summary: CampaignSummary, total: int, before: int, seconds: float) -> CampaignProgress:
    rate = (summary.scenarios - before) / seconds if seconds > 0 else 0.0
    left = total - summary.scenarios
    return CampaignProgress(
        summary.scenarios,
        total,
        summary.violated,
        summary.scenarios - summary.as_expected,
        rate,
        left / rate if rate > 0 else None,
    )


def _completed(
    numbers: Iterator[int], chunk_of: Callable[[int], Chunk], make_executor: MakeExecutor, at_once: int
) -> Iterator[tuple[int, bytes]]:
    """The lines of each chunk as it is done; chunks of workers that died are handed out again."""
    lost: deque[int] = deque()
    breakdowns = 0
    while True:
        executor = make_executor()
        running: dict[Future[bytes], int] = {}
        taken: int | None = None
        whole = False
        try:
            while True:
                while len(running) < at_once:
                    taken = lost.popleft() if lost else next(numbers, None)
                    if taken is None:
                        break
                    running[executor.submit(execute_chunk, chunk_of(taken))] = taken
                    taken = None
                if not running:
                    whole = True
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in [future for future in running if future in finished]:
                    lines = future.result()
                    breakdowns = 0
                    yield running.pop(future), lines
        except Exception as error:
            if not is_breakdown(error):
                raise
            breakdowns += 1
            lost.extendleft(sorted([*running.values(), *([] if taken is None else [taken])], reverse=True))
            if breakdowns > ATTEMPTS:
                raise ChildProcessError(f"workers died {breakdowns} times over chunks {list(lost)}") from error
        finally:
            for future in running:
                future.cancel()
            executor.shutdown(wait=whole)


class _Book:
    """The file of results: what is in it already, and what is added."""

    def __init__(self, path: Path | None, head: CampaignHeader) -> None:
        self.done: set[int] = set()
        self.summary = CampaignSummary()
        self.chunk = head.chunk
        """Scenarios in a chunk: as the file has them, if there is one."""
        self._file = None
        if path is None:
            return
        try:
            end = self._read(path, head) if path.exists() and path.stat().st_size else 0
            self._file = path.open("r+b" if path.exists() else "wb", buffering=0)
            self._file.truncate(end)
            self._file.seek(end)
            if not end:
                self._file.write(_encoder.encode(head) + b"\n")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error

    def _read(self, path: Path, head: CampaignHeader) -> int:
        """Take in the chunks that are done; returns where the last one ends."""
        end = at = 0
        chunk: list[ScenarioResult] = []
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                at += len(line)
                if not line.endswith(b"\n"):
                    break  # the last write was cut off
                try:
                    entry = _decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise InputError(f"{path}: line {number}: no line of results: {error}") from None
                if (number == 1) != isinstance(entry, CampaignHeader):
                    raise InputError(f"{path}: line {number}: the first line, and no other, tells of the campaign")
                if isinstance(entry, CampaignHeader):
                    if msgspec.structs.replace(entry, chunk=head.chunk) != head:
                        raise InputError(f"{path}: holds the results of another campaign")
                    self.chunk = entry.chunk
                    end = at
                elif isinstance(entry, ScenarioResult):
                    chunk.append(entry)
                else:
                    for result in chunk:
                        self.summary.add(result)
                    chunk.clear()
                    self.done.add(entry.chunk)
                    end = at
        return end

    def add(self, number: int, lines: bytes) -> None:
        """Count a chunk, and write it in one piece."""
        assert number not in self.done, "because a chunk is handed out again only if it was lost"
        self.done.add(number)
        for line in lines.splitlines():
            entry = _decoder.decode(line)
            assert isinstance(entry, ScenarioResult), "because workers give results"
            self.summary.add(entry)
        if self._file is not None:
            self._file.write(lines + _encoder.encode(ChunkDone(number)) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_results(path: Path) -> list[ScenarioResult]:
    """The results in a file, by index; those of unfinished chunks are left out. Raises InputError."""
    results: list[ScenarioResult] = []
    chunk: list[ScenarioResult] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            entry = _decoder.decode(line)
        except msgspec.MsgspecError as error:
            if number == len(lines):
                break
            raise InputError(f"{path}: line {number}: no line of results: {error}") from None
        if isinstance(entry, ScenarioResult):
            chunk.append(entry)
        elif isinstance(entry, ChunkDone):
            results += chunk
            chunk = []
    return sorted(results, key=lambda result: result.index)


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
