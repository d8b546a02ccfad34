"""`diembft view`: a page that shows a run. `diembft plot`: a chart of results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from diembft.cli import output
from diembft.cli.targets import Kind, Target, check_targets
from diembft.files import STDIN
from diembft.pages.page import write_page
from diembft.pages.plots import FORMATS, write_plot
from diembft.pages.prepare import TraceFile, prepare
from diembft.pages.results import read_results
from diembft.protocols.interface import Crypto
from diembft.trace.files import read_trace, write_trace
from diembft.trace.records import Record
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.scenario import Scenario

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""`-` is standard input."""

html = click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page that shows the run to FILE; it opens in any browser, without a network.",
)
"""The option of the commands that run something; give the records and its value to `write_html`."""


def write_record(records: Sequence[Record], trace: Path | None, html: Path | None) -> None:
    """Write what the options `trace` and `html` ask for. Raises InputError, or NotWritten."""
    if trace is not None:
        write_trace(trace, records)
    if html is not None:
        write_html(html, records)


def write_html(path: Path, records: Sequence[Record]) -> None:
    """Write the page of a run that is in memory. Raises InputError."""
    write_page(path, prepare(records))


def write_scenario_html(
    path: Path, scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic", replay: str = ""
) -> None:
    """Execute a scenario, and write the page of its run; `replay` is the command that runs it again.

    `delayed` and `crypto` are for scenarios of the timed model alone. Raises InputError.
    """
    timed = scenario.model == "timed"
    _, records = traced(scenario, delayed=delayed and timed, crypto=crypto if timed else "symbolic", replay=replay)
    write_html(path, records)


def read_rounds(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """The rounds that an option gives: `7` or `3-9`."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", value, re.ASCII)
    if match is None:
        raise click.BadParameter(f"{value[:60]!r} is not a round such as 7, or rounds such as 3-9.")
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last:
        raise click.BadParameter(f"{value[:60]!r} ends before it begins.")
    return first, last


@click.command("view")
@click.argument("trace", type=_FILE)
@click.option(
    "-o", "--output", "page", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The page to write."
)
@click.option("--rounds", callback=read_rounds, metavar="FIRST-LAST", help="Show these rounds of a long trace.")
def view(trace: Path, page: Path, rounds: tuple[int, int] | None) -> int:
    """Make a page that shows the run of a TRACE (`-`: standard input).

    The page is one file, to be opened in a browser, and needs no network. Of a trace that is too long for one page it
    shows the rounds around the first violation, or the first ones; --rounds asks for others.
    """
    check_targets(Target("--output", page, Kind.PAGE), inputs=[trace])
    shown = prepare(list(read_trace(trace)) if trace == STDIN else TraceFile(trace), rounds)
    write_page(page, shown)
    part = shown.window
    if not part.whole:
        cut = "" if part.cut_s is None else f", the last one up to {part.cut_s:.3f} s"
        output.say(f"{page}: rounds {part.first_round} to {part.last_round} of {part.all_rounds}{cut}")
    return output.PASSED


@click.command("plot")
@click.argument("file", type=_FILE)
@click.option(
    "-o",
    "--output",
    "picture",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT",
    help=f"The picture to write; its suffix says how: {', '.join(FORMATS)}.",
)
def plot(file: Path, picture: Path) -> int:
    """Draw a chart of the results in FILE (`-`: standard input).

    Of a trace: commit latency over time, with the faults of the run. Of an exploration (twins explore --json): states
    in each level. Of a kill matrix (twins matrix --json): which oracle sees which planted bug, and after how much.
    """
    check_targets(Target("--output", picture, Kind.PICTURE), inputs=[file])
    write_plot(picture, read_results(file))
    return output.PASSED
