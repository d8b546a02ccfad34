"""`diembft twins explore`: the whole space of scenarios, of every length, decided."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click
from rich.text import Text

from diembft.cli import options, output, replay, view
from diembft.twins.campaigns.workers import LOCAL_CLUSTER, executors
from diembft.twins.exhaustion.decision import Decision, SearchLevel
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import BYTES_A_STATE, LevelProgress, Limits, explore
from diembft.twins.runs.models import MODELS
from diembft.twins.scenarios import scenario_files


@click.command("explore")
@click.option("--replicas", type=click.IntRange(1, 13), default=4, show_default=True, help="How many replicas.")
@click.option("--faulty", type=click.IntRange(0), default=1, show_default=True, help="How many have a twin.")
@click.option("--sets", type=click.IntRange(1), default=2, show_default=True, help="Up to so many sets in a partition.")
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
    "--rounds", "--depth", type=click.IntRange(1), help="Decide scenarios of up to so many rounds, no longer ones."
)
@click.option("--max-states", type=click.IntRange(1), help="Stop at so many distinct states.")
@click.option(
    "--time", "time_s", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop after so long."
)
@click.option("--memory", type=click.IntRange(1), metavar="MIB", help="Stop at so much memory for visited states.")
@click.option("--dask", metavar="ADDRESS", help=f"Work on a Dask cluster; `{LOCAL_CLUSTER}` is one of this machine.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Save each level to this file; go on with it.")
@click.option("--output", "-o", "counterexample", type=click.Path(path_type=Path), help="Where a counterexample goes.")
@view.html
@options.jobs
@options.as_json
def command(
    replicas: int,
    faulty: int,
    sets: int,
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
    dask: str | None,
    checkpoint: Path | None,
    counterexample: Path | None,
    html: Path | None,
    jobs: int,
    as_json: bool,
) -> int:
    """Decide a whole space of scenarios, of every length, by merging states that behave alike.

    Breadth first over distinct global states of the protocol, until nothing new appears, a limit is reached, or a
    violation is found: then its scenario, the shortest there is, is written to a file for `diembft twins replay`, and
    with --html as a page.
    """
    options.check_writable(checkpoint, "--checkpoint")
    options.check_writable(counterexample, "--output")
    options.check_writable(html, "--html")
    options.check_bugs(protocol, bugs)
    question = Question(model, replicas, faulty, sets, leaders == "twins", quorum_filter, bugs, crashes, protocol)
    limits = Limits(rounds, max_states, time_s, None if memory is None else memory << 20)
    decision = _explore_watched(question, limits, checkpoint, jobs, dask, told=not as_json)
    written = _write(decision, counterexample, html) if decision.found is not None else None
    if as_json:
        output.say_json(
            {**decision._asdict(), "statement": decision.statement(), "counterexample": written and str(written)}
        )
    else:
        _say(decision, written, html)
    return output.FAILED if decision.found is not None and not bugs else output.PASSED


def _explore_watched(
    question: Question, limits: Limits, checkpoint: Path | None, jobs: int, dask: str | None, *, told: bool
) -> Decision:
    """Decide, with a bar that shows how far a level is; `told`: a row for each level."""
    if told:
        output.say("round      new  visited   transitions    distinct  seconds  states/s  MiB  scenarios")
    with output.progress() as bar, executors(jobs, dask) as (make_executor, _), make_executor() as executor:
        shown = bar.add_task("states", total=None)
        levels: list[SearchLevel] = []

        def on_progress(progress: LevelProgress) -> None:
            left_s = (progress.of - progress.done) / progress.rate
            text = f"round {progress.round}, {progress.rate:.1f} states/s, {left_s:.0f} s left of it"
            bar.update(shown, description=text, completed=progress.done, total=progress.of)

        def on_level(level: SearchLevel) -> None:
            if told:
                output.say(_row(level, levels[-1] if levels else None))
            levels.append(level)

        return explore(
            question,
            limits=limits,
            executor=executor,
            checkpoint=checkpoint,
            on_level=on_level,
            on_progress=on_progress,
        )


def _say(decision: Decision, counterexample: Path | None, html: Path | None) -> None:
    """What was decided, and which files show it."""
    output.say(Text(decision.statement()))
    if decision.found is not None:
        for detail in decision.found.details:
            output.say(f"  {detail}")
        output.say(f"  again: {_again(decision, counterexample)}")
    if html is not None:
        shows = "not written, for there is no" if decision.found is None else "shows the"
        output.say(f"{html}: {shows} counterexample")


def _row(level: SearchLevel, before: SearchLevel | None) -> str:
    scenarios = int(level.scenarios)
    written = f"{scenarios:,}" if scenarios < 10**15 else f"{Decimal(scenarios):.3e}"
    seconds = level.seconds - before.seconds if before else 0.0
    rate = f"{before.states / seconds:9.1f}" if before and seconds > 0 else " " * 9
    mib = level.visited * BYTES_A_STATE / (1 << 20)
    return (
        f"{level.round:5} {level.states:8,} {level.visited:8,} {level.transitions:13,} {level.distinct:11,} "
        f"{level.seconds:8.1f} {rate} {mib:4.1f}  {written}"
    )


def _again(decision: Decision, file: Path | None) -> str:
    return replay.again(str(file), None, "drop", "symbolic", expect_violation=not decision.question.bugs)


def _write(decision: Decision, path: Path | None, html: Path | None) -> Path:
    assert decision.found is not None, "because there is a counterexample"
    question = decision.question
    name = "-".join(["counterexample", question.model, *question.bugs])
    target = path or Path("generated_tests") / f"{name}.jsonl"
    scenario = scenario_of(question, decision.found.path, name)
    scenario_files.write_scenarios(target, [scenario])
    if html is not None:
        view.write_scenario_html(html, scenario, replay=_again(decision, target))
    return target
