"""Shared execution: the same judgements as executing each scenario alone, with fewer steps."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import msgspec
import pytest

from diembft.consensus.block_tree import BlockTree, Node
from diembft.errors import InputError
from diembft.messages.types import QC
from diembft.protocols.interface import PROPOSAL
from diembft.twins.runs import prefixes
from diembft.twins.runs.judging import run
from diembft.twins.runs.prefixes import PrefixRuns, Question, Tree, shape_of
from diembft.twins.runs.shared import Lookup
from diembft.twins.scenarios.scenario import Drop, Extras, MessageType, Scenario
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

pytestmark = pytest.mark.usefixtures("examples_on_path")

TOY = "toy_protocol:STREAMLET"
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
    "hotstuff": Space(replicas=4, faulty=1, sets=2, rounds=6, quorum=True, protocol="hotstuff"),
    "fast-hotstuff": Space(replicas=4, faulty=1, sets=2, rounds=6, protocol="fast-hotstuff"),
    "gaps": Space(replicas=4, faulty=0, sets=2, rounds=7, quorum=True, protocol="fast-hotstuff", bugs=("gap_commit",)),
    "toy": Space(replicas=4, faulty=1, sets=2, rounds=6, protocol=TOY),
    "toy, exceptions": Space(replicas=4, faulty=1, sets=2, rounds=4, drops=2, drop_types=DROPS, protocol=TOY),
    "toy, any chain": Space(replicas=4, faulty=1, sets=2, rounds=6, protocol=TOY, bugs=("any_chain",)),
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


@pytest.mark.parametrize("name", ["quorum", "exceptions", "toy"])
def test_neighbours_with_delayed_messages_among_them(name: str) -> None:
    """What arrives late is executed alone, and changes nothing for those beside it."""
    together = PrefixRuns()
    for number, scenario in enumerate(some(SPACES[name], 20, 10)):
        late, *others = scenario.rounds
        late = msgspec.structs.replace(late, extras=Extras(undelivered="delay"))
        delayed = msgspec.structs.replace(scenario, rounds=(late, *others))
        for either in (scenario, delayed) if number % 2 else (delayed, scenario):
            assert together.run(either) == run(either), either.name


def commit_with_others(self: BlockTree, qc: QC) -> list[Node]:
    """As an edit of the source might have it: all pending blocks of rounds up to the committed one go along."""
    target = self.committed_by(qc)
    path = [] if target is None else self.path(target[0])
    if not path:
        return []
    pending = [node for node in self.nodes.values() if node is not self.root]
    taken = [node for node in pending if node.block.round < path[-1].block.round and node not in path]
    for node in (*taken, *path):
        self._keep_committed(node.block)
    self.height += len(taken) + len(path)
    self._prune(path[-1])
    return [*taken, *path]


def test_a_core_that_remembers_what_the_shipped_one_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that nobody refers to are dead under the shipped rules alone.

    Two of these scenarios were said to hold when states that differed in such blocks went for one.
    """
    monkeypatch.setattr(BlockTree, "commit", commit_with_others)
    space = SPACES["quorum"]
    together = PrefixRuns()
    for scenario in map(space.scenario, space.ranks(18_837_152_133, 50)):
        assert together.run(scenario) == run(scenario), scenario.name


def test_replicas_that_are_not_deterministic_are_an_error_of_the_user() -> None:
    space = SPACES["quorum"]
    one, other = space.scenario(space.count // 3), space.scenario(space.count * 5 // 7)
    tree = Tree(one)
    tree.judge([tree.number(round_) for round_ in one.rounds])
    question = tree._root.first
    assert isinstance(question, Question)
    question.lookup = Lookup(3, PROPOSAL, 1, 1)  # as if the same beginning had led to another question
    question.answers.clear()
    with pytest.raises(InputError, match=r"protocol diembft: .* not deterministic, or a fork"):
        tree.judge([tree.number(round_) for round_ in other.rounds])


def test_neighbours_share_most() -> None:
    space = SPACES["plain"]
    together = PrefixRuns()
    count = 400
    for scenario in map(space.scenario, space.ranks(space.count // 3, count)):
        together.run(scenario)
    (tree,) = together.trees.values()
    rounds = space.rounds + space.suffix
    assert tree.executed < count * rounds / 4  # instead of every round of every scenario


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
    (tree,) = together.trees.values()
    executed = tree.executed
    assert together.run(scenario) == first
    assert tree.executed == executed


def test_scenarios_of_other_shapes_have_trees_of_their_own() -> None:
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
    assert len(together.trees) == len(others)


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
    assert not together.trees


def test_rounds_without_extras_are_shared_whatever_their_exceptions() -> None:
    scenario = SPACES["exceptions"].scenario(99)
    assert shape_of(scenario) is not None
    first = msgspec.structs.replace(scenario.rounds[0], exceptions=(Drop("_", "_", "timeout"),))
    assert shape_of(msgspec.structs.replace(scenario, rounds=(first, *scenario.rounds[1:]))) is not None
    first = msgspec.structs.replace(first, extras=Extras(timers="early"))
    assert shape_of(msgspec.structs.replace(scenario, rounds=(first, *scenario.rounds[1:]))) is None


def test_a_tree_gives_no_judgement_of_its_own_on_what_is_violated() -> None:
    scenario = parse_scenario("scenario: replicas=a,b,c,d bugs=small_quorum; 1-7: a leads a,b,c,d")
    tree = Tree(scenario)
    assert tree.judge([tree.number(round_) for round_ in scenario.rounds]) is None
