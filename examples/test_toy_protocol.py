"""The toy protocol in a test suite: decided to a depth, and sampled by Hypothesis."""

from __future__ import annotations

from hypothesis import given, settings

from diembft import Scenario, assert_holds, assert_safe
from diembft.twins.scenarios.strategies import scenarios


def test_no_scenario_of_three_rounds_breaks_it() -> None:
    """Exhausted."""
    assert_safe("toy_protocol:STREAMLET", rounds=3)


@settings(max_examples=50, deadline=None)
@given(scenarios(protocol="toy_protocol:STREAMLET", max_rounds=5))
def test_scenarios_hold(scenario: Scenario) -> None:
    """Sampled."""
    assert_holds(scenario)
