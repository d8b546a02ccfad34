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
from diembft.cli.stopping import stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.crypto.interface import Crypto
from diembft.judge.expected import NOT_VIOLATED, Expect
from diembft.testcase.latency import Span
from diembft.testcase.loader import find, load

MAX_RUNS = 1_000_000


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
    "--runs",
    type=options.whole(1, MAX_RUNS),
    default=1,
    metavar="N",
    help="Run N times, with N seeds that follow one another.",
)
@options.latency
@options.block_size
@options.runtime
@options.bugs
@options.expect
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
    latency: Span | None,
    block_size: int | None,
    runtime: Runtime,
    bugs: tuple[str, ...],
    expect: Expect | None,
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
    check_targets(Target("--trace", trace, Kind.TRACE), Target("--html", html, Kind.PAGE), inputs=[find(name_or_file)])
    crypto = options.crypto_of(runtime, crypto)
    failure_seed_or_same = seed if failure_seed is None else failure_seed
    task = CaseTask(name_or_file, seed, failure_seed_or_same, crypto, bugs, runtime, latency, block_size, expect)
    if runs == 1:
        return _run_one(task, trace, html, as_json)
    tasks = _for_seeds(task, runs, failure_seed)
    done: list[CaseReport] = []
    with stoppable() as stop, output.progress() as bar:
        shown = bar.add_task(name_or_file, total=runs)
        for _, run in results_of(case_runs.run, tasks, min(jobs, runs), lambda task: f"seed {task.seed!r}"):
            done.append(run)
            bar.advance(shown)
    done.sort(key=lambda run: run.seed)
    passed = all(run.verdict.passed for run in done)
    if as_json:
        said = {"case": find(name_or_file).stem, "passed": passed and not stop, "runs": done}
        output.say_json(said | stop.as_json())
    elif done:
        _print_many(done, runtime)
    return stop.status(output.PASSED if passed else output.FAILED, f"{len(done)} of {runs} runs were done")


def _run_one(task: CaseTask, trace: Path | None, html: Path | None, as_json: bool) -> int:
    """Run once; what came of it is said before it is written."""
    report, records = case_runs.run_recorded(task, keep_trace=trace is not None or html is not None)
    verdict = report.verdict
    with output.then(lambda: view.write_record(records, trace, html)):
        if as_json:
            output.say_json({"case": verdict.case, "passed": verdict.passed, "runs": [report]})
        else:
            _print_one(report, task.runtime)
    return output.PASSED if verdict.passed else output.FAILED


def _for_seeds(task: CaseTask, runs: int, failure_seed: Seed | None) -> list[CaseTask]:
    """The task for each of the seeds that follow one another, beginning with its own, or else with the case's."""
    first = load(task.name_or_file).seed if task.seed is None else task.seed
    seeds = [first + number for number in range(runs)]
    return [
        structs.replace(task, seed=seed, failure_seed=seed if failure_seed is None else failure_seed) for seed in seeds
    ]


def _print_one(run: CaseReport, runtime: Runtime) -> None:
    verdict = run.verdict
    expected = "" if verdict.expect_failure is None else f", expected to fail with {verdict.expect_failure}"
    if verdict.passed and verdict.reasons and not expected:
        expected = ", violated as expected"
    elif not verdict.passed and not verdict.reasons and not expected:
        expected = f": {NOT_VIOLATED}"
    output.say(Text.assemble(output.verdict_word(verdict.passed), f" {verdict.case}{expected}"))
    output.table(case_runs.columns(runtime), [case_runs.figures(run)])
    for reason in verdict.reasons:
        output.say(f"{reason.kind}: {reason.text}")
    for remark in run.remarks:
        output.say(remark)
    if run.drawn_seeds or verdict.reasons or not verdict.passed:
        output.say(f"again: {run.replay}")


def _print_many(runs: list[CaseReport], runtime: Runtime) -> None:
    output.table(
        [Column("seed", True), Column("verdict"), *case_runs.columns(runtime)],
        [(repr(run.seed), output.verdict_word(run.verdict.passed), *case_runs.figures(run)) for run in runs],
    )
    failed = [run for run in runs if not run.verdict.passed]
    for run in failed:
        output.say(Text.assemble(output.verdict_word(False), f" {run.verdict.case}, seed {run.seed!r}"))
        case_runs.explain(run)
    for remark in runs[0].remarks:
        if all(remark in run.remarks for run in runs):
            output.say(remark)
    output.say(f"{len(runs) - len(failed)} of {len(runs)} runs passed")
