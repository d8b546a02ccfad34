"""`diembft twins explore`: the whole space of scenarios, of every length, decided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, assert_never

import click
import msgspec
from rich.text import Text

from diembft.cli import options, output, replay, view
from diembft.cli.stopping import Stop, goes_on, stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.errors import InputError
from diembft.files import NotWritten, not_written
from diembft.judge.expected import NOT_VIOLATED, Expect, expects_violation
from diembft.twins.campaigns.workers import LOCAL_CLUSTER, executors
from diembft.twins.exhaustion.checkpoint import SearchLevel
from diembft.twins.exhaustion.deciding import STEPS_OF_A_CHECKED_CORE, WALK_SECONDS, explore
from diembft.twins.exhaustion.decision import Decision, Outcome
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import BYTES_A_STATE, LevelProgress, Limits
from diembft.twins.exhaustion.walking import Walked
from diembft.twins.runs.models import MODELS
from diembft.twins.scenarios import scenario_files
from diembft.twins.scenarios.shape import Shape

MOST_CHOICES = 1_000_000
"""Of a round: listing so many takes some ten seconds, and following one state through them days."""


@click.command("explore")
@click.option("--replicas", type=click.IntRange(1, 13), default=4, show_default=True, help="How many replicas.")
@click.option("--faulty", type=options.whole(0), default=1, show_default=True, help="How many have a twin.")
@options.sets
@click.option(
    "--leaders", type=click.Choice(["all", "twins"]), default="all", show_default=True, help="Which replicas may lead."
)
@click.option("--quorum-filter", is_flag=True, help="Some set of each partition holds a quorum.")
@click.option(
    "--model", type=click.Choice(list(MODELS)), default="barrier", show_default=True, help="The network model."
)
@options.bugs_of_protocol
@options.protocol
@click.option("--crashes", is_flag=True, help="In each round one correct replica may crash and restart.")
@click.option(
    "--rounds",
    "--depth",
    type=options.whole(1, options.MOST_ROUNDS),
    help="Decide scenarios of up to so many rounds, no longer ones.",
)
@click.option("--max-states", type=options.whole(1), help="Stop at so many distinct states.")
@click.option("--time", "time_s", type=options.Seconds(), metavar="SECONDS", help="Stop after so long.")
@click.option("--memory", type=options.whole(1), metavar="MIB", help="Stop at so much memory for visited states.")
@click.option(
    "--walk-seconds",
    type=options.Seconds(zero=True),
    metavar="SECONDS",
    help=f"Test the search by walks for so long; 0: not at all. Without it {STEPS_OF_A_CHECKED_CORE:,} steps for a "
    f"core that was checked, and for any other as long as the search took, at least {WALK_SECONDS:g} s.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the walks.")
@click.option("--dask", metavar="ADDRESS", help=f"Work on a Dask cluster; `{LOCAL_CLUSTER}` is one of this machine.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Save each level to this file; go on with it.")
@options.expect
@click.option("--output", "-o", "counterexample", type=click.Path(path_type=Path), help="Where a counterexample goes.")
@view.html
@options.jobs
@options.as_json
def command(
    replicas: int,
    faulty: int,
    sets: int | None,
    leaders: str,
    quorum_filter: bool,
    model: str,
    bugs: tuple[str, ...],
    protocol: str,
    crashes: bool,
    rounds: int | None,
    max_states: int | None,
    time_s: float | None,
    memory: int | None,
    walk_seconds: float | None,
    seed: int,
    dask: str | None,
    checkpoint: Path | None,
    expect: Expect | None,
    counterexample: Path | None,
    html: Path | None,
    jobs: int,
    as_json: bool,
) -> int:
    """Decide a whole space of scenarios, of every length, by merging states that behave alike.

    Breadth first over distinct global states, until nothing new appears, a limit is reached, or a violation is found:
    then its scenario is executed, written to a file for `diembft twins replay`, and with --html as a page.

    Which states behave alike follows from the protocol's rules: for a core that was checked the search says what holds
    for scenarios of any length. For any other (an edit, a planted bug, your own protocol) it is a conjecture, tested by
    long random walks that execute the code and merge nothing.

    Exit status 1: not as expected (--expect). 3: the search does not hold for this code, or diembft is wrong itself.
    """
    check_targets(
        Target("--checkpoint", checkpoint, Kind.CHECKPOINT),
        Target("--output", counterexample, Kind.SCENARIOS),
        Target("--html", html, Kind.PAGE),
    )
    options.check_bugs(protocol, bugs)
    sets = options.sets_of(sets, replicas, faulty)
    question = Question(model, replicas, faulty, sets, leaders == "twins", quorum_filter, bugs, crashes, protocol)
    limits = Limits(rounds, max_states, time_s, None if memory is None else memory << 20)
    seen = _Seen([], told=not as_json)
    with stoppable() as stop:
        decision = _explore_watched(question, limits, _Walks(walk_seconds, seed), checkpoint, jobs, dask, seen)
    if stop:
        return _tell_stopped(question, seen, stop, checkpoint, as_json)
    return _tell(decision, expects_violation(expect, bugs), counterexample, html, as_json)


def check_size(question: Question) -> None:
    """Raises InputError if a round has more choices than can be listed, as is done before anything else."""
    shape = Shape(
        replicas=question.replicas,
        faulty=question.faulty,
        sets=question.sets,
        rounds=1,
        leaders="twins" if question.twins_lead else "all",
        quorum=question.quorum_filter,
        model=question.model,  # type: ignore[arg-type]  # a Question has checked that it is a model
        crashes=question.crashes,
    )
    if shape.choices > MOST_CHOICES:
        raise InputError(f"choices of a round: {shape.choices:,}, more than the {MOST_CHOICES:,} that can be followed")


def _tell_stopped(question: Question, seen: _Seen, stop: Stop, checkpoint: Path | None, as_json: bool) -> int:
    """Say how far it was."""
    if as_json:
        output.say_json({"question": question, "levels": seen.levels, **stop.as_json()})
    elif seen.levels:
        output.say(Text.assemble(stop.verdict_word(False), f" {seen.in_words()}"))
    return stop.status(output.BROKEN, goes_on("--checkpoint", checkpoint))


def _tell(decision: Decision, violation: bool, counterexample: Path | None, html: Path | None, as_json: bool) -> int:
    """Say what was decided, and write what was found: the first does not hang upon the second. `violation`: it is
    expected."""
    kept = _Kept()

    def write() -> None:
        nonlocal kept
        if decision.path is not None:
            kept = _write(decision, counterexample, html)

    with output.then(write):
        if not as_json:
            _say(decision)
            if violation and decision.outcome is Outcome.HOLDS:
                output.say(NOT_VIOLATED)
    if as_json:
        output.say_json(_as_json(decision, kept.file))
    else:
        _say_kept(decision, kept, html)
    if kept.problem:
        output.complain(kept.problem)
    return output.BROKEN if kept.failed else _status(decision, violation)


def _status(decision: Decision, violation: bool) -> int:
    """The exit status, where a violation is expected or not."""
    match decision.outcome:
        case Outcome.HOLDS:
            return output.FAILED if violation else output.PASSED
        case Outcome.VIOLATED:
            return output.PASSED if violation else output.FAILED
        case Outcome.WRONG_KEY | Outcome.UNCONFIRMED:
            return output.BROKEN
        case _:
            assert_never(decision.outcome)


class _Kept(NamedTuple):
    """Where what was found was written to."""

    file: Path | None = None
    problem: str = ""
    """Why something was not written."""
    failed: bool = False
    """Whether it was asked for."""


class _Seen(msgspec.Struct):
    """How far an exploration is."""

    levels: list[SearchLevel]
    told: bool
    """Whether there is a row for each level."""
    walked: Walked | None = None

    def in_words(self) -> str:
        """The same in words."""
        last = self.levels[-1]
        rounds = last.round - 1
        text = f"the search followed all scenarios of {f'up to {rounds}' if rounds else 'no'} "
        text += f"round{'' if rounds == 1 else 's'}, "
        text += f"{last.visited:,} states, and found no violation"
        return text if self.walked is None else f"{text}; nor did {self.walked.walks:,} walks"


class _Walks(NamedTuple):
    """The options of walks."""

    seconds: float | None
    seed: int


def _explore_watched(
    question: Question,
    limits: Limits,
    walks: _Walks,
    checkpoint: Path | None,
    jobs: int,
    dask: str | None,
    seen: _Seen,
) -> Decision:
    """Decide, with a bar that shows how far a level is. Raises InputError for a question that is too large."""
    check_size(question)
    if seen.told:
        output.say(_headings())
    with (
        output.progress() as bar,
        executors(jobs, dask, output.say_worker_died) as (make_executor, _),
        make_executor() as executor,
        _saving(checkpoint),
    ):
        shown = bar.add_task("states", total=None)

        def on_progress(progress: LevelProgress) -> None:
            left_s = (progress.of - progress.done) / max(progress.rate, 1e-9)
            text = f"round {progress.round}, {progress.rate:.1f} states/s, {left_s:.0f} s left of it"
            bar.update(shown, description=text, completed=progress.done, total=progress.of)

        def on_level(level: SearchLevel) -> None:
            if seen.told:
                with output.beside(bar):
                    output.say(_row(level, seen.levels[-1] if seen.levels else None))
            seen.levels.append(level)

        def on_walks(walked: Walked) -> None:
            seen.walked = walked
            text = f"{walked.walks:,} walks, {walked.steps:,} steps, {walked.keys:,} keys met"
            bar.update(shown, description=text, completed=0, total=None)

        return explore(
            question,
            limits=limits,
            walk_seconds=walks.seconds,
            seed=walks.seed,
            executor=executor,
            jobs=jobs,
            checkpoint=checkpoint,
            on_level=on_level,
            on_progress=on_progress,
            on_walks=on_walks,
        )


@contextmanager
def _saving(checkpoint: Path | None) -> Iterator[None]:
    """Names the checkpoint where it could not be written, as that of the last level or of an interrupt."""
    try:
        yield
    except (ChildProcessError, output.NotPrinted):
        raise
    except OSError as error:
        raise error if checkpoint is None else not_written(checkpoint, error) from error


def _say(decision: Decision) -> None:
    """What was decided."""
    output.tell(decision.statement())
    example = decision.counterexample
    if example is not None:
        for detail in example.details or example.found.details:
            output.tell(f"  {detail}")


def _say_kept(decision: Decision, kept: _Kept, html: Path | None) -> None:
    """Which files show it."""
    if decision.path is not None:
        output.say(Text(f"  again: {_again(decision, kept.file)}"))
    if html is not None and not kept.failed:
        shows = "not written, for there is no counterexample" if decision.path is None else "shows the counterexample"
        output.say(Text(f"{html}: {shows}"))


def _as_json(decision: Decision, written: Path | None) -> dict[str, Any]:
    """A decision as JSON has it."""
    core, walked, example = decision.core, decision.walked, decision.counterexample
    return {
        "question": decision.question,
        "statement": decision.statement(),
        "outcome": decision.outcome.value,
        "ending": decision.ending.value,
        "choices": decision.choices,
        "levels": decision.levels,
        "transitions": decision.transitions,
        "visited": decision.visited,
        "core": {"digest": core.digest, "recorded": core.record is not None, "because": core.because},
        "unkeyed_rounds": decision.unkeyed.rounds,
        "walked": walked and walked._asdict(),
        "found": example and {**msgspec.to_builtins(example.found), "by": example.by.value},
        "confirmed": example and example.confirmed,
        "difference": decision.difference and decision.difference._asdict(),
        "failure": decision.searched.failure,
        "scenario": decision.scenario,
        "counterexample": written and str(written),
    }


_COLUMNS = (
    ("round", 5, False),
    ("new", 8, False),
    ("visited", 8, False),
    ("transitions", 13, False),
    ("distinct", 11, True),
    ("seconds", 8, False),
    ("states/s", 9, True),
    ("MiB", 4, True),
)
"""Of a level: the heading, how wide it is, and whether it goes where space is short."""

_SCENARIOS = 21
"""How wide the number of scenarios is, at most."""


def _line(cells: Sequence[str], scenarios: str) -> str:
    """A line of the table of levels, which is written as it grows."""
    room = output.out().width - sum([width + 1 for _, width, spare in _COLUMNS if not spare]) - 1 - _SCENARIOS
    shown = []
    for cell, (_, width, spare) in zip(cells, _COLUMNS, strict=True):
        if spare and room <= width:
            continue
        room -= width + 1 if spare else 0
        shown.append(cell.rjust(width))
    return f"{' '.join(shown)}  {scenarios}"


def _headings() -> str:
    return _line([heading for heading, _, _ in _COLUMNS], "scenarios")


def _row(level: SearchLevel, before: SearchLevel | None) -> str:
    scenarios = int(level.scenarios)
    written = f"{scenarios:,}" if scenarios < 10**15 else f"{Decimal(scenarios):.3e}"
    seconds = level.seconds - before.seconds if before else 0.0
    cells = (
        str(level.round),
        f"{level.states:,}",
        f"{level.visited:,}",
        f"{level.transitions:,}",
        f"{level.distinct:,}",
        f"{level.seconds:.1f}",
        f"{before.states / seconds:.1f}" if before and seconds > 0 else "",
        f"{level.visited * BYTES_A_STATE / (1 << 20):.1f}",
    )
    return _line(cells, written)


def _again(decision: Decision, file: Path | None) -> str:
    violated = decision.found is not None and not decision.question.bugs
    named = decision.scenario if file is None else str(file)
    return replay.again(named, None, "drop", "symbolic", "violation" if violated else None)


def _write(decision: Decision, path: Path | None, html: Path | None) -> _Kept:
    """The scenario of what was found, as a file and as a page."""
    assert decision.path is not None, "because something was found"
    question = decision.question
    what = "difference" if decision.counterexample is None else "counterexample"
    name = "-".join([what, re.sub(r"[^\w.]+", "-", question.protocol), question.model, *question.bugs])
    target = path or Path("generated_tests") / f"{name}.jsonl"
    scenario = scenario_of(question, decision.path, name)
    kept = _Kept(target)
    try:
        scenario_files.write_scenarios(target, [scenario])
    except (InputError, NotWritten) as error:
        kept = _Kept(None, str(error), failed=path is not None)
    if html is not None:
        try:
            view.write_scenario_html(html, scenario, replay=_again(decision, kept.file))
        except (InputError, NotWritten) as error:
            kept = _Kept(kept.file, str(error), failed=True)
    return kept
