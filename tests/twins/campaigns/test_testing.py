"""The entries for test suites: what they decide, and what a failure shows."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings

from diembft.errors import InputError
from diembft.protocols.diembft.protocol import DiemBft
from diembft.protocols.hotstuff.protocol import FAST_HOTSTUFF
from diembft.twins.campaigns.testing import assert_holds, assert_safe
from diembft.twins.exhaustion.search import SearchEnding
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.strategies import scenarios


def test_a_correct_protocol_is_decided() -> None:
    result = assert_safe(FAST_HOTSTUFF, leaders="twins")
    assert result.ending is SearchEnding.FIXED_POINT
    assert assert_safe("hotstuff", rounds=2).ending is SearchEnding.DEPTH
    assert assert_safe("diembft", rounds=2).ending is SearchEnding.DEPTH


def test_a_violation_shows_the_scenario_and_a_command_that_replays_it() -> None:
    with pytest.raises(AssertionError) as failure:
        assert_safe("fast-hotstuff", faulty=0, bugs=["gap_commit"])
    message = str(failure.value)
    assert message.startswith("agreement: ")
    assert "bugs=gap_commit model=barrier protocol=fast-hotstuff" in message
    assert "A scenario of 7 rounds violates" in message
    command = next(line for line in message.splitlines() if line.startswith("again: ")).removeprefix("again: ")
    done = subprocess.run(
        command.replace("diembft", f"{sys.executable} -m diembft", 1), shell=True, capture_output=True, text=True
    )
    assert "violates agreement" in done.stdout
    assert done.returncode == 0


def test_a_limit_that_comes_first_fails() -> None:
    with pytest.raises(AssertionError, match=r"^not decided: No scenario of up to 1 round violates"):
        assert_safe("hotstuff", max_states=30)


def test_a_name_must_lead_to_its_protocol() -> None:
    with pytest.raises(InputError, match="leads to another one"):
        assert_safe(DiemBft(), rounds=1)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(protocol="fast-hotstuff", max_rounds=4))
def test_drawn_scenarios_hold(scenario: Scenario) -> None:
    assert_holds(scenario)


def test_a_drawn_violation_is_shown_shrunk() -> None:
    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(scenarios(protocol="diembft", max_rounds=4, bugs=["conflicting_votes"]))
    def check(scenario: Scenario) -> None:
        assert_holds(scenario)

    with pytest.raises(AssertionError) as failure:
        check()
    message = str(failure.value)
    assert "honest_vote_once: " in message
    assert "  1: a leads a,b,c,d,a'\n" in message
    assert 'again: diembft twins replay "scenario: replicas=a,b,c,d' in message
