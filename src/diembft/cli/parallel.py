"""Work spread over processes, with results as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from diembft.cli import output
from diembft.twins.campaigns.workers import AHEAD, Lasting, Processes, completed

T = TypeVar("T")
R = TypeVar("R")


def default_jobs() -> int:
    """One process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def results_of(
    function: Callable[[T], R], items: Iterable[T], jobs: int, named: Callable[[T], str] = str
) -> Generator[tuple[T, R], None, None]:
    """Each item with the function's result for it, in the order in which they are done.

    `function` is a module's function; items and results cross processes. Items are taken as they are needed, so that
    their source may end early. One job means this very process. When the caller stops, so does all work.
    What a process did that dies is done again. Raises ChildProcessError, with the item `named`, if it kills every one,
    and what the function raises.
    """
    if jobs == 1:
        for item in items:
            yield item, function(item)
        return
    with Lasting(lambda: Processes(jobs), jobs, output.say_worker_died) as executor:
        yield from completed(executor, function, items, jobs * AHEAD, named)
