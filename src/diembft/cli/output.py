"""What commands print with: results on standard output, progress and complaints on standard error."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from typing_extensions import override

PASSED, FAILED, BAD_INPUT, BROKEN, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses; README says what each means, and STATUSES in short."""

CLOSED_PIPE = 141
"""Exit status where nobody reads any more what is printed, as by `| head`: that of programs which SIGPIPE ends."""

STATUSES = (
    "Exit status: 0 as expected, 1 not as expected, 2 bad input, 3 something of diembft or of the machine failed, "
    "130 interrupted, 141 closed pipe."
)
"""Under the help of every command."""

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


def tell(sentence: str) -> None:
    """A long sentence on standard output, which breaks between words on a terminal, and nowhere else."""
    console = out()
    with _printing():
        console.print(Text(sentence), soft_wrap=not console.is_terminal)


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


def help_without_command(context: click.Context) -> int | None:
    """What a group of commands does when it is called: nothing, if one of them is named; else it shows its help."""
    if context.invoked_subcommand is not None:
        return None
    click.echo(context.get_help(), err=True)
    return BAD_INPUT


def verdict_word(passed: bool) -> Text:
    """PASS or FAIL, coloured."""
    return Text("PASS", "bold green") if passed else Text("FAIL", "bold red")


class Column(NamedTuple):
    """The heading of a column, whether it holds numbers or sentences, and whether it may go where space is short."""

    heading: str
    numbers: bool = False
    prose: bool = False
    spare: bool = False


_GAP = 2
_PROSE = 24
"""Between columns, and for a sentence at least."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table on standard output. Headings and names stay in one piece; where that does not fit, spare columns go, the
    last ones first, and `--json` has them."""
    console = out()
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    shown = _fitting(columns, cells, console.width)
    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for index in shown:
        column = columns[index]
        justify: Literal["left", "right"] = "right" if column.numbers else "left"
        drawn.add_column(column.heading, justify=justify, no_wrap=not column.prose, overflow="fold")
    for row in cells:
        drawn.add_row(*[row[index] for index in shown])
    with _printing():
        console.print(drawn, crop=False)


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """The columns that are shown in so wide a terminal."""
    shown = list(range(len(columns)))
    needs = [
        _PROSE if column.prose else max([cell_len(column.heading), *[row[index].cell_len for row in rows]])
        for index, column in enumerate(columns)
    ]
    spare = [index for index in shown if columns[index].spare]
    while spare and sum([needs[index] + _GAP for index in shown]) - _GAP > width:
        shown.remove(spare.pop())
    return shown


def progress() -> Progress:
    """A progress bar on standard error, which is only drawn on a terminal and leaves nothing behind."""
    console = err()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def beside(bar: Progress) -> Iterator[None]:
    """Print on standard output while a bar is drawn: it makes room, and comes back below."""
    bar.stop()
    try:
        yield
    finally:
        bar.start()


@contextmanager
def busy(what: str) -> Iterator[Callable[[str], None]]:
    """A bar for work of unknown length; what is given is called with more to say of it."""
    with progress() as bar:
        shown = bar.add_task(what, total=None)
        yield lambda more: bar.update(shown, description=f"{what}, {more}")
