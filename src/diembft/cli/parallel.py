"""Work spread over processes, with results as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from diembft.twins.campaigns.workers import Processes

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2
"""How many items wait for each process: enough to keep it busy, few enough to stop soon."""


def default_jobs() -> int:
    """One process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def results_of(function: Callable[[T], R], items: Iterable[T], jobs: int) -> Generator[tuple[T, R], None, None]:
    """Each item with the function's result for it, in the order in which they are done.

    `function` is a module's function; items and results cross processes. Items are taken as they are needed, so that
    their source may end early. One job means this very process. When the caller stops, so does all work.
    Raises ChildProcessError if a process dies, else what the function raises.
    """
    if jobs == 1:
        for item in items:
            yield item, function(item)
        return
    source = iter(items)
    pool = Processes(jobs)
    running: dict[Future[R], T] = {}
    try:
        while True:
            for item in islice(source, jobs * _AHEAD - len(running)):
                running[pool.submit(function, item)] = item
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future in done]:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError("a worker process died") from error
    finally:
        pool.shutdown(wait=not running, cancel_futures=True)
