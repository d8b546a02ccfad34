"""Violations that were found before: each shows what its story says, is as small as it gets, and needs its bug."""

from __future__ import annotations

import msgspec
import pytest

from diembft.faults.registry import BUGS
from diembft.twins.campaigns.shrink import shrink
from diembft.twins.runs.judging import run
from diembft.twins.scenarios.regressions import names, regression, text_of
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import format_scenario, parse_scenario

SHOWS = {
    "conflicting_votes": {"certified_uniqueness", "honest_vote_once"},
    "count_messages": {"quorum_progress"},
    "forgets_on_restart": {"honest_vote_once", "durability"},
    "gap_commit": {"agreement"},
    "long_commit_chain": {"commit_order", "execution"},
    "no_timeout_lock": {"honest_vote_once"},
    "no_vote_lock": {"certified_uniqueness", "honest_vote_once"},
    "one_chain_commit": {"agreement"},
    "small_quorum": {"agreement", "quorum_progress"},
    "small_quorum_of_three": {"quorum_progress"},
    "stale_leader_unchecked": {"commit_chain"},
    "too_many_twins": {"agreement", "certified_uniqueness"},
    "vote_leader_current_round": {"liveness_bound"},
}
"""What each violates, and nothing else."""

KEPT = {"forgets_on_restart": "durability", "long_commit_chain": "commit_order", "small_quorum": "agreement"}
"""The violation that is as small as it gets, where it is not the first."""

MOST_ROUNDS = {"one_chain_commit": 3, "small_quorum": 3, "gap_commit": 7}


def violated(scenario: Scenario) -> set[str]:
    return {finding.oracle for finding in run(scenario).violations}


def test_all_are_listed() -> None:
    assert set(names()) == set(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_it_violates_what_its_story_is_about(name: str) -> None:
    assert violated(regression(name)) == SHOWS[name]


@pytest.mark.parametrize("name", SHOWS)
def test_without_the_bug_it_holds(name: str) -> None:
    scenario = regression(name)
    if scenario.bugs:
        assert violated(msgspec.structs.replace(scenario, bugs=())) == set()
    else:
        assert scenario.too_many_twins
        assert violated(msgspec.structs.replace(scenario, twins=(), rounds=without_twins(scenario))) == set()


def without_twins(scenario: Scenario) -> tuple[object, ...]:
    return tuple(
        msgspec.structs.replace(
            round_, partition=tuple(tuple(n for n in group if n not in scenario.twins) for group in round_.partition)
        )
        for round_ in scenario.rounds
    )


@pytest.mark.parametrize("name", SHOWS)
def test_it_is_as_small_as_it_gets(name: str) -> None:
    scenario = regression(name)
    assert shrink(scenario, KEPT.get(name)).scenario == scenario
    assert len(scenario.rounds) <= MOST_ROUNDS.get(name, 5)


@pytest.mark.parametrize("name", SHOWS)
def test_its_text_parses_back_and_it_has_a_story(name: str) -> None:
    scenario = regression(name)
    assert scenario.name == name
    assert parse_scenario(format_scenario(scenario)) == scenario
    assert format_scenario(scenario) in text_of(name)
    story = [line for line in text_of(name).splitlines() if line.startswith("# ")]
    assert len(story) >= 2


def test_every_bug_that_scenarios_can_show_has_one() -> None:
    """Forged certificates and requests that are repeated are nothing that twins do."""
    shown = {bug for name in names() for bug in regression(name).bugs}
    assert set(BUGS) - shown == {"unsigned_certificates", "late_replay"}
