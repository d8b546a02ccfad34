"""Minimising: what may go goes, what shows the violation stays, and the fault model is not left."""

from __future__ import annotations

import msgspec
import pytest

from diembft.errors import InputError
from diembft.twins.campaigns.shrink import shrink
from diembft.twins.runs.judging import run
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import format_scenario, parse_scenario


def shrunk(text: str, oracle: str | None = None) -> str:
    return format_scenario(shrink(parse_scenario(text), oracle).scenario)


def test_rounds_nodes_sets_exceptions_and_needless_bugs_go() -> None:
    text = """scenario much: replicas=a,b,c,d twins=d' gst=4 bugs=conflicting_votes,gap_commit
      1-2: a leads a,b,c|d,d'
      3: d leads a,b,c,d,d' drop=a>b:timeout
      4: b leads a,b,c|d|d' drop=a>b:*,c>a:vote
      5: d leads a,b,c,d,d' drop=a>b:timeout
      6-12: a leads a,b,c,d,d'"""
    assert shrunk(text) == (
        "scenario much: replicas=a,b,c,d twins=d' gst=0 bugs=conflicting_votes\n  1: d leads a,b,c,d,d'"
    )


def test_every_smaller_scenario_is_told_and_shows_the_violation() -> None:
    space = Space(replicas=4, faulty=1, sets=2, rounds=6, bugs=("long_commit_chain",))
    drawn = map(space.scenario, space.ranks(0, 200, seed=1))
    scenario = next(s for s in drawn if "commit_order" in {finding.oracle for finding in run(s).violations})
    steps: list[tuple[Scenario, int]] = []
    result = shrink(scenario, "commit_order", watch=lambda smaller, executed: steps.append((smaller, executed)))
    assert steps[0] == (scenario, 1)
    assert steps[-1][0] == result.scenario
    assert [executed for _, executed in steps] == sorted({executed for _, executed in steps})
    for smaller, _ in steps:
        assert "commit_order" in {finding.oracle for finding in run(smaller).violations}
    assert result.executions >= steps[-1][1]
    assert result.finding in result.judgement.violations
    assert run(result.scenario) == result.judgement


def test_the_oracle_that_is_asked_for_is_kept() -> None:
    text = "scenario: replicas=a,b,c,d twins=d' bugs=small_quorum; 1-3: d leads a,d|b,c,d'; 4-10: a leads a,b,c,d,d'"
    assert shrunk(text, "quorum_progress") == "scenario: replicas=a,b,c gst=1 bugs=small_quorum\n  1: a leads a,b,c"
    assert shrunk(text, "agreement").endswith("\n  1-3: d leads a,d|b,c,d'")


def test_a_scenario_within_the_fault_model_stays_within_it() -> None:
    """Of seven replicas f = 2 may have twins; leaving replicas out until two are too many would show more."""
    text = (
        "scenario: replicas=a,b,c,d,e,f,g twins=a',b' bugs=conflicting_votes; "
        "1: a leads a,b,c,d,e,f,g,a',b'; 2-8: c leads a,b,c,d,e,f,g,a',b'"
    )
    smallest = parse_scenario(shrunk(text))
    assert not smallest.too_many_twins
    assert len(smallest.replicas) < 7
    outside = shrink(
        parse_scenario("scenario: replicas=a,b,c,d twins=c',d'; 1-3: c leads a,c,d|b,c',d'; 4: a leads a,b,c,d,c',d'")
    )
    assert outside.scenario.too_many_twins


def test_crashes_go_and_restarts_stay_in_order() -> None:
    text = """scenario: replicas=a,b,c,d twins=d' bugs=forgets_on_restart
      1: b leads a,b,c,d|d' crash=b
      2: b leads a,b,c,d,d' restart=b
      3: b leads a,b,c,d|d'
      4: d leads a,b,c,d,d' drop=d>d':proposal
      5: b leads a,d'|b,c,d crash=a
      6: b leads a,d'|b,c,d restart=a
      7-8: b leads a,d'|b,c,d
      9-15: b leads a,b,c,d,d'"""
    smallest = parse_scenario(shrunk(text, "durability"))
    assert [round_.extras.crash for round_ in smallest.rounds if round_.extras.crash] == [("a",)]
    assert [round_.extras.restart for round_ in smallest.rounds if round_.extras.restart] == [("a",)]
    assert len(smallest.rounds) <= 5


@pytest.mark.parametrize("model", ["barrier", "two-phase"])
def test_scenarios_of_other_models_are_made_smaller_under_them(model: str) -> None:
    extras = " timeouts=a,b|c,d,a' order=reversed" if model == "two-phase" else ""
    text = (
        f"scenario: replicas=a,b,c,d twins=a' bugs=no_vote_lock model={model}; 1: b leads a,b,c|d,a'; "
        f"2: a leads a,b,c,d,a'{extras}; 3: a leads a,b,c,d,a'; 4-6: b leads a,b,c,d,a'"
    )
    result = shrink(parse_scenario(text), "honest_vote_once")
    assert result.scenario.model == model
    assert len(result.scenario.rounds) <= 2
    assert all(round_.extras == type(round_.extras)() for round_ in result.scenario.rounds)


def test_what_is_delayed_stays_delayed() -> None:
    text = "scenario: replicas=a,b,c,d bugs=small_quorum; 1-2: a leads a,b|c,d; 3-9: a leads a,b,c,d"
    result = shrink(parse_scenario(text), delayed=True)
    assert result.judgement == run(result.scenario, delayed=True)


def test_what_is_not_violated_is_bad_input() -> None:
    good = parse_scenario("scenario fine: replicas=a,b,c,d; 1: a leads a,b,c,d")
    with pytest.raises(InputError, match="fine: does not violate any oracle"):
        shrink(good)
    bad = msgspec.structs.replace(good, bugs=("small_quorum",))
    with pytest.raises(InputError, match="fine: does not violate durability"):
        shrink(bad, "durability")
