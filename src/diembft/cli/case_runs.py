"""One run of a test case, as `diembft run` and `diembft test` ask for it, in whatever process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from diembft.cli import options, output
from diembft.cli.options import Runtime
from diembft.cli.output import Column
from diembft.crypto.interface import Crypto
from diembft.faults.registry import plant
from diembft.host.cases import CaseFigures, CaseResult
from diembft.judge.expected import NOT_VIOLATED, Expect, expects_violation
from diembft.shell import command_line
from diembft.simulation.run_case import run_case
from diembft.testcase.case import TestCase
from diembft.testcase.changes import changed, words
from diembft.testcase.failures import RuleCount
from diembft.testcase.latency import Span
from diembft.testcase.loader import load
from diembft.testcase.outcome import NOTHING_EXECUTED, CaseVerdict, remarks
from diembft.trace.records import Record

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
    runtime: Runtime = "simulator"
    latency: Span | None = None
    """In place of the case's own; None: its own."""
    block_size: int | None = None
    expect: Expect | None = None


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
    """Load and run a test case. Raises InputError."""
    report, _ = run_recorded(task, keep_trace=False)
    return report


def run_recorded(task: CaseTask, *, keep_trace: bool) -> tuple[CaseReport, Sequence[Record]]:
    """Load and run a test case; with what came of it the record of the run, if wanted. Raises InputError."""
    case = changed(
        load(task.name_or_file),
        seed=task.seed,
        failure_seed=task.failure_seed,
        latency=task.latency,
        block_size=task.block_size,
    )
    replay = _replay(task, case)
    result: CaseResult | CaseRun
    if task.runtime == "distalgo":
        from diembft.distalgo import command as distalgo  # not needed by most, and the slowest to import

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
    report = CaseReport(
        verdict=_as_expected(result.verdict, task),
        figures=result.figures,
        seed=case.seed,
        failure_seed=case.failure_seed,
        drawn_seeds=case.drawn_seeds,
        real_s=result.real_s,
        replay=replay,
        rules=result.rules,
        remarks=tuple(remarks(case, result.rules)),
    )
    return report, result.trace


def _as_expected(verdict: CaseVerdict, task: CaseTask) -> CaseVerdict:
    """The verdict, where the command line, or a planted bug, says what is expected, and not the case. That nothing was
    executed is never expected."""
    if task.expect is None and (not task.bugs or verdict.expect_failure is not None):
        return verdict
    kinds = {reason.kind for reason in verdict.reasons}
    passed = NOTHING_EXECUTED not in kinds and bool(kinds) == expects_violation(task.expect, task.bugs)
    return structs.replace(verdict, passed=passed, expect_failure=None)


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
    return command_line([*again, *options.as_given(task.crypto, task.bugs, task.expect)])


FIGURES = (
    Column("rounds", True),
    Column("commits", True),
    Column("timeouts", True, spare=True),
    Column("messages", True, spare=True),
    Column("dropped", True, spare=True),
    Column("virtual s", True, spare=True),
    Column("real s", True, spare=True),
)
"""The columns of a run's figures, in the order of `figures`."""


def columns(runtime: Runtime) -> tuple[Column, ...]:
    """The same for a runtime: only in the simulator time is virtual."""
    if runtime == "simulator":
        return FIGURES
    return tuple([column._replace(heading="run s") if column.heading == "virtual s" else column for column in FIGURES])


def figures(run: CaseReport) -> tuple[str, ...]:
    """A run's figures, as cells of a table."""
    counted = run.figures
    counts = (counted.rounds, counted.commits, counted.timeouts, counted.messages, counted.dropped)
    return (*(f"{count:,}" for count in counts), f"{counted.virtual_s:.2f}", f"{run.real_s:.2f}")


def explain(run: CaseReport) -> None:
    """Print why a run failed, and the command that runs it again."""
    for reason in run.verdict.reasons:
        output.say(f"  {reason.kind}: {reason.text}")
    if not run.verdict.reasons and run.verdict.expect_failure is None:
        output.say(f"  {NOT_VIOLATED}")
    if run.verdict.expect_failure is not None:
        output.say(f"  expected to fail with {run.verdict.expect_failure}")
    output.say(f"  again: {run.replay}")
