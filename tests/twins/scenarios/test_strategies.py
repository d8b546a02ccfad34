"""Scenarios drawn by Hypothesis: what is drawn, and what failures shrink to."""

import importlib
import sys

import pytest
from hypothesis import find, given, settings

from diembft.twins.scenarios.scenario import Drop, Round, Scenario, holds_quorum
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.strategies import partitions, rounds, scenarios

THOROUGH = settings(max_examples=2000, derandomize=True, database=None)


@given(scenarios(replicas=4, twins=1, min_rounds=2, max_rounds=4, sets=2, quorum=True, drops=2))
def test_scenarios_are_in_the_space_of_the_same_shape(scenario: Scenario) -> None:
    script = len(scenario.rounds) - 7
    space = Space(replicas=4, faulty=1, sets=2, rounds=script, quorum=True, drops=2)
    assert 2 <= script <= 4
    assert space.scenario(space.rank(scenario)).rounds == scenario.rounds


@given(scenarios(replicas=3, twins=1, sets=3, model="two-phase", crashes=True, suffix=0, bugs=["gap_commit"]))
def test_richer_scenarios_are_in_the_space_of_the_same_shape(scenario: Scenario) -> None:
    space = Space(replicas=3, faulty=1, sets=3, rounds=len(scenario.rounds), model="two-phase", crashes=True, suffix=0)
    assert space.scenario(space.rank(scenario)).rounds == scenario.rounds
    assert (scenario.bugs, scenario.model) == (("gap_commit",), "two-phase")


@pytest.mark.parametrize(("leaders", "names"), [("all", "abcd"), ("twins", "a"), ("correct", "bcd")])
def test_who_may_lead(leaders: str, names: str) -> None:
    drawn: set[str] = set()

    @settings(database=None)
    @given(rounds(leaders=leaders))  # type: ignore[arg-type]  # one of the three names
    def draw(round_: Round) -> None:
        drawn.add(round_.leader)

    draw()
    assert drawn == set(names)


@given(partitions(replicas=7, twins=2, sets=3, quorum=True))
def test_partitions_with_a_quorum(partition: tuple[tuple[str, ...], ...]) -> None:
    assert 1 <= len(partition) <= 3
    assert holds_quorum(partition, 5)
    assert sorted(name for group in partition for name in group) == sorted([*"abcdefg", "a'", "b'"])


def test_anything_shrinks_to_one_whole_round() -> None:
    smallest = find(scenarios(sets=3, drops=3, crashes=True), lambda scenario: True, settings=THOROUGH)
    assert smallest.rounds[:-7] == (Round("a", (("a", "b", "c", "d", "a'"),)),)


def test_fewer_rounds_come_first_then_fewer_sets_then_fewer_exceptions() -> None:
    def has_a_cut(scenario: Scenario) -> bool:
        return any(Drop("b", "c", "vote") in r.exceptions and len(r.partition) > 1 for r in scenario.rounds)

    smallest = find(scenarios(sets=4, drops=4), has_a_cut, settings=THOROUGH)
    (round_,) = smallest.rounds[:-7]
    assert (round_.leader, len(round_.partition)) == ("a", 2)
    assert round_.exceptions == (Drop("b", "c", "vote"),)


def test_extras_shrink_away() -> None:
    strategy = scenarios(model="two-phase", crashes=True)

    def early(scenario: Scenario) -> bool:
        return any(round_.extras.timers == "early" for round_ in scenario.rounds)

    (round_,) = find(strategy, early, settings=THOROUGH).rounds[:-7]
    extras = round_.extras
    assert (extras.timeout_partition, extras.order, extras.crash, extras.restart) == (None, None, (), ())


def test_without_hypothesis_the_need_for_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "diembft.twins.scenarios.strategies")
    with pytest.raises(ImportError, match=r"scenarios\.strategies needs Hypothesis: pip install hypothesis"):
        importlib.import_module("diembft.twins.scenarios.strategies")
