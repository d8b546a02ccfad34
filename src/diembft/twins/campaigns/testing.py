"""Twins testing from a test suite: decide a protocol's safety, or judge scenarios that Hypothesis draws.

    from diembft import assert_holds, assert_safe
    from diembft.twins.scenarios.strategies import scenarios

    def test_it_is_safe():
        assert_safe("my_protocol:PROTOCOL", rounds=5)

    @given(scenarios(protocol="my_protocol:PROTOCOL", max_rounds=6))
    def test_scenarios_hold(scenario):
        assert_holds(scenario)

What fails shows the scenario, as small as it can be, and the command that replays it, round by round or as a page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from diembft.errors import (
    InputError,
    in_one_line,
    require_moment,
    require_names,
    require_one_of,
    require_type,
    require_whole,
)
from diembft.judge.verdict import Finding
from diembft.protocols.by_name import protocol_of
from diembft.protocols.interface import UnderTest
from diembft.shell import command_line
from diembft.twins.campaigns.shrink import shrink
from diembft.twins.exhaustion.deciding import explore
from diembft.twins.exhaustion.decision import Decision, Outcome
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, SearchEnding
from diembft.twins.runs.judging import run
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import format_scenario


def assert_safe(
    protocol: str | UnderTest,
    *,
    rounds: int | None = None,
    replicas: int = 4,
    faulty: int = 1,
    sets: int = 2,
    quorum: bool = True,
    leaders: Literal["all", "twins"] = "all",
    model: str = "barrier",
    crashes: bool = False,
    bugs: Collection[str] = (),
    max_states: int | None = None,
    seconds: float | None = None,
    walk_seconds: float | None = None,
    seed: int = 0,
) -> Decision:
    """Look for a scenario, of up to so many rounds or of any length, that violates a safety property.

    The arguments are the options of `diembft twins explore`; `statement()` of the result says what was decided. Fails
    with a violating scenario, minimised; if the search does not hold for the code that runs; and if a limit was reached
    before the search was over. Raises InputError for what there is not.

    >>> from diembft import assert_safe
    >>> print(assert_safe("diembft", rounds=3).ending.name)
    DEPTH
    """
    _check_limits(rounds, max_states, seconds)
    require_one_of(leaders, ("all", "twins"), "leaders")
    question = Question(
        model,
        replicas,
        faulty,
        sets,
        leaders == "twins",
        quorum,
        require_names(bugs, "bugs"),
        crashes,
        protocol if isinstance(protocol, str) else name_of(protocol),
    )
    result = explore(question, limits=Limits(rounds, max_states, seconds), walk_seconds=walk_seconds, seed=seed)
    if result.outcome in (Outcome.WRONG_KEY, Outcome.UNCONFIRMED):
        raise AssertionError(result.statement())
    if result.found is not None:
        scenario = scenario_of(question, result.found.path)
        small = shrink(scenario)
        raise AssertionError(told(small.scenario, [_detail(small.finding)], result.statement()))
    if result.ending not in (SearchEnding.FIXED_POINT, SearchEnding.DEPTH):
        raise AssertionError(f"not decided: {result.statement()}")
    return result


def _check_limits(rounds: int | None, max_states: int | None, seconds: float | None) -> None:
    if rounds is not None:
        require_whole(rounds, "rounds", 1)
    if max_states is not None:
        require_whole(max_states, "max_states", 1)
    if seconds is not None:
        require_moment(seconds, "seconds")


def assert_holds(scenario: Scenario) -> None:
    """Execute one scenario and judge it by all oracles. A scenario that promises liveness must give occasion to judge
    it.

    >>> from diembft import assert_holds, parse_scenario
    >>> assert_holds(parse_scenario("scenario: replicas=a,b,c,d twins=a' gst=1; 1: a leads a,b,c,d,a'"))
    """
    require_type(scenario, Scenario, "assert_holds", "parse_scenario makes one")
    judgement = run(scenario)
    details = [_detail(finding) for finding in judgement.violations]
    if judgement.breaks_promise:
        details.append("liveness_bound: undecided, though nothing keeps the replicas from progress")
    if details:
        raise AssertionError(told(scenario, details))


def told(scenario: Scenario, details: Sequence[str], statement: str = "") -> str:
    """What a failure says: what was violated, in which scenario, and how to see it."""
    replay = command_line(["diembft", "twins", "replay", format_scenario(scenario, one_line=True)])
    lines = [*details, format_scenario(scenario), f"again: {replay}", f"as a page: {replay} --html page.html"]
    return "\n".join([*lines, statement] if statement else lines)


def name_of(protocol: UnderTest) -> str:
    """The name by which commands and worker processes find a protocol. Raises InputError if it leads elsewhere."""
    name = getattr(protocol, "name", None)
    if not isinstance(name, str):
        raise InputError(f"protocol: {in_one_line(protocol)} is neither the name of a protocol under test nor one")
    if protocol_of(name) is not protocol:
        raise InputError(f"protocol: the name {name!r} leads to another one: name it module:attribute")
    return name


def _detail(finding: Finding) -> str:
    return f"{finding.oracle}: {finding.detail}"
