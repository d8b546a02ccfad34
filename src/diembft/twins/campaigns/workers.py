"""Executors for campaigns: this very process, processes of this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

from diembft.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

CONNECT_S = 10.0
"""How long to wait for a scheduler."""

LOCAL_CLUSTER = "local"
"""In place of a scheduler's address: a Dask cluster of processes of this machine."""


_DASK_BREAKDOWNS = ("KilledWorker", "FutureCancelledError", "CommClosedError")


def is_breakdown(error: Exception) -> bool:
    """Whether workers died, rather than that their work failed: in the words of the standard library, or of Dask."""
    return isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ in _DASK_BREAKDOWNS


class Inline(Executor):
    """Works in this very process, as things are submitted."""

    @override
    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(ProcessPoolExecutor):
    """Fresh interpreters: they inherit no threads and no locks. Shut down without waiting, it ends them."""

    def __init__(self, jobs: int) -> None:
        self._others = frozenset([process.pid for process in multiprocessing.active_children()])
        super().__init__(jobs, multiprocessing.get_context("spawn"), _leave_quietly)

    @override
    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        with _interrupt_delayed():  # this may start a process
            return super().submit(function, *args, **kwargs)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if not wait:
            for process in multiprocessing.active_children():
                if process.pid not in self._others:
                    process.terminate()
        super().shutdown(wait=True, cancel_futures=cancel_futures)


@contextmanager
def _interrupt_delayed() -> Iterator[None]:
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


@contextmanager
def executors(jobs: int, dask: str | None = None) -> Iterator[tuple[Callable[[], Executor], int]]:
    """A maker of executors, and how many workers each has.

    `dask` is the address of a scheduler, or LOCAL_CLUSTER; then `jobs` is for the local cluster alone. Raises
    InputError if there is no such scheduler, or no Dask.
    """
    if dask is None:
        yield (Inline if jobs == 1 else lambda: Processes(jobs)), jobs
        return
    with _client(dask, jobs) as client:
        threads = sum(client.nthreads().values())
        yield client.get_executor, max(1, threads)


@contextmanager
def _client(address: str, jobs: int) -> Iterator[Any]:
    try:
        import distributed
    except ImportError as error:
        raise InputError("--dask: needs the package distributed: pip install distributed") from error
    library: Any = distributed  # its own types do not tell what it returns
    with ExitStack() as stack:
        try:
            if address == LOCAL_CLUSTER:
                cluster = library.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
                client = library.Client(stack.enter_context(cluster))
            else:
                client = library.Client(address, timeout=CONNECT_S)
            stack.enter_context(client)
        except (OSError, ValueError) as error:
            raise InputError(f"--dask: no scheduler at {address!r}: {' '.join(str(error).split())}") from error
        yield client
