"""Calls that end: whatever a replica is asked is ended if it takes too long.

A thread looks at all threads that are in such a call, every now and then, and raises an exception in one in which it
has found the same call for too long (`PyThreadState_SetAsyncExc`: it works in any thread, so in worker processes and in
the threads of Dask alike). A look that comes late counts for little more than one that does not: a process that was
suspended loses nothing. What this cannot end is code that never comes back to Python: one endless call of a function
that is written in C.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

A = TypeVar("A")
R = TypeVar("R")

MAX_SECONDS = 5.0
"""How long a call may take."""

HURRIED_SECONDS = 0.5
"""The same for a function that took longer than that once in this process: what is known to hang is asked again by
everybody who wants to be sure, and each should not wait for so long."""

LOOK_SECONDS = 0.1
"""How often is looked."""

MAX_LATE = 3
"""How many times as long a look counts at most, if it comes late because the machine is busy."""


class Overdue(BaseException):
    """Raised in the midst of a call that takes too long. No `Exception`: a protocol that handles all would go on."""


class Ended(Exception):
    """A call that took longer than `seconds`. Where it was, the traceback of the cause says."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"takes longer than {seconds:g} s")


class _Watch:
    """What one thread has under way.

    The calling thread writes `running`, `count`, `function` and `absorbed`, the looking thread all else. A call must
    not get the exception that was meant for the one before it, nor must anybody else. So the looking thread first
    counts an attempt, then looks once more whether the call still runs, then raises; the calling thread first says
    that nothing runs any more, then looks whether there was an attempt. Whichever comes first, one of them sees the
    other: if the calling thread sees no new attempt, then none will be made for this call. If it does see one, it
    waits until the attempt is through (`settled`) and what was raised has arrived, and only then goes on. An
    exception that arrives in the midst of all this is caught around it; the next attempt at the same call would come a
    whole limit later.
    """

    __slots__ = (
        "__weakref__",
        "absorbed",
        "attempts",
        "count",
        "found_for",
        "function",
        "limit",
        "running",
        "seen",
        "settled",
        "thread",
    )

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.count = 0
        self.running = 0
        """The number of the call under way; 0 if there is none."""
        self.function: Callable[..., Any] | None = None
        self.attempts = 0
        self.settled = 0
        self.absorbed = 0
        """How many of the attempts are dealt with."""
        self.seen = 0
        """Which call the last look found."""
        self.found_for = 0.0
        """For how long looks have found it, in seconds."""
        self.limit = MAX_SECONDS

    def end(self) -> None:
        """By the calling thread, when a call failed, or an attempt was made to end it: nothing arrives after this."""
        self.running = 0
        while self.settled != self.attempts:
            time.sleep(0.0001)
        if self.attempts != self.absorbed:
            # Whether the exception has arrived nobody knows. Another one takes its place, and is waited for. To take it
            # back instead would leave CPython's mark that one is pending, and with that a function that is traced
            # never begins (Python 3.11: a traced RESUME is repeated as long as something is pending).
            try:
                _raise_in(self.thread, Overdue)
                while True:
                    time.sleep(0)
            except Overdue:
                self.absorbed = self.attempts

    def look(self, seconds: float, limit_of: Callable[[str], float], caught: Callable[[str], None]) -> None:
        """By the looking thread, so long after the look before."""
        running = self.running
        if not running or running != self.seen:
            self.seen, self.found_for = running, 0.0
            return
        self.found_for += seconds
        name = _name_of(self.function)
        limit = limit_of(name)
        if self.found_for < limit:
            return
        self.attempts += 1
        if self.running == running:
            caught(name)
            self.limit = limit
            _raise_in(self.thread, Overdue)
        self.settled = self.attempts
        self.found_for = 0.0


class _Watchdog:
    """What this process remembers: whom to look at, and what has taken too long."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._watches: WeakSet[_Watch] = WeakSet()
        self._starting = threading.Lock()
        self._looks = False
        """Whether the thread that looks was started."""
        self._caught: dict[str, None] = {}
        """What has taken too long in this process."""
        self._everybody_hurries = False

    def watch(self) -> _Watch:
        """That of the thread that asks."""
        try:
            found: _Watch = self._mine.watch
        except AttributeError:
            found = self._mine.watch = self._new()
        return found

    def _new(self) -> _Watch:
        watch = _Watch()
        with self._starting:
            self._watches.add(watch)
            if not self._looks:
                threading.Thread(target=self._look_on, name="calls that end", daemon=True).start()
                self._looks = True
        return watch

    def _look_on(self) -> None:
        before = time.monotonic()
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            seconds, before = min(now - before, MAX_LATE * LOOK_SECONDS), now
            with self._starting:
                watches = list(self._watches)
            for watch in watches:
                watch.look(seconds, self._limit, self._catch)
            del watches

    def _limit(self, name: str) -> float:
        return min(MAX_SECONDS, HURRIED_SECONDS) if self._everybody_hurries or name in self._caught else MAX_SECONDS

    def _catch(self, name: str) -> None:
        self._caught[name] = None

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """See the function."""
        before, self._everybody_hurries = self._everybody_hurries, True
        try:
            yield
        finally:
            self._everybody_hurries = before

    def forget(self) -> None:
        """What has taken too long."""
        self._caught.clear()

    def begin_anew(self) -> None:
        """In a process that was forked: threads do not come along."""
        self._starting = threading.Lock()
        self._looks = False
        self._watches.clear()
        self._mine.__dict__.clear()


_watchdog = _Watchdog()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watchdog.begin_anew)


def in_time(function: Callable[[A], R], argument: A) -> R:
    """What the function returns or raises, or Ended, if that takes too long."""
    watch = _watchdog.watch()
    failure: BaseException | None = None
    watch.function = function
    watch.running = watch.count = watch.count + 1
    try:
        try:
            value = function(argument)
            watch.running = 0
            if watch.attempts == watch.absorbed:
                return value
        except BaseException as error:
            failure = error
        watch.end()
    except Overdue as overdue:
        # It came late, after the call had ended or failed; no other one is under way (see `_Watch`).
        failure = failure or overdue
        watch.end()
    if failure is None:
        return value  # the thread that looks had taken notice, but not raised anything yet
    try:
        if isinstance(failure, Overdue):
            raise Ended(watch.limit) from failure
        raise failure
    finally:
        failure = None  # it refers to this frame, which would refer to it


def hurried() -> AbstractContextManager[None]:
    """Let all calls be hurried: for what executes a scenario again of which another process found that it hangs."""
    return _watchdog.hurried()


def forget() -> None:
    """Forget what has taken too long in this process."""
    _watchdog.forget()


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise an exception in a thread as soon as it executes Python again, in the place of one that has not arrived."""
    import ctypes  # takes its time, and is hardly ever needed

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))


def _name_of(function: Callable[..., Any] | None) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
