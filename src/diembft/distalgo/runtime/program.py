"""What a `.da` file needs to be safe, and what DistAlgo does not give it.

DistAlgo swallows exceptions in receive handlers, ends with status 0 whatever happened, waits for ever in `new` and
`start` when a child has died, and drops a message that does not fit the buffer. With `--no-log` none of that is
seen. The helpers here are for use in `.da` files:

- `main` around `main()`: the exit status, no child left behind, errors seen;
- `carried` around `setup`, `run` and receive handlers: exceptions reach the main process, as
  `("failed", ProgramFailure)`;
- `give_up_after`: a bound on the whole run, for the waits that take no timeout;
- `require_fit`: a payload that would be dropped is an error where it is sent;
- `log_to_file`: a log for each process, with or without `--no-log`.

    from diembft.distalgo.runtime import program
    config(channel is fifo)            # the default channel loses messages

    class Worker(process):
        @program.carried
        def setup(path: str):
            program.log_to_file(path)
        @program.carried
        def receive(msg=("work", item), from_=p): ...
        @program.carried
        def run():
            if await(some(received(("stop",)))): pass
            elif timeout(30): pass
            send(("done", result), to=parent())

    @program.main
    def main():
        program.give_up_after(60)
        workers = new(Worker, num=4)
        ...
        start(workers)
        if await(some(received(("failed", failure)))): return 1
        elif each(w in workers, has=received(("done", _), from_=w)): return 0
        elif timeout(40): return 1

The exit status needs the adapter; everything else is plain DistAlgo.
"""

import functools
import importlib
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diembft.errors import InputError

FAILED: Final = "failed"
"""The first element of the message that `carried` sends to the main process; the second is a ProgramFailure."""

GRACE_S: Final = 5.0
"""Seconds that the children have to end by themselves after `main` has returned."""

GRACE_AFTER_ERROR_S: Final = 1.0
"""The same after `main` has failed: the children may well wait for a word that will not come."""

HEADER_BYTES: Final = 8
"""What the TCP transport puts before each message."""

ENVELOPE_BYTES: Final = 512
"""More than a pickled message needs beside its payload: about 215 bytes, and the names of named processes."""

_LOG_FORMAT: Final = "%(asctime)s %(name)s %(levelname)s: %(message)s"

_exit_status = 0
_log_handlers: list[logging.Handler] = []


@dataclass(frozen=True, slots=True)
class ProgramFailure:
    """An exception in a process: whose, in which function, in one line, and with its traceback."""

    process: str
    function: str
    error: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.process}: {self.function}: {self.error}"


# The exit status


def set_exit_status(status: int) -> None:
    """State what `python -m da` shall end with, unless it fails itself. For the main process; the last word counts."""
    global _exit_status
    _exit_status = status


def exit_status() -> int:
    """The status that the program has stated; 0 as long as it has not."""
    return _exit_status


def main(function: Callable[[Any], int | None]) -> Callable[[Any], None]:
    """Make what `main()` returns the exit status, and end every process that it leaves.

    None is 0. An InputError is one line on stderr and 2; another exception is its traceback and 1; `exit(code)` is
    its code. Children that are alive `GRACE_S` seconds later are ended, and that makes a status of 0 a 1.
    """

    @functools.wraps(function)
    def run(self: Any) -> None:
        status = 1
        try:
            status = function(self) or 0
        except InputError as error:
            print(error, file=sys.stderr, flush=True)
            status = 2
        except Exception:
            _show(traceback.format_exc())
        except BaseException as error:  # DistProcessExit, which derives from this class alone
            status = getattr(error, "exit_code", 1)
            raise
        finally:
            left = end_children(GRACE_S if status == 0 else GRACE_AFTER_ERROR_S)
            if left and status == 0:
                _show(f"{len(left)} processes did not end and were ended: {', '.join(left)}\n")
                status = 1
            set_exit_status(status)

    return run


def end_children(grace_s: float) -> list[str]:
    """Wait for the children of this process for `grace_s` seconds, then end the rest; the names of those."""
    until = time.monotonic() + grace_s
    children = multiprocessing.active_children()
    for child in children:
        child.join(max(0.0, until - time.monotonic()))
    left = [child for child in children if child.is_alive()]
    for child in left:
        child.kill()
    for child in left:
        child.join()
    return [child.name for child in left]


def give_up_after(seconds: float, status: int = 1) -> threading.Timer:
    """End this process and its children with `status` in so many seconds, whatever they wait for.

    For `new`, `setup` and `start`, which wait without a bound for a child that may have died. The timer that is
    returned can be cancelled; it does not keep the process alive.
    """

    def give_up() -> None:
        _show(f"given up after {seconds:g} s\n")
        end_children(0)
        os._exit(status)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    return timer


# Exceptions


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """Carry an exception of this function to the main process, as the message `("failed", ProgramFailure)`.

    It is shown on stderr too. Then the process ends: what it would do next rests on a state that nobody knows.
    After an exception in `setup` it stays, since its parent waits for an answer; it will not run.
    """

    @functools.wraps(function)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(self, *args, **kwargs)
        except Exception as error:
            failure = ProgramFailure(
                process=str(self._id),
                function=function.__name__,
                error=" ".join(f"{type(error).__name__}: {error}".split())[: _text_limit()],
                traceback=traceback.format_exc()[-_text_limit() :],
            )
            _show(f"{failure}\n{failure.traceback}")
            self.send((FAILED, failure), to=self.nodeof(self._id), channel="fifo")
            if function.__name__ == "setup":
                raise
            self.exit(1)

    return run


def _text_limit() -> int:
    # Two texts of at most four bytes a character.
    return payload_limit() // 8


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


# Sizes


def payload_limit() -> int:
    """How many bytes of payload a message can carry under this run's `--message-buffer-size`."""
    size: int = _common().get_runtime_option("message_buffer_size")
    return size - HEADER_BYTES - ENVELOPE_BYTES


def require_fit(payload: bytes, what: str) -> bytes:
    """`payload`, if a message can carry it; raises InputError otherwise, which names `what` and the option."""
    limit = payload_limit()
    if len(payload) > limit:
        raise InputError(
            f"{what}: {len(payload)} bytes do not fit --message-buffer-size "
            f"{limit + HEADER_BYTES + ENVELOPE_BYTES}, which leaves {limit} bytes for a payload"
        )
    return payload


def _common() -> Any:
    return importlib.import_module("da.common")


# Logging


def log_to_file(path: str | Path, level: int = logging.INFO) -> None:
    """Let this process log to `path` from now on: its `output`, DistAlgo's errors and every other logger.

    To be called in `setup` of each process. It replaces the file of an earlier call, and of the parent's, which a
    forked process would go on writing to. The console is left as the command line has it.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    root = logging.getLogger()
    root.setLevel(level)
    # Without --no-log, DistAlgo's loggers do not pass their records on.
    closed = [logging.getLogger(name) for name in ("da", *_common().modules)]
    for logger in [root, *(logger for logger in closed if not logger.propagate)]:
        for old in _log_handlers:
            logger.removeHandler(old)
        logger.addHandler(handler)
    _log_handlers[:] = [handler]
