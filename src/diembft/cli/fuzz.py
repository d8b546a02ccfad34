"""`diembft fuzz`: random configurations and schedules."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from itertools import count as count_from
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text

from diembft.cli import drawn, fuzz_shrink, options, output, view
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.crypto.interface import Crypto
from diembft.faults.registry import plant
from diembft.simulation.drawing import DrawnRun, draw_run
from diembft.simulation.fuzz import FuzzResult, Reached, run_drawn
from diembft.simulation.shrinking import Case
from diembft.trace.files import write_trace

DEFAULT_COUNT = 200


class FuzzTask(Struct, frozen=True):
    """One scenario to run."""

    seed: int
    index: int
    bugs: tuple[str, ...]
    """Names of planted bugs."""
    crypto: Crypto
    keep_trace: bool = False
    given: DrawnRun | None = None
    """What to run, if not what the seed draws."""
    again: str = ""
    """The command that runs it, if not that of the seed."""
    called: str = ""
    """Its name, if not its number."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.called or f"scenario {self.index} of seed {self.seed}"

    @property
    def case(self) -> Case:
        """All that its result depends on."""
        drawn = draw_run(self.seed, self.index) if self.given is None else self.given
        return Case(run=drawn, bugs=self.bugs, crypto=self.crypto)

    @property
    def replay(self) -> str:
        """The command that runs it again."""
        if self.again:
            return self.again
        words = ["diembft", "fuzz", "--seed", str(self.seed), "--index", str(self.index)]
        return shlex.join([*words, *options.as_given(self.crypto, self.bugs)])


class FuzzFailure(Struct, frozen=True):
    """A scenario in which something was violated."""

    index: int
    name: str
    """The scenario's: by number and seed, or by file."""
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
    shrunk: fuzz_shrink.ShrunkReport | None = None
    """The first failure made smaller, if that was asked for."""


@click.command("fuzz")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same scenarios.")
@click.option("--count", type=click.IntRange(1), metavar="N", help=f"Run N scenarios [default: {DEFAULT_COUNT}].")
@click.option("--time", "time_s", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Run for so long.")
@click.option("--index", type=click.IntRange(0), metavar="I", help="Run scenario I of the seed and no other.")
@options.bugs
@options.trace
@view.html
@click.option("--keep-going", is_flag=True, help="Go on after a failure.")
@fuzz_shrink.options_of
@options.crypto
@options.jobs
@options.as_json
def command(
    seed: int,
    count: int | None,
    time_s: float | None,
    index: int | None,
    bugs: tuple[str, ...],
    trace: Path | None,
    html: Path | None,
    keep_going: bool,
    crypto: Crypto,
    jobs: int,
    as_json: bool,
    **shrinking: Any,
) -> int:
    """Run random scenarios, and look for one that violates an invariant.

    A scenario is a system of some size, a workload, Byzantine replicas up to f, and a schedule of crashes, partitions,
    losses, delays and skewed clocks, all drawn from the seed. With both --count and --time, whichever is over first
    ends the search. What was reached is counted: a search that never meets a timeout certificate proves little.
    --trace and --html are about the first scenario that failed, or that of --index.

    With --bug, a rule of the protocol is broken on purpose, and the search should fail. --shrink makes the first
    failure smaller, run by run, and --output writes what is left to a file, which --replay runs again; then --trace
    and --html are about that.
    """
    options.check_writable(trace, "--trace")
    options.check_writable(html, "--html")
    asked = fuzz_shrink.asked(**shrinking)
    single = _single_task(seed, index, count, time_s, bugs, crypto, asked)
    wanted = (None, None) if asked.shrinks else (trace, html)
    if single is not None:
        report = _single(single, *wanted)
    else:
        total = DEFAULT_COUNT if count is None and time_s is None else count
        indices = count_from() if total is None else range(total)
        tasks = (FuzzTask(seed, number, bugs, crypto) for number in indices)
        report = _search(seed, tasks, total, time_s, keep_going, jobs)
        if report.failures and wanted != (None, None):
            _write(run(FuzzTask(seed, report.failures[0].index, bugs, crypto, keep_trace=True)), *wanted)
    if not as_json:
        _print(report, single)
        fuzz_shrink.tell_difference(asked, [one for failure in report.failures for one in failure.violations])
        if single is None:
            _say_written(report, *wanted)
    if asked.shrinks:
        _shrink(report, single or FuzzTask(seed, 0, bugs, crypto), asked, (trace, html), as_json)
    if as_json:
        output.say_json(report)
    return output.FAILED if report.failures else output.PASSED


def _single_task(
    seed: int,
    index: int | None,
    count: int | None,
    time_s: float | None,
    bugs: tuple[str, ...],
    crypto: Crypto,
    asked: fuzz_shrink.Asked,
) -> FuzzTask | None:
    """The one scenario that is asked for, by index or file; None if there is to be a search."""
    if asked.file is not None and asked.read is not None:
        read, again = asked.read, fuzz_shrink.replay_of(asked.file)
        return FuzzTask(
            read.run.seed, read.run.index, read.bugs, read.crypto, given=read.run, again=again, called=str(asked.file)
        )
    if index is None:
        return None
    if count is not None or time_s is not None:
        raise click.UsageError("--index runs one scenario: leave out --count and --time.")
    return FuzzTask(seed, index, bugs, crypto)


def run(task: FuzzTask) -> FuzzResult:
    """Run a scenario."""
    return run_drawn(
        task.case.run,
        bugs=plant(task.bugs),
        crypto=task.crypto,
        keep_trace=task.keep_trace,
        replay=task.replay,
        title=task.name,
    )


def _shrink(
    report: FuzzReport,
    task: FuzzTask,
    asked: fuzz_shrink.Asked,
    files: tuple[Path | None, Path | None],
    as_json: bool,
) -> None:
    """Make the first failure smaller, whose task is this but for its index; tell it, and write it to files."""
    shrunk = None
    if report.failures:
        task = replace(task, index=report.failures[0].index)
        shrunk = report.shrunk = fuzz_shrink.shrink(task.case, task.name, task.replay, asked)
        if not as_json:
            fuzz_shrink.tell(shrunk)
        if files != (None, None):
            smaller = replace(task, given=shrunk.run, bugs=shrunk.bugs, again=shrunk.replay, called=shrunk.name)
            _write(run(replace(smaller, keep_trace=True)), *files)
    if not as_json:
        fuzz_shrink.say_written(shrunk, (asked.output, *files))


def _single(task: FuzzTask, trace: Path | None, html: Path | None) -> FuzzReport:
    began_s = perf_counter()
    result = run(replace(task, keep_trace=bool(trace or html)))
    _write(result, trace, html)
    report = _nothing_yet(task.seed)
    _add(report, task, result)
    report.real_s = perf_counter() - began_s
    return report


def _write(result: FuzzResult, trace: Path | None, html: Path | None) -> None:
    if trace is not None:
        with output.writing(trace):
            write_trace(trace, result.trace)
    if html is not None:
        view.write_html(html, result.trace)


def _say_written(report: FuzzReport, trace: Path | None, html: Path | None) -> None:
    """Which scenario the files show."""
    for path in (trace, html):
        if path is not None:
            failed = f"shows scenario {report.failures[0].index}" if report.failures else "not written, for all held"
            output.say(f"{path}: {failed}")


def _search(
    seed: int, tasks: Iterable[FuzzTask], total: int | None, time_s: float | None, keep_going: bool, jobs: int
) -> FuzzReport:
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

    with output.progress() as bar:
        shown = bar.add_task("scenarios", total=total)
        for task, result in results_of(run, wanted(), jobs if total is None else min(jobs, total)):
            _add(report, task, result)
            bar.advance(shown)
    report.failures.sort(key=lambda failure: failure.index)
    report.real_s = perf_counter() - began_s
    return report


def _nothing_yet(seed: int) -> FuzzReport:
    return FuzzReport(seed=seed, reached=Reached(), failures=[])


def _add(report: FuzzReport, task: FuzzTask, result: FuzzResult) -> None:
    report.scenarios += 1
    report.events += result.events
    report.virtual_s += result.virtual_s
    report.reached.add(result.reached)
    if not result.held:
        violations = tuple([f"{found.property}: {found.detail}" for found in result.violations])
        report.failures.append(FuzzFailure(task.index, task.name, violations, task.replay))


def _print(report: FuzzReport, single: FuzzTask | None) -> None:
    if single is not None:
        for line in drawn.describe(single.case.run, single.called):
            output.say(line)
    output.table(
        [Column("reached"), Column("times", True)],
        [(name.replace("_", " "), f"{getattr(report.reached, name):,}") for name in report.reached.__struct_fields__],
    )
    for failure in report.failures:
        output.say(Text.assemble(output.verdict_word(False), f" {failure.name}"))
        for violation in failure.violations:
            output.say(f"  {violation}")
        output.say(f"  again: {failure.replay}")
    rate = f"{report.scenarios / report.real_s:.0f} a second, {report.events:,} events"
    output.say(
        Text.assemble(
            output.verdict_word(not report.failures),
            f" {report.scenarios - len(report.failures):,} of {report.scenarios:,} scenarios of seed {report.seed} "
            f"held in {report.real_s:.1f} s ({rate}, {report.virtual_s:,.0f} s of virtual time)",
        )
    )
