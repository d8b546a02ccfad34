"""Work that is stopped before its end: by Ctrl-C, because its workers died, or because a disk is full.

A command that takes long does its work in `stoppable`, prints what there is, and ends with `Stop.status`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.text import Text

from diembft.cli import output
from diembft.files import NotWritten


class Stop:
    """Whether work was stopped, and why."""

    def __init__(self) -> None:
        self.why = ""
        """Empty if it was not."""
        self._status = output.PASSED

    def because(self, why: str, status: int) -> None:
        """Note that the work was stopped."""
        self.why, self._status = why, status

    def __bool__(self) -> bool:
        return bool(self.why)

    def as_json(self) -> dict[str, str]:
        """For results that are printed as JSON: why they are not all, if they are not."""
        return {"stopped": self.why} if self else {}

    def verdict_word(self, passed: bool) -> Text:
        """STOPPED, or else PASS or FAIL."""
        return Text("STOPPED", "bold yellow") if self else output.verdict_word(passed)

    def status(self, otherwise: int, how_to_go_on: str = "") -> int:
        """The exit status of the command: `otherwise` if nothing stopped it. If something did, it says why."""
        if not self:
            return otherwise
        output.complain(f"{self.why}{how_to_go_on and f'; {how_to_go_on}'}")
        return self._status


@contextmanager
def stoppable(stop: Stop | None = None) -> Iterator[Stop]:
    """Goes on behind the block when something stops the work in it.

    `stop` is that of work before, which was not stopped.
    """
    stop = Stop() if stop is None else stop
    try:
        yield stop
    except KeyboardInterrupt:
        stop.because("interrupted", output.INTERRUPTED)
    except (ChildProcessError, NotWritten) as error:
        stop.because(str(error), output.BROKEN)


def goes_on(option: str, value: object) -> str:
    """How to go on with what was stopped: by the option that keeps what was done, if it was given."""
    if value is None:
        return f"with {option} FILE what is done would have been kept"
    return f"the same command goes on from there ({option} {value})"


@contextmanager
def second_interrupt_ends() -> Iterator[None]:
    """The first Ctrl-C raises KeyboardInterrupt, a second one ends this process and its workers at once."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    heard = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        if heard:
            for process in multiprocessing.active_children():
                process.kill()
            os._exit(output.INTERRUPTED)
        heard = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
