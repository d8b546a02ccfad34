"""Work spread over processes, with results as they come."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

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
    # A fresh interpreter per process: it inherits no threads and no locks (a progress bar has both).
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _leave_quietly)
    running: dict[Future[R], T] = {}
    try:
        while True:
            for item in islice(source, jobs * _AHEAD - len(running)):
                with _interrupt_held():
                    running[pool.submit(function, item)] = item
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future in done]:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError("a worker process died") from error
    finally:
        if running:
            for process in multiprocessing.active_children():
                process.terminate()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupt_held() -> Iterator[None]:
    """Ctrl-C waits until the end of this, and a process that is started in here does not hear it until it is ready."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_quietly() -> None:
    """In a worker: Ctrl-C reaches every process of the terminal, and only the first has something to say about it.

    If that one is killed, a worker would wait for work for ever, and what it has launched would go on.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "because this runs in a worker alone"
    parent.join()
    os._exit(1)
