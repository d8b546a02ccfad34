"""`diembft twins replay` and `diembft twins shrink`: one scenario explained, or made as small as it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import click
from msgspec import structs
from rich.text import Text

from diembft.cli import completing, options, output, view
from diembft.cli.stopping import Stop, stoppable
from diembft.cli.targets import Kind, Target, check_targets
from diembft.errors import InputError
from diembft.files import STDIN, replacing, writing
from diembft.judge.expected import Expect
from diembft.judge.verdict import Finding
from diembft.protocols.interface import Crypto
from diembft.shell import command_line
from diembft.twins.campaigns.account import account
from diembft.twins.campaigns.chunks import Manner, result_of
from diembft.twins.campaigns.shrink import shrink as minimise
from diembft.twins.runs import contract
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.oracles import ORACLES
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios import scenario_files
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import format_scenario, parse_scenario

Undelivered: TypeAlias = Literal["drop", "delay"]

undelivered = click.option(
    "--undelivered",
    type=click.Choice(["drop", "delay"]),
    default="drop",
    show_default=True,
    help="What becomes of a message that a partition keeps back.",
)
_index = click.option("--index", type=options.whole(0), help="Which scenario of the file, counted from 0.")
_scenario = click.argument("given", metavar="SCENARIO", shell_complete=completing.files)


def read_scenario(given: str, index: int | None, protocol: str | None = None) -> Scenario:
    """The scenario that a command line names: a file, with an index if it holds several; or the text form itself.
    `protocol` as in `read_executable`.

    Raises InputError.
    """
    path = Path(given)
    if given.lstrip().startswith("scenario") and "replicas=" in given:
        if index is not None:
            raise InputError("--index: is for files, and SCENARIO is a text")
        scenario = parse_scenario(given)
        contract.require(protocol or scenario.protocol)
        return scenario if protocol is None else structs.replace(scenario, protocol=protocol)
    scenarios = read_executable(path, protocol=protocol)
    if index is None and len(scenarios) > 1:
        raise InputError(f"{path}: holds {len(scenarios)} scenarios: choose one with --index")
    index = index or 0
    if index >= len(scenarios):
        raise InputError(f"--index: {index}, but {path} holds {len(scenarios)} scenarios, counted from 0")
    return scenarios[index]


def read_executable(path: Path, *, bugs: tuple[str, ...] = (), protocol: str | None = None) -> list[Scenario]:
    """The scenarios of a file, whose protocols, bugs and nodes there are. Raises InputError, naming the file.

    `bugs`, if there are any, are planted in place of those that the file names; so for the protocol.
    """
    scenarios = scenario_files.read_scenarios(path)
    if bugs:
        scenarios = [structs.replace(scenario, bugs=bugs) for scenario in scenarios]
    if protocol is not None:
        scenarios = [structs.replace(scenario, protocol=protocol) for scenario in scenarios]
    systems = {
        (scenario.protocol, scenario.bugs, scenario.replicas, scenario.twins): scenario for scenario in scenarios
    }
    for scenario in systems.values():
        try:
            contract.found(scenario.protocol)
            system_of(scenario)
        except InputError as error:
            raise InputError(f"{path}: {scenario.name}: {error}") from None
    for scenario in systems.values():
        contract.require(scenario.protocol)
    return scenarios


def again(scenario: str, index: int | None, undelivered: str, crypto: Crypto, expect: Expect | None = None) -> str:
    """The command that replays a scenario, which is a file or a text."""
    words = ["diembft", "twins", "replay", scenario]
    words += [] if index is None else ["--index", str(index)]
    words += [] if undelivered == "drop" else ["--undelivered", undelivered]
    return command_line([*words, *options.as_given(crypto, (), expect)])


@click.command("replay")
@_scenario
@_index
@options.protocol_instead
@click.option("--all", "all_rounds", is_flag=True, help="Tell the rounds after the script and the violation too.")
@options.expect
@undelivered
@options.crypto
@options.trace
@view.html
@options.as_json
def replay(
    given: str,
    index: int | None,
    protocol: str | None,
    all_rounds: bool,
    expect: Expect | None,
    undelivered: Undelivered,
    crypto: Crypto,
    trace: Path | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Execute one SCENARIO, and tell it: the verdict, and then round by round who heard whom, which votes and
    certificates formed, and what conflicted.

    SCENARIO is a file (with --index, if it holds several; `-` is standard input), or the text form itself.
    """
    options.check_protocol(protocol)
    scenario = read_scenario(given, index, protocol)
    check_targets(Target("--trace", trace, Kind.TRACE), Target("--html", html, Kind.PAGE), inputs=[_file_of(given)])
    if protocol is not None or Path(given) == STDIN:
        given, index = format_scenario(scenario, one_line=True), None
    command = again(given, index, undelivered, crypto, expect)
    judgement, records = traced(scenario, delayed=undelivered == "delay", crypto=crypto, replay=command)
    result = result_of(index or 0, scenario, judgement, Manner(expect=expect))
    with output.then(lambda: view.write_record(records, trace, html)):
        if as_json:
            output.say_json({"scenario": format_scenario(scenario), "result": result, "findings": judgement.findings})
        else:
            expected = "as expected" if result.as_expected else "not as expected"
            violated = ", ".join([violation.oracle for violation in result.violations])
            what = f"violates {violated}" if violated else "nothing is violated"
            output.say(Text.assemble(output.verdict_word(result.as_expected), f" {what}, {expected}"))
            for line in account(scenario, judgement, records, all_rounds=all_rounds):
                output.say(line)
    return output.PASSED if result.as_expected else output.FAILED


@click.command("shrink")
@_scenario
@_index
@options.protocol_instead
@click.option(
    "--oracle",
    type=click.Choice(list(ORACLES)),
    metavar="NAME",
    help=f"Keep the violation of this oracle [default: the first that is violated]: {', '.join(ORACLES)}.",
)
@click.option("--output", "-o", "file", type=click.Path(path_type=Path), help="Write the smallest scenario to a file.")
@undelivered
@options.crypto
@options.as_json
def shrink(
    given: str,
    index: int | None,
    protocol: str | None,
    oracle: str | None,
    file: Path | None,
    undelivered: Undelivered,
    crypto: Crypto,
    as_json: bool,
) -> int:
    """Make a violating SCENARIO smaller, by executing it again and again, until nothing can go.

    What goes: rounds, planted bugs, nodes, what richer network models decide, exceptions, sets. SCENARIO is a file
    (with --index, if it holds several), or the text form itself.
    """
    options.check_protocol(protocol)
    scenario = read_scenario(given, index, protocol)
    check_targets(Target("--output", file, Kind.SCENARIOS), inputs=[_file_of(given)])
    shrunk, stop = _shrunk(scenario, oracle, undelivered, crypto)
    smallest, finding = shrunk.scenario, shrunk.finding
    text = format_scenario(smallest)
    with output.then(lambda: _write(file, smallest)):
        if as_json:
            said = {
                "scenario": text,
                "finding": finding,
                "rounds": len(smallest.rounds),
                "rounds_before": len(scenario.rounds),
                "executions": shrunk.executions,
            }
            output.say_json(said | stop.as_json())
        else:
            output.say(text)
            if finding is not None:
                output.say(f"violates {finding.oracle}: {finding.detail}")
            before, after = len(scenario.rounds), len(smallest.rounds)
            output.say(f"{shrunk.executions:,} scenarios executed; {before} rounds became {after}")
    if not as_json:
        named = format_scenario(smallest, one_line=True) if file is None else str(file)
        expect: Expect | None = None if smallest.bugs else "violation"
        output.say(f"again: {again(named, None, undelivered, crypto, expect)}")
    return stop.status(output.PASSED, "it may get smaller: give `diembft twins shrink` what there is")


class _Shrunk(NamedTuple):
    """What shrinking came to, as far as it went."""

    scenario: Scenario
    executions: int
    finding: Finding | None
    """None if it was stopped."""


def _shrunk(scenario: Scenario, oracle: str | None, undelivered: Undelivered, crypto: Crypto) -> tuple[_Shrunk, Stop]:
    """Shrink, with a bar that shows how far it is."""
    shrunk = _Shrunk(scenario, 0, None)
    with stoppable() as stop, output.busy("shrinks") as told:

        def on_smaller(smaller: Scenario, executions: int) -> None:
            nonlocal shrunk
            shrunk = _Shrunk(smaller, executions, None)
            told(f"{executions:,} scenarios executed, {len(smaller.rounds)} rounds are left")

        done = minimise(scenario, oracle, delayed=undelivered == "delay", crypto=crypto, watch=on_smaller)
        shrunk = _Shrunk(done.scenario, done.executions, done.finding)
    return shrunk, stop


def _file_of(given: str) -> Path | None:
    """The file that SCENARIO names, if it does."""
    try:
        return Path(given) if Path(given).exists() else None
    except OSError:  # a text, too long for a name
        return None


def _write(file: Path | None, scenario: Scenario) -> None:
    if file is None:
        return
    if file.suffix == ".txt":
        with writing(file), replacing(file) as partial:
            partial.write_text(format_scenario(scenario) + "\n", encoding="utf-8")
    else:
        scenario_files.write_scenarios(file, [scenario])
