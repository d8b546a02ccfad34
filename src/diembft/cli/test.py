"""`diembft test`: all test cases of a folder, or some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import click
from msgspec import structs
from rich.text import Text

from diembft.cli import case_runs, completing, failed_cases, junit, options, output
from diembft.cli.case_choice import Chosen, chosen
from diembft.cli.case_runs import CaseReport, CaseTask
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.cli.stopping import Stop, stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.crypto.interface import Crypto
from diembft.testcase.latency import Span
from diembft.testcase.loader import find, load


@click.command("test")
@click.argument("arguments", metavar="[DIR] [NAME]...", nargs=-1, shell_complete=completing.folders_and_cases)
@click.option("-k", "keyword", metavar="EXPRESSION", help="Only cases whose names have this in them.")
@click.option("--exitfirst", "-x", is_flag=True, help="Start no more cases after the first failure.")
@click.option(
    "--junitxml", type=click.Path(path_type=Path), metavar="FILE", help="Write the results to FILE as JUnit XML."
)
@click.option(
    "--failed",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    default=failed_cases.DEFAULT_FOLDER,
    show_default=True,
    help="Where the trace and the page of each case that failed go; it is made when one does.",
)
@options.latency
@options.block_size
@options.crypto
@options.jobs
@options.as_json
def command(
    arguments: tuple[str, ...],
    keyword: str | None,
    exitfirst: bool,
    junitxml: Path | None,
    failed: Path,
    latency: Span | None,
    block_size: int | None,
    crypto: Crypto,
    jobs: int,
    as_json: bool,
) -> int:
    """Run test cases in parallel: all in DIR (default: configs/), or those that are named.

    Those in folders below DIR are among them, but for must_fail/ with the cases that are expected to fail: these are
    run if they are named. A NAME is one that `diembft list` shows. EXPRESSION is part of a name, in small or large
    letters, or several with and, or, not and parentheses: -k "loss and not message". If nothing is meant that is an
    error.
    """
    began_s = perf_counter()
    cases = chosen(arguments, keyword)
    _check_files(junitxml, failed, cases)
    for case in cases:
        load(case.given)  # so that nothing runs if anything is wrong with any case
    task = CaseTask("", None, None, crypto, latency=latency, block_size=block_size)
    done, stop = _run(cases, task, jobs, exitfirst)
    results = _Results(cases, done, perf_counter() - began_s, stop)
    wrong = results.wrong
    files = [] if stop else failed_cases.places(failed, [case.name for case, _ in wrong])

    def write() -> None:
        if junitxml is not None:
            runs = [(case.name, run) for case, run in done]
            junit.write(junitxml, runs, results.not_run, stop.why or "after the first failure", results.real_s)
        if not stop:
            failed_cases.write(wrong, files, task)

    with output.then(write):
        if as_json:
            output.say_json(results.as_json() | {"failed": files})
        elif done:
            _print(results)
    for place in () if as_json else files:
        output.say(f"{place.html}, {place.trace}: show {place.name}")
    return stop.status(output.FAILED if wrong else output.PASSED, f"{len(done)} of {len(cases)} cases were run")


def _check_files(junitxml: Path | None, failed: Path, cases: Sequence[Chosen]) -> None:
    """Look at what may be written. The default folder of failures is looked at when there is one."""
    targets = [Target("--junitxml", junitxml, Kind.JUNIT)]
    if options.is_given("failed"):
        files = failed_cases.places(failed, [case.name for case in cases])
        targets += [Target("--failed", failed, Kind.FOLDER), *failed_cases.targets(files)]
    check_targets(*targets, inputs=[find(case.given) for case in cases])


class _Results(NamedTuple):
    """What came of the cases."""

    cases: Sequence[Chosen]
    done: Sequence[tuple[Chosen, CaseReport]]
    real_s: float
    stop: Stop

    @property
    def wrong(self) -> list[tuple[Chosen, CaseReport]]:
        """Those that failed."""
        return [(case, run) for case, run in self.done if not run.verdict.passed]

    @property
    def not_run(self) -> list[str]:
        """The names of those that were not started, or not ended."""
        done = {case for case, _ in self.done}
        return [case.name for case in self.cases if case not in done]

    def as_json(self) -> dict[str, Any]:
        """As JSON has them."""
        return {
            "passed": not self.wrong and not self.stop,
            "real_s": self.real_s,
            "runs": [run for _, run in self.done],
            "not_run": self.not_run,
            **self.stop.as_json(),
        }


def _run(
    cases: Sequence[Chosen], task: CaseTask, jobs: int, exitfirst: bool
) -> tuple[list[tuple[Chosen, CaseReport]], Stop]:
    """What came of each case, in their order; of those that were not started after the first failure nothing.

    `task` says how all are run.
    """
    by_name = {case.given: case for case in cases}
    runs: dict[Chosen, CaseReport] = {}

    def wanted() -> Iterator[CaseTask]:
        for case in cases:
            if exitfirst and not all(run.verdict.passed for run in runs.values()):
                return
            yield structs.replace(task, name_or_file=case.given)

    with stoppable() as stop, output.progress() as bar:
        shown = bar.add_task("test cases", total=len(cases))
        for done, run in results_of(case_runs.run, wanted(), min(jobs, len(cases)), lambda one: one.name_or_file):
            runs[by_name[done.name_or_file]] = run
            bar.advance(shown)
    return [(case, runs[case]) for case in cases if case in runs], stop


def _print(results: _Results) -> None:
    done, failed, not_run = results.done, results.wrong, results.not_run
    output.table(
        [Column("case"), Column("verdict"), *case_runs.FIGURES],
        [(case.name, output.verdict_word(run.verdict.passed), *case_runs.figures(run)) for case, run in done],
    )
    for case, run in failed:
        output.say(Text.assemble(output.verdict_word(False), f" {case.name}"))
        case_runs.explain(run)
    for case, run in done:
        for remark in run.remarks:
            output.say(f"{case.name}: {remark}")
    rest = f"; {len(not_run)} more were not run after the first failure" if not_run and not results.stop else ""
    output.say(f"{len(done) - len(failed)} of {len(done)} cases passed in {results.real_s:.1f} s{rest}")
