"""One run of a test case, as `diembft run` and `diembft test` ask for it, in whatever process."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from diembft.cli import options, output, view
from diembft.cli.options import Runtime
from diembft.cli.output import Column
from diembft.crypto.interface import Crypto
from diembft.faults.registry import plant
from diembft.host.cases import CaseFigures, CaseResult
from diembft.simulation.run_case import run_case
from diembft.testcase.case import TestCase
from diembft.testcase.loader import load
from diembft.testcase.outcome import CaseVerdict
from diembft.trace.files import write_trace

if TYPE_CHECKING:
    from diembft.distalgo.command import CaseRun

Seed = int | float


class CaseTask(Struct, frozen=True):
    """What is to be run. A seed that is None is the case's own."""

    name_or_file: str
    seed: Seed | None
    failure_seed: Seed | None
    crypto: Crypto
    bugs: tuple[str, ...] = ()
    """Names of planted bugs."""
    trace: Path | None = None
    html: Path | None = None
    runtime: Runtime = "simulator"


class CaseReport(Struct, frozen=True):
    """What came of it."""

    verdict: CaseVerdict
    figures: CaseFigures
    seed: Seed
    failure_seed: Seed
    drawn_seeds: tuple[str, ...]
    real_s: float
    replay: str
    """The command that runs the same again."""


def run(task: CaseTask) -> CaseReport:
    """Load and run a test case; write its trace and its page if wanted. Raises InputError."""
    case = with_seeds(load(task.name_or_file), task.seed, task.failure_seed)
    replay = _replay(task, case)
    keep_trace = task.trace is not None or task.html is not None
    result: CaseResult | CaseRun
    if task.runtime == "distalgo":
        from diembft.distalgo import command as distalgo  # not needed by most, and the slowest to import

        result = distalgo.run_case(task.name_or_file, case, crypto=task.crypto, bugs=task.bugs, keep_trace=keep_trace)
    else:
        result = run_case(case, crypto=task.crypto, bugs=plant(task.bugs), keep_trace=keep_trace, replay=replay)
    if task.trace is not None:
        with output.writing(task.trace):
            write_trace(task.trace, result.trace)
    if task.html is not None:
        view.write_html(task.html, result.trace)
    return CaseReport(
        verdict=result.verdict,
        figures=result.figures,
        seed=case.seed,
        failure_seed=case.failure_seed,
        drawn_seeds=case.drawn_seeds,
        real_s=result.real_s,
        replay=replay,
    )


def with_seeds(case: TestCase, seed: Seed | None, failure_seed: Seed | None) -> TestCase:
    """The case with these seeds in place of its own."""
    if seed is not None:
        case = structs.replace(case, seed=seed)
    if failure_seed is not None:
        case = structs.replace(case, failure_seed=failure_seed)
    return case


def _replay(task: CaseTask, case: TestCase) -> str:
    """The shortest command that runs the same; seeds are named where the file does not fix them."""
    words = ["diembft", "run", task.name_or_file]
    if task.seed is not None or task.failure_seed is not None or case.drawn_seeds:
        words += ["--seed", repr(case.seed)]
        if case.failure_seed != case.seed:
            words += ["--failure-seed", repr(case.failure_seed)]
    if task.runtime != "simulator":
        words += ["--runtime", task.runtime]
    return shlex.join([*words, *options.as_given(task.crypto, task.bugs)])


FIGURES = (
    Column("rounds", True),
    Column("commits", True),
    Column("timeouts", True),
    Column("messages", True),
    Column("dropped", True),
    Column("virtual s", True),
    Column("real s", True),
)
"""The columns of a run's figures, in the order of `figures`."""


def figures(run: CaseReport) -> tuple[str, ...]:
    """A run's figures, as cells of a table."""
    counted = run.figures
    counts = (counted.rounds, counted.commits, counted.timeouts, counted.messages, counted.dropped)
    return (*(f"{count:,}" for count in counts), f"{counted.virtual_s:.2f}", f"{run.real_s:.2f}")


def explain(run: CaseReport) -> None:
    """Print why a run failed, and the command that runs it again."""
    for reason in run.verdict.reasons:
        output.say(f"  {reason.kind}: {reason.text}")
    if run.verdict.expect_failure is not None:
        output.say(f"  expected to fail with {run.verdict.expect_failure}")
    output.say(f"  again: {run.replay}")
