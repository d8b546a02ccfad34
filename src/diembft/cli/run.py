"""`diembft run`: one test case, once or for many seeds."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import structs
from rich.text import Text

from diembft.cli import case_runs, completing, options, output, view
from diembft.cli.case_runs import CaseReport, CaseTask, Seed
from diembft.cli.options import Runtime
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.crypto.interface import Crypto
from diembft.testcase.loader import load


@click.command("run")
@click.argument("name_or_file", metavar="NAME_OR_FILE", shell_complete=completing.cases)
@options.seed
@click.option(
    "--failure-seed",
    callback=options.read_seed,
    metavar="NUMBER",
    help="Another seed for failures and delays than for the rest (default: that of --seed).",
)
@click.option(
    "--runs", type=click.IntRange(1), default=1, metavar="N", help="Run N times, with N seeds that follow one another."
)
@options.runtime
@options.bugs
@options.trace
@view.html
@options.crypto
@options.jobs
@options.as_json
def command(
    name_or_file: str,
    seed: Seed | None,
    failure_seed: Seed | None,
    runs: int,
    runtime: Runtime,
    bugs: tuple[str, ...],
    trace: Path | None,
    html: Path | None,
    crypto: Crypto,
    jobs: int,
    as_json: bool,
) -> int:
    """Run a test case, and say whether the system held.

    NAME_OR_FILE is the name of a case (`diembft list`), such as faulty_dropouts or must_fail/two_silent, or a file in
    the same format that ends in .da or .py. Without --seed the case's own seeds are used.
    """
    if runs > 1 and (trace is not None or html is not None):
        raise click.UsageError("--trace and --html are about one run: leave out --runs, and name a seed.")
    options.check_writable(trace, "--trace")
    options.check_writable(html, "--html")
    crypto = options.crypto_of(runtime, crypto)
    failure_seed_or_same = seed if failure_seed is None else failure_seed
    task = CaseTask(name_or_file, seed, failure_seed_or_same, crypto, bugs, trace, html, runtime)
    tasks = [task] if runs == 1 else _for_seeds(task, runs, failure_seed)
    done: list[CaseReport] = []
    with output.progress() as bar:
        shown = bar.add_task(name_or_file, total=runs)
        for _, run in results_of(case_runs.run, tasks, min(jobs, runs)):
            done.append(run)
            bar.advance(shown)
    done.sort(key=lambda run: run.seed)
    passed = all(run.verdict.passed for run in done)
    if as_json:
        output.say_json({"case": done[0].verdict.case, "passed": passed, "runs": done})
    elif runs == 1:
        _print_one(done[0])
    else:
        _print_many(done)
    return output.PASSED if passed else output.FAILED


def _for_seeds(task: CaseTask, runs: int, failure_seed: Seed | None) -> list[CaseTask]:
    """The task for each of the seeds that follow one another, beginning with its own, or else with the case's."""
    first = load(task.name_or_file).seed if task.seed is None else task.seed
    seeds = [first + number for number in range(runs)]
    return [
        structs.replace(task, seed=seed, failure_seed=seed if failure_seed is None else failure_seed) for seed in seeds
    ]


def _print_one(run: CaseReport) -> None:
    verdict = run.verdict
    remark = "" if verdict.expect_failure is None else f", expected to fail with {verdict.expect_failure}"
    output.say(Text.assemble(output.verdict_word(verdict.passed), f" {verdict.case}{remark}"))
    output.table(case_runs.FIGURES, [case_runs.figures(run)])
    for reason in verdict.reasons:
        output.say(f"{reason.kind}: {reason.text}")
    if run.drawn_seeds or not verdict.passed:
        output.say(f"again: {run.replay}")


def _print_many(runs: list[CaseReport]) -> None:
    output.table(
        [Column("seed", True), Column("verdict"), *case_runs.FIGURES],
        [(repr(run.seed), output.verdict_word(run.verdict.passed), *case_runs.figures(run)) for run in runs],
    )
    failed = [run for run in runs if not run.verdict.passed]
    for run in failed:
        output.say(Text.assemble(output.verdict_word(False), f" {run.verdict.case}, seed {run.seed!r}"))
        case_runs.explain(run)
    output.say(f"{len(runs) - len(failed)} of {len(runs)} runs passed")
