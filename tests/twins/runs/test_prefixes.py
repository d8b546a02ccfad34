"""Shared execution: the same judgements as executing each scenario alone, with far fewer steps."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import msgspec
import pytest

from diembft.twins.runs import prefixes
from diembft.twins.runs.judging import run
from diembft.twins.runs.prefixes import Graph, PrefixRuns, shape_of
from diembft.twins.scenarios.scenario import Drop, Extras, MessageType, Scenario
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

DROPS: tuple[MessageType, ...] = ("proposal", "vote", "timeout", "*")
SPACES = {
    "plain": Space(replicas=4, faulty=1, sets=2, rounds=7),
    "quorum": Space(replicas=4, faulty=1, sets=2, rounds=6, quorum=True),
    "three sets": Space(replicas=4, faulty=1, sets=3, rounds=5),
    "exceptions": Space(replicas=4, faulty=1, sets=2, rounds=4, quorum=True, drops=2, drop_types=DROPS),
    "seven": Space(replicas=7, faulty=2, sets=3, rounds=5, quorum=True),
    "too many twins": Space(replicas=4, faulty=2, sets=2, rounds=4),
    "nobody is faulty": Space(replicas=4, faulty=0, sets=2, rounds=5),
    "no synchrony": Space(replicas=4, faulty=1, sets=2, rounds=5, suffix=0),
    "little synchrony": Space(replicas=4, faulty=1, sets=2, rounds=4, quorum=True, suffix=2),
    "conflicting votes": Space(replicas=4, faulty=1, sets=2, rounds=4, bugs=("conflicting_votes",)),
    "small quorum": Space(replicas=4, faulty=1, sets=2, rounds=5, bugs=("small_quorum",)),
    "long commit chain": Space(replicas=4, faulty=1, sets=2, rounds=5, quorum=True, bugs=("long_commit_chain",)),
    "stale leaders": Space(replicas=4, faulty=1, sets=2, rounds=6, bugs=("ignore_tc_high_qc", "stale_leader")),
    "one chain": Space(replicas=4, faulty=1, sets=2, rounds=4, drops=1, drop_types=("*",), bugs=("one_chain_commit",)),
}


def some(space: Space, neighbours: int, drawn: int) -> Iterator[Scenario]:
    """Neighbours from two places, and a sample."""
    for start in (space.count // 3, space.count * 5 // 7):
        yield from map(space.scenario, space.ranks(start, neighbours))
    yield from map(space.scenario, space.ranks(0, drawn, seed=1))


@pytest.mark.parametrize("name", SPACES)
def test_each_scenario_gets_the_judgement_that_executing_it_alone_gives(name: str) -> None:
    together = PrefixRuns()
    for scenario in some(SPACES[name], 40, 30):
        assert together.run(scenario) == run(scenario), scenario.name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "quorum", "exceptions", "seven", "stale leaders", "no synchrony"])
def test_the_same_for_many(name: str) -> None:
    together = PrefixRuns()
    for scenario in some(SPACES[name], 200, 80):
        assert together.run(scenario) == run(scenario), scenario.name


def test_neighbours_share_most() -> None:
    space = SPACES["plain"]
    together = PrefixRuns()
    count = 400
    for scenario in map(space.scenario, space.ranks(space.count // 3, count)):
        together.run(scenario)
    (graph,) = together.graphs.values()
    rounds = space.rounds + space.suffix
    assert graph.executed < count * rounds / 4  # instead of every round of every scenario
    assert graph.states < graph.executed


def test_what_was_forgotten_is_executed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three paused executions, and for few steps, the judgements stay the same."""
    monkeypatch.setattr(prefixes, "KEPT_EXECUTIONS", 3)
    monkeypatch.setattr(prefixes, "KEPT_STEPS", 2_000)
    together = PrefixRuns()
    for scenario in some(SPACES["quorum"], 40, 20):
        assert together.run(scenario) == run(scenario), scenario.name


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_no_execution_refers_to_itself(together: bool) -> None:
    """Campaigns run without garbage collection: what they drop must be gone."""
    space = SPACES["quorum"]
    shared = PrefixRuns()
    judge = shared.run if together else run
    scenarios = list(map(space.scenario, space.ranks(1234, 40)))
    for scenario in scenarios[:20]:
        judge(scenario)
    gc.collect()
    gc.disable()
    try:
        for scenario in scenarios[20:]:
            judge(scenario)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_scenario_twice_is_a_walk_without_a_step() -> None:
    scenario = SPACES["quorum"].scenario(123_456)
    together = PrefixRuns()
    first = together.run(scenario)
    (graph,) = together.graphs.values()
    executed = graph.executed
    assert together.run(scenario) == first
    assert graph.executed == executed


def test_scenarios_of_other_shapes_have_graphs_of_their_own() -> None:
    space = SPACES["quorum"]
    scenario = space.scenario(5)
    together = PrefixRuns()
    others = [
        scenario,
        msgspec.structs.replace(scenario, bugs=("small_quorum",)),
        msgspec.structs.replace(scenario, delay_bound_s=0.5),
        msgspec.structs.replace(scenario, gst=len(scenario.rounds)),
    ]
    for other in others:
        assert together.run(other) == run(other)
    assert len(together.graphs) == len(others)


def test_who_leads_after_the_script_is_part_of_the_shape() -> None:
    """Nothing but the last round's leader differs, and it leads on."""
    one, other = (
        parse_scenario(f"scenario: replicas=a,b,c,d twins=a' gst=1; 1: {leader} leads b,c,d|a,a'") for leader in "ab"
    )
    together = PrefixRuns()
    assert [together.run(one), together.run(other)] == [run(one), run(other)]


@pytest.mark.parametrize(
    "text",
    [
        "scenario: replicas=a,b,c,d; 1: a leads a,b,c|d undelivered=delay; 2-8: a leads a,b,c,d",
        "scenario: replicas=a,b,c,d; 1: a leads a,b,c,d crash=b restart=b; 2-8: a leads a,b,c,d",
        "scenario: replicas=a,b,c,d model=barrier; 1: a leads a,b,c|d; 2-8: a leads a,b,c,d",
    ],
)
def test_what_cannot_be_shared_is_executed_alone(text: str) -> None:
    scenario = parse_scenario(text)
    assert shape_of(scenario) is None
    together = PrefixRuns()
    assert together.run(scenario) == run(scenario)
    assert not together.graphs


def test_rounds_without_extras_are_shared_whatever_their_exceptions() -> None:
    scenario = SPACES["exceptions"].scenario(99)
    assert shape_of(scenario) is not None
    first = msgspec.structs.replace(scenario.rounds[0], exceptions=(Drop("_", "_", "timeout"),))
    assert shape_of(msgspec.structs.replace(scenario, rounds=(first, *scenario.rounds[1:]))) is not None
    first = msgspec.structs.replace(first, extras=Extras(timers="early"))
    assert shape_of(msgspec.structs.replace(scenario, rounds=(first, *scenario.rounds[1:]))) is None


def test_a_graph_gives_no_judgement_of_its_own_on_what_is_violated() -> None:
    scenario = parse_scenario("scenario: replicas=a,b,c,d bugs=small_quorum; 1-7: a leads a,b,c,d")
    graph = Graph(scenario)
    assert graph.judge([graph.number(round_) for round_ in scenario.rounds]) is None
