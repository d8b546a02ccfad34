"""`diembft test`: all test cases of a folder, or some of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import click
from rich.text import Text

from diembft.cli import case_runs, completing, failed_cases, junit, options, output
from diembft.cli.case_choice import Chosen, chosen
from diembft.cli.case_runs import CaseReport, CaseTask
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.crypto.interface import Crypto
from diembft.testcase.loader import load


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
@options.crypto
@options.jobs
@options.as_json
def command(
    arguments: tuple[str, ...],
    keyword: str | None,
    exitfirst: bool,
    junitxml: Path | None,
    failed: Path,
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
    options.check_writable(junitxml, "--junitxml")
    cases = chosen(arguments, keyword)
    for case in cases:
        load(case.given)  # so that nothing runs if anything is wrong with any case
    done = _run(cases, crypto, jobs, exitfirst)
    real_s = perf_counter() - began_s
    not_run = [case.name for case in cases if case not in {case for case, _ in done}]
    wrong = [(case, run) for case, run in done if not run.verdict.passed]
    files = failed_cases.places(failed, [case.name for case, _ in wrong])
    if as_json:
        runs = [run for _, run in done]
        report = {"passed": not wrong, "real_s": real_s, "runs": runs, "not_run": not_run, "failed": files}
        output.say_json(report)
    else:
        _print(done, not_run, real_s)
    if junitxml is not None:
        junit.write(junitxml, [(case.name, run) for case, run in done], not_run, real_s)
    failed_cases.write(wrong, files, crypto)
    if not as_json:
        for place in files:
            output.say(f"{place.html}, {place.trace}: show {place.name}")
    return output.FAILED if wrong else output.PASSED


def _run(cases: list[Chosen], crypto: Crypto, jobs: int, exitfirst: bool) -> list[tuple[Chosen, CaseReport]]:
    """What came of each case, in their order; of those that were not started after the first failure nothing."""
    by_name = {case.given: case for case in cases}
    runs: dict[Chosen, CaseReport] = {}

    def wanted() -> Iterator[CaseTask]:
        for case in cases:
            if exitfirst and not all(run.verdict.passed for run in runs.values()):
                return
            yield CaseTask(case.given, None, None, crypto)

    with output.progress() as bar:
        shown = bar.add_task("test cases", total=len(cases))
        for task, run in results_of(case_runs.run, wanted(), min(jobs, len(cases))):
            runs[by_name[task.name_or_file]] = run
            bar.advance(shown)
    return [(case, runs[case]) for case in cases if case in runs]


def _print(done: list[tuple[Chosen, CaseReport]], not_run: list[str], real_s: float) -> None:
    output.table(
        [Column("case"), Column("verdict"), *case_runs.FIGURES],
        [(case.name, output.verdict_word(run.verdict.passed), *case_runs.figures(run)) for case, run in done],
    )
    failed = [(case, run) for case, run in done if not run.verdict.passed]
    for case, run in failed:
        output.say(Text.assemble(output.verdict_word(False), f" {case.name}"))
        case_runs.explain(run)
    rest = f"; {len(not_run)} more were not run after the first failure" if not_run else ""
    output.say(f"{len(done) - len(failed)} of {len(done)} cases passed in {real_s:.1f} s{rest}")
