"""Executors: this very process, processes of this machine, or a Dask cluster, whose workers may die.

Whoever submits work never hears that a worker died: `Lasting` has the work done again by others. It hands work out a
little at a time, and cancels none that it has handed out: a process pool of CPython 3.11 that breaks fails to say so to
a future that was cancelled meanwhile, and whoever waits for the rest waits for ever.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

from diembft.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

CONNECT_S = 10.0
"""How long to wait for a scheduler."""

LOCAL_CLUSTER = "local"
"""In place of a scheduler's address: a Dask cluster of processes of this machine."""

ATTEMPTS = 3
"""How often work may be lost with its worker and is done again."""

AHEAD = 2
"""How many tasks are handed out for each worker: enough to keep it busy, few enough to stop soon."""


_DASK_BREAKDOWNS = ("KilledWorker", "FutureCancelledError", "CommClosedError")


def is_breakdown(error: Exception) -> bool:
    """Whether workers died, rather than that their work failed: in the words of the standard library, or of Dask."""
    return isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ in _DASK_BREAKDOWNS


def completed(
    executor: Executor, function: Callable[[T], R], items: Iterable[T], at_once: int, named: Callable[[T], str]
) -> Iterator[tuple[T, R]]:
    """Each item with the function's result for it as soon as it is done; items are taken as they are needed, at most so
    many at once. A ChildProcessError says which item it is about, `named`."""
    source = iter(items)
    running: dict[Future[R], T] = {}
    while True:
        for item in islice(source, at_once - len(running)):
            running[executor.submit(function, item)] = item
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in [future for future in running if future in done]:
            item = running.pop(future)
            try:
                result = future.result()
            except ChildProcessError as error:
                raise ChildProcessError(f"{error}: {named(item)}") from error
            yield item, result


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
    heard: list[Any] = []
    main = threading.current_thread() is threading.main_thread()  # the only one that it interrupts
    handler = signal.signal(signal.SIGINT, lambda *what: heard.append(what)) if main else None
    masked = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if masked else set()
    try:
        yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, handler)
    if heard and callable(handler):
        handler(*heard[0])


def _leave_quietly() -> None:
    """In a worker: Ctrl-C reaches every process of the terminal, and only the first has something to say about it, and
    ends the others. If that one is killed, a worker would wait for work for ever, and what it has launched would go on.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, lambda *_: None)  # rather than SIG_IGN, which what a worker launches would inherit
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "because this runs in a worker alone"
    parent.join()
    os._exit(1)


class _Task:
    """Something to be done, and the future of whoever wants it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.wanted: Future[Any] = Future()
        self.losses = 0
        """How many workers died while it was under way."""

    def settle(self, done: Future[Any]) -> None:
        """Pass on what came of it."""
        error = done.exception()
        if not self.wanted.set_running_or_notify_cancel():
            return
        if error is None:
            self.wanted.set_result(done.result())
        else:
            self.wanted.set_exception(error)

    def fail(self, error: BaseException) -> None:
        """Nothing came of it."""
        if self.wanted.set_running_or_notify_cancel():
            self.wanted.set_exception(error)


class Lasting(Executor):
    """Executors, one after the other: when the workers of one die, what was under way is handed to the next.

    One of the lost tasks may be what killed them. So each of these is done alone; what is lost more than ATTEMPTS times
    ends with ChildProcessError, and all else is done. When a block ends with an exception, so does all work.
    """

    def __init__(self, make: Callable[[], Executor], workers: int, on_loss: Callable[[], None] = lambda: None) -> None:
        """`on_loss` is called once, in any thread, when workers have died for the first time."""
        self._make = make
        self._at_once = workers * AHEAD
        self._on_loss = on_loss
        self._lock = threading.RLock()
        self._waiting: deque[_Task] = deque()
        self._lost: deque[_Task] = deque()
        self._under_way: set[_Task] = set()
        self._pool: Executor | None = None
        """That works now."""
        self._pools: list[Executor] = []
        """All there were. One that broke ends in its own time: it is told so in its own thread, which cannot wait for
        itself."""
        self._handing_out = False
        self._closed = False

    @override
    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        task = _Task(partial(function, *args, **kwargs))
        with _interrupt_delayed(), self._lock:
            if self._closed:
                raise RuntimeError("no work is taken after the end")
            self._waiting.append(task)
            self._hand_out()
        return task.wanted

    def _hand_out(self) -> None:
        """As much as is wanted now. What is done at once, in this very thread, comes back here and adds nothing."""
        if self._handing_out:
            return
        self._handing_out = True
        try:
            while (task := self._next()) is not None:
                self._under_way.add(task)
                self._hand(task)
        finally:
            self._handing_out = False

    def _next(self) -> _Task | None:
        for tasks in (self._lost, self._waiting):
            while tasks and tasks[0].wanted.cancelled():
                tasks.popleft()
        if self._closed:
            return None
        if self._lost:
            return None if self._under_way else self._lost.popleft()
        return self._waiting.popleft() if self._waiting and len(self._under_way) < self._at_once else None

    def _hand(self, task: _Task) -> None:
        future: Future[Any]
        try:
            if self._pool is None:
                self._pool = self._make()
                self._pools.append(self._pool)
            future = self._pool.submit(task.call)
        except Exception as error:
            future = Future()
            future.set_exception(error)
        pool = self._pool
        future.add_done_callback(lambda done: self._done(task, pool, done))

    def _done(self, task: _Task, pool: Executor | None, done: Future[Any]) -> None:
        """In whatever thread, mostly one of the pool."""
        error = CancelledError() if done.cancelled() else done.exception()
        lost = isinstance(error, Exception) and is_breakdown(error)
        if not lost:
            task.settle(done)
        with self._lock:
            self._under_way.discard(task)
            if lost and not self._closed:
                self._take_back(task, pool)
            self._hand_out()

    def _take_back(self, task: _Task, pool: Executor | None) -> None:
        if pool is self._pool:
            self._pool = None
        task.losses += 1
        if task.losses > ATTEMPTS:
            task.fail(ChildProcessError(f"worker processes died {task.losses} times over the same work"))
            return
        self._lost.append(task)
        on_loss, self._on_loss = self._on_loss, lambda: None
        on_loss()

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if wait and not cancel_futures:
            self._wait()
        with _interrupt_delayed(), self._lock:
            self._closed = True
            left = [*self._waiting, *self._lost, *self._under_way]
        for task in left:
            task.wanted.cancel()
        for pool in self._pools:
            pool.shutdown(wait=wait)

    def _wait(self) -> None:
        with self._lock:
            left = [task.wanted for task in (*self._waiting, *self._lost, *self._under_way)]
        wait([future for future in left if not future.cancelled()])

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown(wait=kind is None)


@contextmanager
def executors(
    jobs: int, dask: str | None = None, on_loss: Callable[[], None] = lambda: None
) -> Iterator[tuple[Callable[[], Executor], int]]:
    """A maker of executors, and how many workers each has.

    `dask` is the address of a scheduler, or LOCAL_CLUSTER; then `jobs` is for the local cluster alone. `on_loss` is
    called when workers have died. Raises InputError if there is no such scheduler, or no Dask.
    """
    if dask is None:
        yield (Inline if jobs == 1 else lambda: Lasting(lambda: Processes(jobs), jobs, on_loss)), jobs
        return
    with _client(dask, jobs) as client:
        threads = max(1, sum(client.nthreads().values()))
        # Not pure: what was lost is to be done again, rather than to be lost again because it was.
        yield lambda: Lasting(lambda: client.get_executor(pure=False), threads, on_loss), threads


def _say_nothing_of_interrupts() -> None:
    """In a worker of a local cluster, as in those of `Processes`."""
    signal.signal(signal.SIGINT, lambda *_: None)
    logging.disable()


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
            if address == LOCAL_CLUSTER:
                client.run(_say_nothing_of_interrupts)
        except (OSError, ValueError) as error:
            raise InputError(f"--dask: no scheduler at {address!r}: {' '.join(str(error).split())}") from error
        try:
            yield client
        except BaseException:
            logging.disable()  # Dask tells at length of each connection that ends now
            raise
