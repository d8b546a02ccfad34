"""`diembft twins`: scenarios with copies of faulty replicas, generated, executed and judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import msgspec
from rich.text import Text

from diembft.cli import check_key, explore, matrix, options, output, replay, view
from diembft.cli.options import Runtime
from diembft.cli.output import Column
from diembft.cli.stopping import Stop, goes_on, stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.crypto.interface import Crypto
from diembft.errors import InputError
from diembft.files import STDIN
from diembft.judge.expected import Expect
from diembft.twins.campaigns.campaign import CampaignProgress, run_campaign
from diembft.twins.campaigns.chunks import Manner
from diembft.twins.campaigns.sources import ScenarioList, ScenarioRange, ScenarioSource
from diembft.twins.campaigns.summary import CampaignSummary, ScenarioResult
from diembft.twins.campaigns.workers import LOCAL_CLUSTER, executors
from diembft.twins.runs.oracles import ORACLES
from diembft.twins.runs.record import Ending
from diembft.twins.scenarios import scenario_files
from diembft.twins.scenarios.scenario import DEFAULT_PROTOCOL, MODELS, Scenario
from diembft.twins.scenarios.space import MOST_DIGITS, Space
from diembft.twins.scenarios.text import format_scenario

DEFAULT_COUNT = 1000
Command = TypeVar("Command", bound=Callable[..., Any])


@click.group("twins", invoke_without_command=True)
@click.pass_context
def group(context: click.Context) -> int | None:
    """Twins testing: faulty replicas run as copies of the real code, under scripted leaders and partitions."""
    return output.help_without_command(context)


group.add_command(explore.command)
group.add_command(check_key.command)
group.add_command(matrix.command)
group.add_command(replay.replay)
group.add_command(replay.shrink)


def _model_of_campaigns(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The network model of a space."""
    if value == "lazy":
        raise click.BadParameter(
            "lazy is for `diembft twins explore`, and for files of its scenarios: no round waits for the one before, "
            "so that liveness, which is judged of a space too, is not promised."
        )
    return value


def _shape(command: Command) -> Command:
    """The options that describe a space of scenarios, and a range or a sample of it."""
    for option in (
        click.option("--canonical", is_flag=True, help="Take one of all that renaming correct replicas makes equal."),
        click.option("--seed", type=int, help="Take a sample without replacement, which this number fixes."),
        click.option("--count", type=options.whole(1), help=f"How many [default: {DEFAULT_COUNT}, or all if fewer]."),
        click.option("--from", "first", type=click.IntRange(0), default=0, show_default=True, help="The first one."),
        options.bugs_of_protocol,
        options.protocol,
        click.option(
            "--model",
            type=click.Choice(MODELS),
            callback=_model_of_campaigns,
            default="timed",
            show_default=True,
            help="The network model.",
        ),
        click.option("--drops", type=options.whole(0), default=0, show_default=True, help="Exceptions in a round."),
        click.option("--quorum-filter", "quorum", is_flag=True, help="Some set of each partition holds a quorum."),
        click.option(
            "--leaders",
            type=click.Choice(["all", "twins", "correct"]),
            default="all",
            show_default=True,
            help="Which replicas may lead.",
        ),
        click.option(
            "--rounds",
            type=options.whole(0, options.MOST_ROUNDS),
            default=7,
            show_default=True,
            help="Rounds, before the suffix.",
        ),
        click.option("--exactly", is_flag=True, help="Exactly --sets sets, rather than up to so many."),
        options.sets,
        click.option("--faulty", type=options.whole(0), default=1, show_default=True, help="How many have a twin."),
        click.option("--replicas", type=click.IntRange(1, 26), default=4, show_default=True, help="How many replicas."),
    ):
        command = option(command)
    return command


def _ranged(*, first: int, count: int | None, seed: int | None, canonical: bool, **shape: Any) -> ScenarioRange:
    options.check_bugs(shape["protocol"], shape["bugs"])
    shape["sets"] = options.sets_of(shape["sets"], shape["replicas"], shape["faulty"])
    space = Space(**shape)
    if space.count >= 10**MOST_DIGITS:
        raise InputError(f"--rounds: the space has a number of scenarios of more than {MOST_DIGITS:,} digits")
    left = max(0, space.count - first)
    return ScenarioRange(space, first, min(left, DEFAULT_COUNT if count is None else count), seed, canonical)


class _Told(NamedTuple):
    """Where lines go, told to a bar."""

    write: Callable[[bytes], None]


@group.command()
@click.argument("file", type=click.Path(path_type=Path))
@_shape
def generate(file: Path, **shape: Any) -> int:
    """Write scenarios to FILE (`.zst`: compressed): a range of a space that is counted first.

    Scenario number K is the same wherever it is computed. The last round changes fastest.
    """
    source = _ranged(**shape)
    check_targets(Target("FILE", file, Kind.SCENARIOS))
    if not source.count:
        raise InputError(f"--from: no scenario to write{_why_none(source)}")
    output.say(f"{source.space.choices:,} choices a round, {source.space.count:,} scenarios")
    with stoppable() as stop:
        with scenario_files.output(file) as out, output.progress() as bar:
            shown = bar.add_task("scenarios", total=source.count)

            def written(data: bytes, /) -> None:
                out.write(data)
                bar.advance(shown, data.count(b"\n"))

            space, told = source.space, _Told(written)
            space.write(told, source.start, source.count, seed=source.seed, canonical=source.canonical)
        output.say(f"{source.count:,} scenarios from number {source.start:,} in {file}")
    return stop.status(output.PASSED, f"nothing was written to {file}")


@group.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@_shape
@options.expect
@click.option(
    "--results", type=click.Path(path_type=Path), help="Write a line of JSON for each; go on with what it has."
)
@replay.undelivered
@click.option("--dask", metavar="ADDRESS", help=f"Work on a Dask cluster; `{LOCAL_CLUSTER}` is one of this machine.")
@view.html
@options.runtime
@options.crypto
@options.jobs
@options.as_json
def run(
    file: Path | None,
    expect: Expect | None,
    results: Path | None,
    undelivered: str,
    dask: str | None,
    html: Path | None,
    runtime: Runtime,
    crypto: Crypto,
    jobs: int,
    as_json: bool,
    **shape: Any,
) -> int:
    """Execute and judge the scenarios of FILE, or of a range of a space if no file is given.

    FILE is a Python file with test cases, or one of generated scenarios. Expected is that scenarios without planted
    bugs hold, and that those with planted bugs are violated, or one at least of a range (see --expect); --bug plants
    others than FILE names, and --protocol is instead of what it names. --html is about the first scenario that is not
    as expected, else the first that is violated, else the first.
    """
    bugs: tuple[str, ...] = shape["bugs"]
    protocol: str | None = shape["protocol"] if options.is_given("protocol") else None
    options.check_protocol(protocol)
    source = _source(file, bugs, protocol, shape)
    in_part = bool(shape["first"]) or shape["count"] is not None
    as_in_file = None if bugs or protocol or in_part or file == STDIN else file
    """The file, if it can be read again and holds the scenarios as they are executed, by the same numbers."""
    check_targets(Target("--results", results, Kind.RESULTS), Target("--html", html, Kind.PAGE), inputs=[file])
    crypto = options.crypto_of(runtime, crypto)
    manner = Manner(expect=expect, sample=file is None, delayed=undelivered == "delay", crypto=crypto)
    if runtime == "distalgo":
        _check_no_campaign(html, results, dask)
        return _run_distalgo(file, source, manner, bugs, as_json)
    summary, seconds, stop = _run_watched(source, manner, jobs, dask, results)
    _tell(_Judged(source, manner, as_in_file, summary, seconds), stop, html, as_json)
    done = f"{summary.scenarios:,} of {source.count:,} scenarios were judged; {goes_on('--results', results)}"
    return stop.status(output.PASSED if summary.passed else output.FAILED, done)


class _Judged(NamedTuple):
    """What a campaign comes to."""

    source: ScenarioSource
    manner: Manner
    file: Path | None
    """The file, if it holds the scenarios as they were executed."""
    summary: CampaignSummary
    seconds: float


def _tell(judged: _Judged, stop: Stop, html: Path | None, as_json: bool) -> None:
    """Say what a campaign comes to, and write the page."""
    source, manner, file, summary, seconds = judged

    def again(result: ScenarioResult) -> str:
        return _again(result.index, _scenario_of(source, result), file, source, manner)

    said_of_page = ""

    def write() -> None:
        nonlocal said_of_page
        if html is not None and not stop:
            said_of_page = f"{html}: {_write_html(html, file, source, manner, summary)}"

    with output.then(write):
        if as_json:
            output.say_json(_as_json(summary, seconds, stop))
        elif summary.scenarios or not stop:
            _print(judged, stop, again)
    if said_of_page and not as_json:
        output.say(said_of_page)


def _as_json(summary: CampaignSummary, seconds: float, stop: Stop) -> dict[str, Any]:
    told = {
        "judged": {name: summary.judged(name) for name in ORACLES},
        "passed": summary.passed and not stop,
        "shortfall": "" if stop else summary.shortfall,
        "seconds": seconds,
    }
    return {**msgspec.structs.asdict(summary), **told, **stop.as_json()}


def _source(file: Path | None, bugs: tuple[str, ...], protocol: str | None, shape: dict[str, Any]) -> ScenarioSource:
    """The scenarios of the file, if there is one, or else those of a space."""
    if file is None:
        return _ranged(**shape)
    _check_no_space(shape.keys() - {"bugs", "protocol", "first", "count"})
    scenarios = replay.read_executable(file, bugs=bugs, protocol=protocol)
    first, count = shape["first"], shape["count"]
    if first >= len(scenarios):
        raise InputError(f"--from: {first:,}, but {file} holds {len(scenarios):,} scenarios, counted from 0")
    return ScenarioList(tuple(scenarios[first : None if count is None else first + count]))


def _run_watched(
    source: ScenarioSource, manner: Manner, jobs: int, dask: str | None, results: Path | None
) -> tuple[CampaignSummary, float, Stop]:
    """What a campaign comes to, and the seconds that it took; a bar shows how far it is."""
    summary = CampaignSummary()
    began = time.monotonic()
    with (
        stoppable() as stop,
        output.progress() as bar,
        executors(jobs, dask, output.say_worker_died) as (make_executor, workers),
    ):
        shown = bar.add_task("scenarios", total=source.count)

        def watch(progress: CampaignProgress) -> None:
            bar.update(shown, completed=progress.done, description=described(progress))

        began = time.monotonic()
        run_campaign(
            source,
            manner,
            make_executor=make_executor,
            workers=workers,
            results=results,
            watch=watch,
            summary=summary,
        )
    return summary, time.monotonic() - began, stop


def _check_no_space(names: Collection[str]) -> None:
    """Raises InputError if one of these options of a space is given."""
    for parameter in click.get_current_context().command.params:
        if parameter.name in names and options.is_given(parameter.name):
            raise InputError(f"{parameter.opts[0]}: describes a space of scenarios, and is not for a FILE")


def _check_no_campaign(html: Path | None, results: Path | None, dask: str | None) -> None:
    """Raises InputError if an option is given that DistAlgo has no use for."""
    if html is not None:
        raise InputError("--html: a scenario on DistAlgo leaves no trace of which a page could be made")
    if results is not None or dask is not None:
        raise InputError("--results, --dask: are for campaigns in the simulator")


def _run_distalgo(
    file: Path | None, source: ScenarioSource, manner: Manner, bugs: tuple[str, ...], as_json: bool
) -> int:
    from diembft.distalgo.command import run_scenarios

    if file is None or not isinstance(source, ScenarioList):
        raise InputError("--runtime distalgo: needs a file of scenarios")
    for scenario in source.listed:
        if scenario.protocol != DEFAULT_PROTOCOL:
            raise InputError(f"--runtime distalgo: {scenario.name}: runs {DEFAULT_PROTOCOL}, not {scenario.protocol}")
    arguments = ["--crypto", manner.crypto, "--undelivered", "delay" if manner.delayed else "drop"]
    for bug in bugs:
        arguments += ["--bug", bug]
    if manner.expect is not None:
        arguments += ["--expect", manner.expect]
    done = run_scenarios(file, source.listed, arguments)
    passed = all(result.as_expected for result in done)
    if as_json:
        output.say_json({"passed": passed, "scenarios": done})
    else:
        for result in done:
            output.say(result.told)
    return output.PASSED if passed else output.FAILED


def _write_html(html: Path, file: Path | None, source: ScenarioSource, manner: Manner, summary: CampaignSummary) -> str:
    """Write the page of the scenario that says the most; gives the words that say which it is."""
    result = next(iter(summary.unexpected), summary.first_violated)
    scenario = next(source.scenarios(0, 1), None) if result is None else _scenario_of(source, result)
    if scenario is None:
        return "not written, for there is no scenario"
    again = _again(result.index if result else 0, scenario, file, source, manner)
    view.write_scenario_html(html, scenario, delayed=manner.delayed, crypto=manner.crypto, replay=again)
    if result is None:
        return f"shows scenario 0 {scenario.name}; it holds, as all others do"
    return f"shows scenario {result.index} {result.name}, the first that is " + (
        "violated" if result.as_expected else "not as expected"
    )


def _scenario_of(source: ScenarioSource, result: ScenarioResult) -> Scenario:
    if isinstance(source, ScenarioList):
        return source.listed[result.index]
    return source.space.scenario(int(result.name.removeprefix("rank-")))


def _again(index: int, scenario: Scenario, file: Path | None, source: ScenarioSource, manner: Manner) -> str:
    """The command that replays a scenario."""
    undelivered = "delay" if manner.delayed else "drop"
    if file is not None:
        of_several = index if source.count > 1 else None
        return replay.again(str(file), of_several, undelivered, manner.crypto, manner.expect)
    text = format_scenario(scenario, one_line=True)
    return replay.again(text, None, undelivered, manner.crypto, manner.expect)


def described(progress: CampaignProgress) -> str:
    """How far a campaign is, in words."""
    left = "" if progress.remaining_s is None else f", {timedelta(seconds=round(progress.remaining_s))} left"
    unexpected = f", {progress.unexpected:,} not as expected" if progress.unexpected else ""
    return f"{progress.violated:,} violated{unexpected}, {progress.rate:,.0f} a second{left}"


def _why_none(source: ScenarioSource) -> str:
    """Why a range holds no scenario; "" if it does."""
    if source.count or not isinstance(source, ScenarioRange):
        return ""
    return f": the space has {source.space.count:,}, numbered from 0, and --from is {source.start:,}"


def _print(judged: _Judged, stop: Stop, again: Callable[[ScenarioResult], str]) -> None:
    summary, seconds = judged.summary, judged.seconds
    rows = [(name, f"{summary.oracles[name]:,}", f"{summary.judged(name):,}") for name in ORACLES]
    output.table([Column("oracle"), Column("violated", True), Column("judged", True)], rows)
    found = [summary.first_violated] if summary.wanted and summary.first_violated is not None else []
    for result in summary.unexpected[:10] or found:
        what = "; ".join([f"{violation.oracle}: {violation.detail}" for violation in result.violations])
        if not what:
            what = "liveness is undecided, though promised" if result.unkept else "nothing was violated, unexpectedly"
        output.say(f"scenario {result.index} {result.name}: {what}")
        output.say(f"  again: {again(result)}")
    stuck = summary.endings[Ending.STUCK.name.lower()]
    if stuck:
        output.tell(
            f"{stuck:,} stuck: no replica leaves its round any more, mostly as no set of nodes holds a quorum, so "
            "that liveness could not be judged (of a space --quorum-filter leaves such scenarios out)"
        )
    if summary.shortfall and not stop:
        output.say(f"{summary.shortfall}{_why_none(judged.source)}")
    endings = ", ".join([f"{count:,} {ending}" for ending, count in sorted(summary.endings.items())])
    output.say(
        Text(" ").join(
            [
                stop.verdict_word(summary.passed),
                Text(
                    f"{summary.as_expected:,} of {summary.scenarios:,} scenarios as expected, "
                    f"{summary.violated:,} violated ({endings or 'none'}) in {seconds:.1f} s "
                    f"({summary.scenarios / max(seconds, 1e-3):,.0f} a second)"
                ),
            ]
        )
    )
