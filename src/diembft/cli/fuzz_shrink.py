"""`diembft fuzz --shrink` and `--replay`: a failure made as small as it gets, and run again from its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

from diembft.cli import drawn, options, output
from diembft.cli.stopping import Stop, stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.shell import command_line
from diembft.simulation.drawing import DrawnRun
from diembft.simulation.fuzzed import FuzzedFile, read_case
from diembft.simulation.reductions import sizes
from diembft.simulation.shrinking import MOST_EXECUTIONS, Case, ShrunkCase, shrink_case

Command = TypeVar("Command", bound=Callable[..., Any])

_OF_THE_FILE = ("seed", "index", "count", "time_s", "keep_going", "bugs", "crypto")
"""Options that `--replay` leaves no room for: the file says all."""


class Asked(Struct, frozen=True):
    """What the command line asks for."""

    shrink: bool
    output: Path | None
    """Where the smallest run goes."""
    file: Path | None
    """What to run."""
    read: FuzzedFile | None
    """What it holds."""

    @property
    def shrinks(self) -> bool:
        """Whether a failure is to be made smaller."""
        return self.shrink or self.output is not None


class ShrunkReport(Struct, frozen=True, kw_only=True):
    """A failure as small as it got."""

    name: str
    property: str
    """What it violates, as the failure did."""
    detail: str
    executions: int
    """How many runs were made."""
    complete: bool
    """Whether nothing more can go; else the bound on executions ended it, or something stopped it."""
    before: dict[str, float]
    after: dict[str, float]
    """How much there was and is of each thing."""
    bugs: tuple[str, ...]
    run: DrawnRun
    replay: str
    """The command that runs it again, or makes it again where it is in no file."""


def options_of(command: Command) -> Command:
    """The options of `diembft fuzz` that are about one failure."""
    for option in (
        click.option(
            "--replay",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Run the scenario of a FILE that --output wrote, and no other.",
        ),
        click.option(
            "--output",
            "-o",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the smaller scenario to FILE; implies --shrink.",
        ),
        click.option(
            "--shrink",
            is_flag=True,
            help=f"Make the first failure smaller, in up to {MOST_EXECUTIONS:,} runs.",
        ),
    ):
        command = option(command)
    return command


def asked(others: Sequence[Target], *, shrink: bool, output: Path | None, replay: Path | None) -> Asked:
    """What these options ask for, and the file that is to be run. `others` is what the command writes besides.

    Raises InputError, or what click raises if they contradict others.
    """
    check_targets(*others, Target("--output", output, Kind.FUZZED), inputs=[replay])
    if replay is not None:
        given = [
            parameter.opts[0]
            for parameter in click.get_current_context().command.params
            if parameter.name in _OF_THE_FILE and options.is_given(parameter.name)
        ]
        if given:
            raise click.UsageError(f"--replay runs what its file says: leave out {', '.join(given)}.")
    return Asked(shrink, output, replay, None if replay is None else read_case(replay))


def replay_of(file: Path) -> str:
    """The command that runs a file."""
    return command_line(["diembft", "fuzz", "--replay", str(file)])


def shrink(case: Case, name: str, stop: Stop) -> ShrunkCase | None:
    """Make a case smaller, whose name this is; None if it was stopped before anything was known."""
    shrunk: ShrunkCase | None = None
    with stoppable(stop), output.progress() as bar:
        shown = bar.add_task(f"{name}: making it smaller", total=MOST_EXECUTIONS)

        def watch(so_far: ShrunkCase) -> None:
            nonlocal shrunk
            shrunk = so_far
            bar.update(shown, completed=so_far.executions)

        shrunk = shrink_case(case, watch=watch)
    return shrunk


def report(shrunk: ShrunkCase, before: Case, name: str, replay: str, asked: Asked) -> ShrunkReport:
    """What came of making a case smaller; `name` and `replay` are those of the case itself."""
    return ShrunkReport(
        name=f"{name}, made smaller",
        property=shrunk.violation.property,
        detail=shrunk.violation.detail,
        executions=shrunk.executions,
        complete=shrunk.complete,
        before=sizes(before.run),
        after=sizes(shrunk.case.run),
        bugs=shrunk.case.bugs,
        run=shrunk.case.run,
        replay=f"{replay} --shrink" if asked.output is None else replay_of(asked.output),
    )


def tell(shrunk: ShrunkReport) -> None:
    """Print what is left, what went, and the command that runs it again."""
    for line in drawn.describe(shrunk.run, shrunk.name):
        output.say(line)
    output.say(f"  violates {shrunk.property}: {shrunk.detail}")
    output.say(f"  {shrunk.executions:,} scenarios executed: {_what_went(shrunk)}")
    if not shrunk.complete:
        output.say("  there may be a smaller one: the search for it ended before; --replay FILE --shrink goes on")
    output.say(f"  again: {shrunk.replay}")


def _what_went(shrunk: ShrunkReport) -> str:
    """`incidents 14 -> 2, clients 3 -> 1`."""
    went = [
        f"{name} {was:.4g} -> {shrunk.after[name]:.4g}"
        for name, was in shrunk.before.items()
        if was != shrunk.after[name]
    ]
    return ", ".join(went) or "nothing could go"


def tell_difference(asked: Asked, violated: Sequence[str]) -> None:
    """Say so if a run does not violate the property that its file names; `violated` begins with names of properties."""
    read = asked.read
    if read is not None and not any(one.startswith(f"{read.violates}: ") for one in violated):
        output.say(f"not as the file says, which has it violate {read.violates}: {read.detail}")


def say_written(shrunk: ShrunkReport | None, files: Sequence[Path | None]) -> None:
    """What the files show."""
    for path in files:
        if path is not None:
            output.say(f"{path}: " + ("not written, for all held" if shrunk is None else f"{shrunk.name}"))
