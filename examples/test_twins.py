"""Twins in a test suite of your own: properties over scenarios that Hypothesis draws, and shrinks when one fails.

    pytest examples/test_twins.py

A scenario scripts, round by round, who leads and who can talk to whom; a faulty replica is two copies of the correct
code. Any property of `diembft.judge` can be a property, and so can what you make of the record of an
execution.
"""

from __future__ import annotations

from hypothesis import find, given, settings

from diembft.twins.runs.judging import run
from diembft.twins.runs.timed import execute
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.strategies import scenarios
from diembft.twins.scenarios.text import format_scenario

four_with_a_twin = scenarios(replicas=4, twins=1, max_rounds=5, sets=3, drops=2)


@settings(deadline=None)
@given(four_with_a_twin)
def test_nothing_is_violated(scenario: Scenario) -> None:
    """What every oracle says of the real core. A failure prints the smallest scenario, which parses back."""
    violations = run(scenario).violations
    assert not violations, f"{violations[0].detail}\n{format_scenario(scenario)}"


@settings(deadline=None)
@given(four_with_a_twin)
def test_all_commit_the_same_chain(scenario: Scenario) -> None:
    """A property of one's own, on the record of what was sent and committed."""
    record = execute(scenario)
    chains: dict[int, list[bytes]] = {}
    for commit in record.committed:
        if scenario.nodes[commit.node] in scenario.correct:
            chains.setdefault(commit.node, []).append(commit.block.id)
    longest = max(chains.values(), key=len, default=[])
    assert all(chain == longest[: len(chain)] for chain in chains.values())


def test_a_bug_shrinks_to_one_round() -> None:
    """A replica that may vote twice is found, and what Hypothesis leaves of the scenario shows why."""
    strategy = scenarios(replicas=4, twins=1, max_rounds=4, bugs=["conflicting_votes"])
    smallest = find(
        strategy,
        lambda scenario: bool(run(scenario).violations),
        settings=settings(max_examples=300, derandomize=True, database=None, deadline=None),
    )
    (round_,) = smallest.rounds[:-7]
    assert round_.leader == "a"  # the one with a twin: both propose, and all vote for both
    assert round_.partition == (("a", "b", "c", "d", "a'"),)
