"""Campaigns: many scenarios over many workers, resumable, with one line of JSON for each.

A campaign cuts its scenarios into chunks and hands them to any `concurrent.futures` executor: processes of this
machine, or those of a Dask cluster. A chunk's results are written in one piece, behind them the mark that it is
done; so an interrupted campaign goes on where the marks end, and a worker that dies costs the time of its chunk
(`workers.Lasting`): no scenario is lost and none counts twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from diembft.judge.expected import expects_violation
from diembft.twins.campaigns.chunks import Chunk, Manner, execute_chunk
from diembft.twins.campaigns.results_file import CampaignHeader, ResultsBook
from diembft.twins.campaigns.sources import ScenarioRange, ScenarioSource
from diembft.twins.campaigns.summary import CampaignSummary
from diembft.twins.campaigns.workers import completed

CHUNK = 200
"""How many scenarios a worker takes at once, unless said otherwise."""

NEIGHBOURS = 500
"""The same where neighbouring scenarios share what they have in common: enough to be worth it."""

AHEAD = 3
"""How many chunks wait for each worker."""


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
    source: ScenarioSource,
    manner: Manner,
    *,
    make_executor: MakeExecutor,
    workers: int,
    results: Path | None = None,
    chunk: int | None = None,
    watch: OnProgress | None = None,
    summary: CampaignSummary | None = None,
) -> CampaignSummary:
    """Execute and judge all scenarios of a source; go on with what `results` holds, if it is of this campaign.

    What is counted goes into `summary`, if one is given: there it is when this is interrupted. Raises InputError if the
    file is of another campaign, NotWritten if it cannot be written, and ChildProcessError if a chunk kills every worker
    that takes it.
    """
    size = chunk or (
        NEIGHBOURS if manner.share and isinstance(source, ScenarioRange) and source.seed is None else CHUNK
    )
    book = ResultsBook(results, _head(source, manner, size), CampaignSummary() if summary is None else summary)
    size = book.chunk
    done_before = book.summary.scenarios
    began = time.monotonic()
    try:
        waiting = (number for number in range(-(-source.count // size)) if number not in book.done)

        def chunk_of(number: int) -> Chunk:
            return Chunk(source.part(number * size, size), number * size, manner)

        with make_executor() as executor:
            chunks = map(chunk_of, waiting)
            for done, lines in completed(executor, execute_chunk, chunks, workers * AHEAD, _in_words):
                book.add(done.first // size, lines)
                if watch is not None:
                    watch(_progress(book.summary, source.count, done_before, time.monotonic() - began))
    finally:
        book.summary.shorten()
        book.summary.wanted = manner.sample and expects_violation(manner.expect, source.bugs)
        book.close()
    return book.summary


def _in_words(chunk: Chunk) -> str:
    return f"scenarios {chunk.first} to {chunk.first + chunk.source.count - 1}"


def _head(source: ScenarioSource, manner: Manner, size: int) -> CampaignHeader:
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
