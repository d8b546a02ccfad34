"""What commands print with: results on standard output, progress and complaints on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
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

from diembft.errors import InputError

PASSED, FAILED, BAD_INPUT, BROKEN, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses; README says what each means, and STATUSES in short."""

STATUSES = (
    "Exit status: 0 as expected, 1 not as expected, 2 bad input, 3 something of diembft or of the machine failed, "
    "130 interrupted."
)
"""Under the help of every command."""

_WIDE = 120
"""Columns of a table that goes to a file or a pipe, which have no width of their own."""


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
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def say(line: str | Text) -> None:
    """One line on standard output, however long."""
    out().print(line, soft_wrap=True)


def tell(sentence: str) -> None:
    """A long sentence on standard output, which breaks between words on a terminal, and nowhere else."""
    console = out()
    console.print(Text(sentence), soft_wrap=not console.is_terminal)


def complain(problem: str) -> None:
    """One line on standard error."""
    err().print(Text("diembft: ", "bold red") + Text(" ".join(problem.split())), soft_wrap=True)


def say_json(value: Any) -> None:
    """A value as JSON on standard output, with sorted keys, indented."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2).decode() + "\n")


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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises InputError where writing a file fails."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
