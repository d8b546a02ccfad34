"""`diembft fuzz`: random configurations and schedules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count as count_from
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import click
from msgspec import Struct
from msgspec.structs import asdict, replace
from rich.text import Text

from diembft.cli import drawn, fuzz_shrink, options, output, view
from diembft.cli.output import Column
from diembft.cli.parallel import results_of
from diembft.cli.stopping import Stop, stoppable
from diembft.cli.targets import Kind, Target
from diembft.crypto.interface import Crypto
from diembft.faults.registry import plant
from diembft.judge.expected import NOT_VIOLATED, Expect, expects_violation, none_violated
from diembft.shell import command_line
from diembft.simulation.drawing import DrawnRun, draw_run
from diembft.simulation.fuzz import FuzzResult, Reached, run_drawn
from diembft.simulation.fuzzed import write_case
from diembft.simulation.shrinking import Case
from diembft.trace.records import Record

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
    expect: Expect | None = None
    """What the command line says is to happen."""

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
        return command_line([*words, *options.as_given(self.crypto, self.bugs, self.expect)])


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
@click.option("--count", type=options.whole(1), metavar="N", help=f"Run N scenarios [default: {DEFAULT_COUNT}].")
@click.option("--time", "time_s", type=options.Seconds(), metavar="SECONDS", help="Run for so long.")
@click.option("--index", type=options.whole(0), metavar="I", help="Run scenario I of the seed and no other.")
@options.bugs
@options.expect
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
    expect: Expect | None,
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

    With --bug, a rule of the protocol is broken on purpose, and the search is to find that (see --expect). --shrink
    makes the first failure smaller, run by run, and --output writes what is left to a file, which --replay runs again;
    then --trace and --html are about that.
    """
    files = _Files(trace, html)
    asked = fuzz_shrink.asked(files.targets, **shrinking)
    single = _single_task(seed, index, count, time_s, bugs, crypto, asked)
    if single is not None:
        done = _run_one(single, expect, keep_trace=files != NO_FILES and not asked.shrinks)
    else:
        total = DEFAULT_COUNT if count is None and time_s is None else count
        indices = count_from() if total is None else range(total)
        tasks = (FuzzTask(seed, number, bugs, crypto, expect=expect) for number in indices)
        report, stop = _search(seed, tasks, total, time_s, keep_going, jobs)
        done = _Done(report, FuzzTask(seed, 0, bugs, crypto, expect=expect), expect, stop)
    if asked.shrinks and not done.stop:
        _tell_and_shrink(done, asked, files, as_json)
    else:
        _tell(done, asked, files, as_json)
    return done.stop.status(
        output.PASSED if done.passed else output.FAILED, f"{done.report.scenarios:,} scenarios were run"
    )


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


class _Files(NamedTuple):
    """What the options `trace` and `html` name."""

    trace: Path | None
    html: Path | None

    @property
    def targets(self) -> list[Target]:
        """To be looked at before the work."""
        return [Target("--trace", self.trace, Kind.TRACE), Target("--html", self.html, Kind.PAGE)]


NO_FILES = _Files(None, None)


class _Done(NamedTuple):
    """What was run, and what came of it."""

    report: FuzzReport
    task: FuzzTask
    """The one scenario that was run; of a search its first."""
    expect: Expect | None
    stop: Stop
    single: bool = False
    records: Sequence[Record] = ()
    """Of a single scenario, if they are wanted."""

    @property
    def passed(self) -> bool:
        """Whether it is as expected."""
        return bool(self.report.failures) == expects_violation(self.expect, self.task.bugs)

    @property
    def shortfall(self) -> str:
        """What was to be found and was not; "" if nothing."""
        count = self.report.scenarios
        if self.passed or self.report.failures or self.stop or not count:
            return ""
        return NOT_VIOLATED if self.single else none_violated(count)

    @property
    def failed(self) -> FuzzTask | None:
        """The first scenario that failed."""
        failures = self.report.failures
        return replace(self.task, index=failures[0].index) if failures else None

    def as_json(self) -> dict[str, Any]:
        """As JSON has it."""
        told = {"passed": self.passed and not self.stop, "shortfall": self.shortfall}
        return asdict(self.report) | told | self.stop.as_json()


def _run_one(task: FuzzTask, expect: Expect | None, *, keep_trace: bool) -> _Done:
    """Run one scenario."""
    again = " ".join([task.again, *options.as_given(options.DEFAULT_CRYPTO, (), expect)]) if task.again else ""
    task = replace(task, again=again, expect=expect)
    began_s = perf_counter()
    result = run(replace(task, keep_trace=keep_trace))
    report = _nothing_yet(task.seed)
    _add(report, task, result)
    report.real_s = perf_counter() - began_s
    return _Done(report, task, expect, Stop(), single=True, records=result.trace)


def _tell(done: _Done, asked: fuzz_shrink.Asked, files: _Files, as_json: bool) -> None:
    """Say what came of it before it is written."""

    def write() -> None:
        if done.single:
            view.write_record(done.records, *files)
        elif done.failed is not None and files != NO_FILES:
            view.write_record(run(replace(done.failed, keep_trace=True)).trace, *files)

    with output.then(write):
        if as_json:
            output.say_json(done.as_json())
        elif done.report.scenarios:
            _print(done, asked)
            if not done.single:
                _say_written(done.report, *files)


def _tell_and_shrink(done: _Done, asked: fuzz_shrink.Asked, files: _Files, as_json: bool) -> None:
    """Say what came of it, make the first failure smaller, and say and write that."""
    with output.then(lambda: _shrink(done, asked, files, as_json)):
        if not as_json:
            _print(done, asked)


def _shrink(done: _Done, asked: fuzz_shrink.Asked, files: _Files, as_json: bool) -> None:
    task = done.failed
    shrunk = None if task is None else fuzz_shrink.shrink(task.case, task.name, done.stop)
    report = None
    if task is not None and shrunk is not None:
        report = done.report.shrunk = fuzz_shrink.report(shrunk, task.case, task.name, task.replay, asked)

    def write() -> None:
        if task is None or shrunk is None or report is None:
            return
        if asked.output is not None:
            write_case(asked.output, shrunk.case, shrunk.violation)
        if files != NO_FILES:
            smaller = replace(task, given=report.run, bugs=report.bugs, again=report.replay, called=report.name)
            view.write_record(run(replace(smaller, keep_trace=True)).trace, *files)

    with output.then(write):
        if as_json:
            output.say_json(done.as_json())
        elif report is not None:
            fuzz_shrink.tell(report)
    if not as_json and (task is None or report is not None):
        fuzz_shrink.say_written(report, (asked.output, *files))


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
        report.failures.append(FuzzFailure(task.index, task.name, violations, task.replay))


def _print(done: _Done, asked: fuzz_shrink.Asked) -> None:
    report = done.report
    if done.single:
        for line in drawn.describe(done.task.case.run, done.task.called):
            output.say(line)
    output.table(
        [Column("reached"), Column("times", True)],
        [(name.replace("_", " "), f"{getattr(report.reached, name):,}") for name in report.reached.__struct_fields__],
    )
    for failure in report.failures:
        output.say(f"violated: {failure.name}")
        for violation in failure.violations:
            output.say(f"  {violation}")
        output.say(f"  again: {failure.replay}")
    if done.shortfall:
        output.say(done.shortfall)
    rate = f"{report.scenarios / report.real_s:.0f} a second, {report.events:,} events"
    output.say(
        Text.assemble(
            done.stop.verdict_word(done.passed),
            f" {report.scenarios - len(report.failures):,} of {report.scenarios:,} scenarios of seed {report.seed} "
            f"held in {report.real_s:.1f} s ({rate}, {report.virtual_s:,.0f} s of virtual time)",
        )
    )
    fuzz_shrink.tell_difference(asked, [one for failure in report.failures for one in failure.violations])
