"""One run of a test case, as `diembft run` and `diembft test` ask for it, in whatever process."""

from __future__ import annotations

import shlex
from pathlib import Path

from msgspec import Struct

from diembft.cli import options, output, view
from diembft.cli.options import Runtime
from diembft.cli.output import Column
from diembft.crypto.interface import Crypto
from diembft.distalgo import command as distalgo
from diembft.faults.registry import plant
from diembft.host.cases import CaseFigures, CaseResult
from diembft.simulation.run_case import run_case
from diembft.testcase.case import TestCase
from diembft.testcase.changes import changed, words
from diembft.testcase.failures import RuleCount
from diembft.testcase.latency import Span
from diembft.testcase.loader import load
from diembft.testcase.outcome import CaseVerdict, remarks
from diembft.trace.files import write_trace

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
    latency: Span | None = None
    """In place of the case's own; None: its own."""
    block_size: int | None = None


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
    rules: tuple[RuleCount, ...]
    """How often each failure rule struck, in the order of the case."""
    remarks: tuple[str, ...]
    """What the run did not exercise, one line for each."""


def run(task: CaseTask) -> CaseReport:
    """Load and run a test case; write its trace and its page if wanted. Raises InputError."""
    case = changed(
        load(task.name_or_file),
        seed=task.seed,
        failure_seed=task.failure_seed,
        latency=task.latency,
        block_size=task.block_size,
    )
    replay = _replay(task, case)
    keep_trace = task.trace is not None or task.html is not None
    result: CaseResult | distalgo.CaseRun
    if task.runtime == "distalgo":
        result = distalgo.run_case(
            task.name_or_file,
            case,
            crypto=task.crypto,
            bugs=task.bugs,
            changes=words(task.latency, task.block_size),
            keep_trace=keep_trace,
        )
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
        rules=result.rules,
        remarks=tuple(remarks(case, result.rules)),
    )


def _replay(task: CaseTask, case: TestCase) -> str:
    """The shortest command that runs the same; seeds are named where the file does not fix them."""
    again = ["diembft", "run", task.name_or_file]
    if task.seed is not None or task.failure_seed is not None or case.drawn_seeds:
        again += ["--seed", repr(case.seed)]
        if case.failure_seed != case.seed:
            again += ["--failure-seed", repr(case.failure_seed)]
    again += words(task.latency, task.block_size)
    if task.runtime != "simulator":
        again += ["--runtime", task.runtime]
    return shlex.join([*again, *options.as_given(task.crypto, task.bugs)])


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
