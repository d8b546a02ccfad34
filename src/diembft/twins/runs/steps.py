"""Steps that end: what a replica does, within limits, whatever its code is.

A step of a node under test may have so many effects and take so long; what it raises instead, or does beyond that, is a
finding like any other (`diembft.judge.crash`), and no fault of the tester. So all that a tester asks of a replica, be
it a step, a copy or to come up again, goes through here.

A step that never ends is ended by a thread that looks at all threads that step, every now and then, and raises an
exception in one in which it has found the same step too often (`PyThreadState_SetAsyncExc`: it works in any thread, so
in worker processes and in the threads of Dask alike). Each look counts once, however late it comes: a process that was
suspended loses nothing. What this cannot end is code that never comes back to Python: one endless call of a function
that is written in C.
"""

from __future__ import annotations

import os
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

from diembft.machine.events import Received, TimerFired
from diembft.protocols.interface import Replica

A = TypeVar("A")
R = TypeVar("R")

MAX_EFFECTS = 10_000
"""How many effects a step may have."""

MAX_SECONDS = 5.0
"""How long a step may take."""

HURRIED_SECONDS = 1.0
"""The same for a function that took longer than that once in this process: what is known to hang is asked again by
everybody who wants to be sure, and each should not wait for so long."""

LOOK_SECONDS = 0.1
"""How often is looked."""

MESSAGES_A_PAIR_AND_ROUND = 10
"""See `most_steps`."""

_SHOWN_CHARACTERS = 120
_SHOWN_FRAMES = 2
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_PACKAGES = tuple([sysconfig.get_paths()[scheme] + os.sep for scheme in ("purelib", "platlib")])


def most_steps(nodes: int, round_: int) -> int:
    """How many steps so many nodes may make at one moment: in a phase of a model, or in a tick of virtual time.

    What one node tells another in a round is a handful of messages: a proposal, votes, a timeout, a few answers. What
    it must tell besides is what the other has missed, a message or two for each round until then, so that this grows
    with the round. And each node may once have all the effects that a step may have. That is far more than any
    protocol needs, and what goes on for ever is over it within seconds.
    """
    return MAX_EFFECTS * nodes + MESSAGES_A_PAIR_AND_ROUND * round_ * nodes * nodes


class StepFailed(Exception):
    """A replica did not do what it was asked. `what` says why, in one line that does not name the node."""

    def __init__(self, what: str, node: int = -1) -> None:
        super().__init__(what)
        self.what = what
        self.node = node
        """Whoever catches it and knows the node says so."""


class StepOverdue(BaseException):
    """Raised in the midst of a step that takes too long. No `Exception`: a protocol that handles all would go on."""


# --- what is asked of a replica


def step(replica: Replica, event: Any) -> Sequence[Any]:
    """The effects of one step. Raises StepFailed."""
    effects = guarded(event, replica.step, event)
    try:
        count = len(effects)
    except TypeError:
        raise StepFailed(f"a step returns {type(effects).__name__}, which is no sequence, {_at(event)}") from None
    if count > MAX_EFFECTS:
        raise StepFailed(f"a step has {count:,} effects, more than {MAX_EFFECTS:,}, {_at(event)}")
    return effects


def fork(replica: Replica) -> Replica:
    """An independent copy of a replica. Raises StepFailed."""
    return guarded("fork", _fork, replica)


def _fork(replica: Replica) -> Replica:
    return replica.fork()


def guarded(at: Any, function: Callable[[A], R], argument: A) -> R:
    """Call something of a replica, which must end. `at` is the event, or in a word what is asked. Raises StepFailed."""
    try:
        watch = _mine.watch
    except AttributeError:
        watch = _mine.watch = _watch_of_this_thread()
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
    except StepOverdue as overdue:
        # It came late, after the step had ended or failed; no other one is under way (see `_Watch`).
        failure = failure or overdue
        watch.end()
    if failure is None:
        return value  # the thread that looks had taken notice, but not raised anything yet
    if not isinstance(failure, Exception | SystemExit | StepOverdue):
        raise failure  # Ctrl-C, and what else is no matter of the replica
    what = f"{_described(failure, watch.limit)} {_at(at)}"
    failure = None  # it refers to this frame, which would refer to it
    raise StepFailed(what) from None


@contextmanager
def hurried() -> Iterator[None]:
    """Let all steps be hurried: for what executes a scenario again of which another process found that it hangs."""
    global _everybody_hurries
    before, _everybody_hurries = _everybody_hurries, True
    try:
        yield
    finally:
        _everybody_hurries = before


# --- the thread that looks


class _Watch:
    """What one thread has under way.

    The stepping thread writes `running`, `count`, `function` and `absorbed`, the looking thread all else. A step must
    not get the exception that was meant for the one before it, nor must anybody else. So the looking thread first
    counts an attempt, then looks once more whether the step still runs, then raises; the stepping thread first says
    that nothing runs any more, then looks whether there was an attempt. Whichever comes first, one of them sees the
    other: if the stepping thread sees no new attempt, then none will be made for this step. If it does see one, it
    waits until the attempt is through (`settled`) and what was raised has arrived, and only then goes on. An
    exception that arrives in the midst of all this is caught around it; the next attempt at the same step would come a
    whole limit later.
    """

    __slots__ = (
        "__weakref__",
        "absorbed",
        "attempts",
        "count",
        "function",
        "limit",
        "looks",
        "running",
        "seen",
        "settled",
        "thread",
    )

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.count = 0
        self.running = 0
        """The number of the step under way; 0 if there is none."""
        self.function: Callable[..., Any] | None = None
        self.attempts = 0
        self.settled = 0
        self.absorbed = 0
        """How many of the attempts are dealt with."""
        self.seen = 0
        """Which step the last look found."""
        self.looks = 0
        """How many looks have found it before."""
        self.limit = MAX_SECONDS

    def end(self) -> None:
        """By the stepping thread, when a step failed, or an attempt was made to end it: nothing arrives after this."""
        self.running = 0
        while self.settled != self.attempts:
            time.sleep(0.0001)
        if self.attempts != self.absorbed:
            # Whether the exception has arrived nobody knows. Another one takes its place, and is waited for. To take it
            # back instead would leave CPython's mark that one is pending, and with that a function that is traced
            # never begins (Python 3.11: a traced RESUME is repeated as long as something is pending).
            try:
                _raise_in(self.thread, StepOverdue)
                while True:
                    time.sleep(0)
            except StepOverdue:
                self.absorbed = self.attempts

    def look(self) -> None:
        """By the looking thread."""
        running = self.running
        if not running or running != self.seen:
            self.seen, self.looks = running, 0
            return
        self.looks += 1
        name = _name_of(self.function)
        limit = min(MAX_SECONDS, HURRIED_SECONDS) if _everybody_hurries or name in _caught else MAX_SECONDS
        if self.looks * LOOK_SECONDS < limit:
            return
        self.attempts += 1
        if self.running == running:
            _caught[name] = None
            self.limit = limit
            _raise_in(self.thread, StepOverdue)
        self.settled = self.attempts
        self.looks = 0


_mine = threading.local()
_watches: WeakSet[_Watch] = WeakSet()
_starting = threading.Lock()
_looking = False
"""Whether the thread that looks was started."""
_caught: dict[str, None] = {}
"""What has taken too long in this process."""
_everybody_hurries = False


def _watch_of_this_thread() -> _Watch:
    global _looking
    watch = _Watch()
    with _starting:
        _watches.add(watch)
        if not _looking:
            threading.Thread(target=_look_on, name="steps that end", daemon=True).start()
            _looking = True
    return watch


def _look_on() -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        with _starting:
            watches = list(_watches)
        for watch in watches:
            watch.look()
        del watches


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise an exception in a thread as soon as it executes Python again, in the place of one that has not arrived."""
    import ctypes  # takes its time, and is hardly ever needed

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))


def _begin_anew() -> None:
    """In a process that was forked: threads do not come along."""
    global _looking, _starting
    _starting = threading.Lock()
    _looking = False
    _watches.clear()
    _mine.__dict__.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


# --- words


def _name_of(function: Callable[..., Any] | None) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"


def _at(at: Any) -> str:
    match at:
        case Received(message=message):
            return f"at Received({type(message).__name__})"
        case TimerFired(timer=timer, round=round_):
            return f"at TimerFired({timer.name}, {round_})"
        case str():
            return f"at {at}"
        case _:
            return f"at {type(at).__name__}"


def _described(failure: BaseException, limit: float) -> str:
    """What happened, and the innermost places in the code of the replica where it did."""
    if isinstance(failure, StepOverdue):
        what = f"takes longer than {limit:g} s"
    else:
        what = type(failure).__name__
        try:
            text = " ".join(str(failure).split())
        except Exception:  # also the words are those of the code under test
            text = ""
        if text:
            what += f": {text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + '...'}"
    places = _places(failure)
    return f"{what} ({places})" if places else what


def _places(failure: BaseException) -> str:
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(failure.__traceback__)
        if frame.f_code.co_filename != __file__
    ]
    own = [frame for frame in frames if not _is_library(frame[0])] or frames
    return ", ".join(
        [f"{os.path.basename(file)}:{line} in {name}" for file, line, name in own[: -_SHOWN_FRAMES - 1 : -1]]
    )


def _is_library(file: str) -> bool:
    return file.startswith("<") or (file.startswith(_STDLIB) and not file.startswith(_PACKAGES))
