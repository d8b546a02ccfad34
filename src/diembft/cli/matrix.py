"""`diembft twins matrix`: which oracle sees which planted bug."""

from __future__ import annotations

import click
from rich.text import Text

from diembft.cli import options, output
from diembft.cli.output import Column
from diembft.cli.stopping import stoppable
from diembft.faults.registry import BUGS
from diembft.twins.campaigns.matrix import FULL, QUICK, MatrixRow, cells, matrix
from diembft.twins.campaigns.workers import executors


@click.command("matrix")
@click.option("--quick", is_flag=True, help="Look for seconds, not minutes: fewer places, scenarios and states.")
@click.option(
    "--row",
    "bugs",
    type=click.Choice(list(BUGS)),
    multiple=True,
    metavar="BUG",
    help="Look for this bug alone; may be repeated.",
)
@options.jobs
@options.as_json
def command(quick: bool, bugs: tuple[str, ...], jobs: int, as_json: bool) -> int:
    """The kill matrix: look for each planted bug, and tell which oracle sees it, where, and after how much.

    Figures of samples are medians over seeds; found scenarios are made smaller, which says how many rounds it takes.
    What nothing sees is listed with the reason. Fails if anything that must be found is not, or the other way round.
    """
    asked = [cell for cell in cells(quick=quick) if not bugs or set(bugs) & set(cell.bugs)]
    rows: list[MatrixRow] = []
    with (
        stoppable() as stop,
        output.progress() as bar,
        executors(jobs, on_loss=output.say_worker_died) as (make_executor, _),
        make_executor() as executor,
    ):
        shown = bar.add_task("cells", total=len(asked))
        for row in matrix(asked, QUICK if quick else FULL, executor):
            rows.append(row)
            bar.update(shown, advance=1)
    passed = all(row.as_expected for row in rows)
    if as_json:
        output.say_json({"rows": rows, "passed": passed and not stop} | stop.as_json())
    elif rows or not stop:
        _print(rows, stop.verdict_word(passed))
    return stop.status(output.PASSED if passed else output.FAILED, f"{len(rows)} of {len(asked)} cells were done")


def _print(rows: list[MatrixRow], verdict: Text) -> None:
    output.table(
        [
            Column("bug"),
            Column("where"),
            Column("oracle", prose=True),
            Column("rounds", True),
            Column("scenarios", True),
            Column("states", True, spare=True),
            Column("seeds", True, spare=True),
        ],
        [_cells(row) for row in rows],
    )
    for row in rows:
        if row.note:
            output.say(f"{row.bug}, {row.where}: {row.note}")
    wrong = sum(not row.as_expected for row in rows)
    output.say(Text.assemble(verdict, f" {len(rows) - wrong} of {len(rows)} cells as expected"))


def _cells(row: MatrixRow) -> list[str | Text]:
    figures = [_figure(row.rounds), _figure(row.scenarios), _figure(row.states)]
    oracle = Text("nothing", "dim") if row.oracle is None else Text(row.oracle)
    if not row.as_expected:
        oracle = Text.assemble(oracle, (" !", "bold red"))
    return [row.bug, row.where, oracle, *figures, row.seeds]


def _figure(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,g}"
