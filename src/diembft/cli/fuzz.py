"""`diembft fuzz`: random configurations and schedules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count as count_from
from pathlib import Path
from time import perf_counter

import click
from msgspec import Struct, structs
from rich.text import Text

from diembft.cli import drawn, options, output, view
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.cli.stopping import Stop, stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.crypto.interface import Crypto
from diembft.faults.registry import plant
from diembft.judge.expected import Expect, expects_violation
from diembft.shell import command_line
from diembft.simulation.drawing import draw_run
from diembft.simulation.fuzz import FuzzResult, Reached, run_index

DEFAULT_COUNT = 200


class FuzzTask(Struct, frozen=True):
    """One scenario to run."""

    seed: int
    index: int
    bugs: tuple[str, ...]
    """Names of planted bugs."""
    crypto: Crypto
    keep_trace: bool = False

    @property
    def replay(self) -> str:
        """The command that runs it again."""
        words = ["diembft", "fuzz", "--seed", str(self.seed), "--index", str(self.index)]
        return command_line([*words, *options.as_given(self.crypto, self.bugs)])


class FuzzFailure(Struct, frozen=True):
    """A scenario in which something was violated."""

    index: int
    violations: tuple[str, ...]
    """Each with the name of the property first."""
    replay: str


class FuzzReport(Struct, kw_only=True):
    """What all scenarios together showed."""

    seed: int
    scenarios: int = 0
    events: int = 0
    """Handled by replicas."""
    virtual_s: float = 0.0
    real_s: float = 0.0
    reached: Reached
    failures: list[FuzzFailure]
    """By index."""


@click.command("fuzz")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same scenarios.")
@click.option("--count", type=options.whole(1), metavar="N", help=f"Run N scenarios [default: {DEFAULT_COUNT}].")
@click.option("--time", "time_s", type=options.Seconds(), metavar="SECONDS", help="Run for so long.")
@click.option("--index", type=options.whole(0), metavar="I", help="Run scenario I of the seed and no other.")
@options.bugs
@options.expect
@options.trace
@view.html
@click.option("--keep-going", is_flag=True, help="Go on after a failure.")
@options.crypto
@options.jobs
@options.as_json
def command(
    seed: int,
    count: int | None,
    time_s: float | None,
    index: int | None,
    bugs: tuple[str, ...],
    expect: Expect | None,
    trace: Path | None,
    html: Path | None,
    keep_going: bool,
    crypto: Crypto,
    jobs: int,
    as_json: bool,
) -> int:
    """Run random scenarios, and look for one that violates an invariant.

    A scenario is a system of some size, a workload, Byzantine replicas up to f, and a schedule of crashes, partitions,
    losses, delays and skewed clocks, all drawn from the seed. With both --count and --time, whichever is over first
    ends the search. What was reached is counted: a search that never meets a timeout certificate proves little.
    --trace and --html are about the first scenario that failed, or that of --index.

    With --bug, a rule of the protocol is broken on purpose, and the search is to find that (see --expect).
    """
    check_targets(Target("--trace", trace, Kind.TRACE), Target("--html", html, Kind.PAGE))
    if index is not None:
        if count is not None or time_s is not None:
            raise click.UsageError("--index runs one scenario: leave out --count and --time.")
        return _run_one(FuzzTask(seed, index, bugs, crypto, bool(trace or html)), expect, trace, html, as_json)
    total = DEFAULT_COUNT if count is None and time_s is None else count
    indices = count_from() if total is None else range(total)
    tasks = (FuzzTask(seed, number, bugs, crypto) for number in indices)
    report, stop = _search(seed, tasks, total, time_s, keep_going, jobs)

    def write() -> None:
        if report.failures and (trace is not None or html is not None):
            failed = run(FuzzTask(seed, report.failures[0].index, bugs, crypto, keep_trace=True))
            view.write_record(failed.trace, trace, html)

    passed = bool(report.failures) == expects_violation(expect, bugs)
    with output.then(write):
        if as_json:
            output.say_json(structs.asdict(report) | {"passed": passed and not stop} | stop.as_json())
        elif report.scenarios:
            _print(report, stop.verdict_word(passed))
            _say_written(report, trace, html)
    return stop.status(output.PASSED if passed else output.FAILED, f"{report.scenarios:,} scenarios were run")


def run(task: FuzzTask) -> FuzzResult:
    """Run a scenario."""
    return run_index(
        task.seed,
        task.index,
        bugs=plant(task.bugs),
        crypto=task.crypto,
        keep_trace=task.keep_trace,
        replay=task.replay,
    )


def _run_one(task: FuzzTask, expect: Expect | None, trace: Path | None, html: Path | None, as_json: bool) -> int:
    """Run one scenario; what came of it is said before it is written."""
    began_s = perf_counter()
    result = run(task)
    report = _nothing_yet(task.seed)
    _add(report, task, result)
    report.real_s = perf_counter() - began_s
    passed = bool(report.failures) == expects_violation(expect, task.bugs)
    with output.then(lambda: view.write_record(result.trace, trace, html)):
        if as_json:
            output.say_json({**structs.asdict(report), "passed": passed})
        else:
            for line in drawn.describe(draw_run(task.seed, task.index)):
                output.say(line)
            _print(report, output.verdict_word(passed))
    return output.PASSED if passed else output.FAILED


def _say_written(report: FuzzReport, trace: Path | None, html: Path | None) -> None:
    """Which scenario the files show."""
    for path in (trace, html):
        if path is not None:
            failed = f"shows scenario {report.failures[0].index}" if report.failures else "not written, for all held"
            output.say(f"{path}: {failed}")


def _search(
    seed: int, tasks: Iterable[FuzzTask], total: int | None, time_s: float | None, keep_going: bool, jobs: int
) -> tuple[FuzzReport, Stop]:
    """Run the tasks until they, or the time, or the patience with failures are over."""
    began_s = perf_counter()
    report = _nothing_yet(seed)

    def wanted() -> Iterator[FuzzTask]:
        for taken, task in enumerate(tasks):
            # However short the time, one is run: a search of nothing finds nothing.
            if taken and time_s is not None and perf_counter() - began_s >= time_s:
                return
            if report.failures and not keep_going:
                return
            yield task

    with stoppable() as stop, output.progress() as bar:
        shown = bar.add_task("scenarios", total=total)
        for task, result in results_of(
            run, wanted(), jobs if total is None else min(jobs, total), lambda task: task.replay
        ):
            _add(report, task, result)
            bar.advance(shown)
    report.failures.sort(key=lambda failure: failure.index)
    report.real_s = perf_counter() - began_s
    return report, stop


def _nothing_yet(seed: int) -> FuzzReport:
    return FuzzReport(seed=seed, reached=Reached(), failures=[])


def _add(report: FuzzReport, task: FuzzTask, result: FuzzResult) -> None:
    report.scenarios += 1
    report.events += result.events
    report.virtual_s += result.virtual_s
    report.reached.add(result.reached)
    if not result.held:
        violations = tuple([f"{found.property}: {found.detail}" for found in result.violations])
        report.failures.append(FuzzFailure(task.index, violations, task.replay))


def _print(report: FuzzReport, verdict: Text) -> None:
    output.table(
        [Column("reached"), Column("times", True)],
        [(name.replace("_", " "), f"{getattr(report.reached, name):,}") for name in report.reached.__struct_fields__],
    )
    for failure in report.failures:
        output.say(f"violated: scenario {failure.index} of seed {report.seed}")
        for violation in failure.violations:
            output.say(f"  {violation}")
        output.say(f"  again: {failure.replay}")
    rate = f"{report.scenarios / report.real_s:.0f} a second, {report.events:,} events"
    output.say(
        Text.assemble(
            verdict,
            f" {report.scenarios - len(report.failures):,} of {report.scenarios:,} scenarios of seed {report.seed} "
            f"held in {report.real_s:.1f} s ({rate}, {report.virtual_s:,.0f} s of virtual time)",
        )
    )
