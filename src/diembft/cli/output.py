"""What commands print with: results on standard output, progress and complaints on standard error."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from typing_extensions import override

PASSED, FAILED, BAD_INPUT, BROKEN, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses. BROKEN: something of ours or of the machine, and not of what was tested, does not hold."""

CLOSED_PIPE = 141
"""Exit status where nobody reads any more what is printed, as by `| head`: that of programs which SIGPIPE ends."""

_WIDE = 120
"""Columns of a table that goes to a file or a pipe, which have no width of their own."""


class NotPrinted(OSError):
    """Standard output cannot be written. BrokenPipeError is its cause if nobody reads it any more."""


class _Console(Console):
    @override
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def prepare_streams() -> None:
    """Print a mark for what a terminal cannot show, and nothing to a stream that is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # as long as the process lives
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextmanager
def _printing() -> Iterator[None]:
    """Raises NotPrinted where printing fails."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise not_printed(error) from error


def not_printed(error: OSError) -> NotPrinted:
    """What to raise, from the error, when printing failed."""
    return NotPrinted(f"standard output: cannot be written: {error.strerror}")


def finish() -> None:
    """Print what is still in memory. Raises NotPrinted."""
    with _printing():
        pass


def give_up(error: NotPrinted) -> int:
    """Print nothing more; complain, unless it is that nobody reads. Returns the exit status."""
    _silence(sys.stdout)
    if isinstance(error.__cause__, BrokenPipeError):
        return CLOSED_PIPE
    complain(str(error))
    return BROKEN


def _silence(stream: Any) -> None:
    """What the stream still holds goes nowhere when the interpreter ends, where it could not even be said."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # ValueError: it has no file
        os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def then(write: Callable[[], object]) -> Iterator[None]:
    """Writes files behind a block that prints: what cannot be written is told first, and is written although nobody may
    read any more what is told, as by `| head`."""
    try:
        yield
    finally:
        write()


def out() -> Console:
    """Standard output."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    # Markup and emoji would be read into names that a user gave; highlighting would colour numbers at random.
    return _Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def say(line: str | Text) -> None:
    """One line on standard output, however long."""
    with _printing():
        out().print(line, soft_wrap=True)


def complain(problem: str) -> None:
    """One line on standard error."""
    try:
        err().print(Text("diembft: ", "bold red") + Text(" ".join(problem.split())), soft_wrap=True)
    except OSError:  # then it cannot be said, and the exit status has to do
        _silence(sys.stderr)


def say_worker_died() -> None:
    """Said once, in the midst of the work."""
    complain("a worker process died; its work is done again")


def say_json(value: Any) -> None:
    """A value as JSON on standard output, with sorted keys, indented."""
    text = msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2).decode()
    with _printing():
        sys.stdout.write(text + "\n")


def verdict_word(passed: bool) -> Text:
    """PASS or FAIL, coloured."""
    return Text("PASS", "bold green") if passed else Text("FAIL", "bold red")


class Column(NamedTuple):
    """The heading of a column, and whether it holds numbers."""

    heading: str
    numbers: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table on standard output."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(
            column.heading, justify="right" if column.numbers else "left", no_wrap=column.numbers, overflow="fold"
        )
    for row in rows:
        drawn.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    with _printing():
        out().print(drawn)


def progress() -> Progress:
    """A progress bar on standard error, which is only drawn on a terminal and leaves nothing behind."""
    console = err()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
