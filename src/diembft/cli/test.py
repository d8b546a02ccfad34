"""`diembft test`: all test cases of a folder."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import click
from rich.text import Text

from diembft.cli import case_runs, options, output
from diembft.cli.case_runs import CaseReport, CaseTask
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.cli.stopping import stoppable
from diembft.crypto.interface import Crypto
from diembft.errors import InputError
from diembft.testcase.latency import Span
from diembft.testcase.loader import case_files, default_folder, load, name_in


@click.command("test")
@click.argument("folder", metavar="[DIR]", required=False, type=options.READABLE_FOLDER)
@options.latency
@options.block_size
@options.crypto
@options.jobs
@options.as_json
def command(
    folder: Path | None, latency: Span | None, block_size: int | None, crypto: Crypto, jobs: int, as_json: bool
) -> int:
    """Run all test cases in DIR (default: configs/), in parallel.

    Those in folders below DIR are among them, but for must_fail/ with the cases that are expected to fail.
    """
    began_s = perf_counter()
    top = folder or default_folder()
    files = case_files(top)
    if not files:
        raise InputError(f"{top}: there are no test cases (files that end in .da or .py)")
    shown_as = [name_in(top, path) for path in files]
    names = list(map(str, files)) if folder else shown_as  # as `diembft run` takes them
    for name in names:
        load(name)  # so that nothing runs if anything is wrong with any case
    tasks = [CaseTask(name, None, None, crypto, latency=latency, block_size=block_size) for name in names]
    runs: dict[str, CaseReport] = {}
    with stoppable() as stop, output.progress() as bar:
        shown = bar.add_task("test cases", total=len(tasks))
        for task, run in results_of(case_runs.run, tasks, min(jobs, len(tasks)), lambda task: task.name_or_file):
            runs[task.name_or_file] = run
            bar.advance(shown)
    named = [(shown, runs[name]) for shown, name in zip(shown_as, names, strict=True) if name in runs]
    passed = all(run.verdict.passed for _, run in named)
    real_s = perf_counter() - began_s
    if as_json:
        said = {"passed": passed and not stop, "real_s": real_s, "runs": [run for _, run in named]}
        output.say_json(said | stop.as_json())
    elif named:
        _print(named, real_s)
    return stop.status(output.PASSED if passed else output.FAILED, f"{len(named)} of {len(names)} cases were run")


def _print(named: list[tuple[str, CaseReport]], real_s: float) -> None:
    output.table(
        [Column("case"), Column("verdict"), *case_runs.FIGURES],
        [(name, output.verdict_word(run.verdict.passed), *case_runs.figures(run)) for name, run in named],
    )
    failed = [(name, run) for name, run in named if not run.verdict.passed]
    for name, run in failed:
        output.say(Text.assemble(output.verdict_word(False), f" {name}"))
        case_runs.explain(run)
    for name, run in named:
        for remark in run.remarks:
            output.say(f"{name}: {remark}")
    output.say(f"{len(named) - len(failed)} of {len(named)} cases passed in {real_s:.1f} s")
