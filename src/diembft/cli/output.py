"""What commands print with: results on standard output, progress and complaints on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises InputError where writing a file fails."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
