"""What a summary is rebuilt to leads where the states lead that it stands for."""

from __future__ import annotations

import random

import pytest

from diembft.consensus.config import Config
from diembft.protocols.diembft.system import CHAIN_ID
from diembft.protocols.states import NOTHING_SIGNED, NodeState
from diembft.twins.exhaustion.engine import Engine, GlobalState
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.question import Question
from tests.consensus.rig import Craft

TWO_PHASE = Question("two-phase", quorum_filter=True, twins_lead=True)
BARRIER = Question("barrier", quorum_filter=True)

PATHS: dict[str, tuple[Question, ChoicePath]] = {
    # The twin is a round behind and has a block that its own certificates do not point at: when it gets a proposal on
    # that block it votes, and does not propose in the round itself, as it would had it to fetch the block first.
    "a block of others": (TWO_PHASE, (0, 312, 52, 316, 58)),
    "two proposals": (TWO_PHASE, (0, 312, 52)),
}


def at(engine: Engine, path: ChoicePath) -> GlobalState:
    state = engine.initial()[path[0]]
    for choice in path[1:]:
        state = engine.apply(state, choice).state
    return state


def assert_same(engine: Engine, state: GlobalState) -> None:
    """The state itself and what its summary is rebuilt to have successors of the same keys."""
    of_the_state = {successor.key for successor in engine._successors(state, frozenset(), None)}
    assert {successor.key for successor in engine.successors(state)} == of_the_state


@pytest.mark.parametrize("name", PATHS)
def test_known_states(name: str) -> None:
    question, path = PATHS[name]
    engine = question.engine()
    state = at(engine, path)
    found = engine.summary(state)
    assert found is not None
    ordered, _ = found.sorted(engine.world.cast)
    rebuilt = engine._rebuilt(ordered)
    assert rebuilt is not None
    assert engine.summary(rebuilt) == ordered
    assert_same(engine, state)


@pytest.mark.parametrize("question", [TWO_PHASE, BARRIER, Question("lazy", quorum_filter=True)], ids=str)
def test_states_met_on_random_walks(question: Question) -> None:
    engine, rng = question.engine(), random.Random(7)
    for _ in range(2):
        state = engine.initial()[0]
        for _ in range(6):
            assert_same(engine, state)
            successor = engine.apply(state, rng.randrange(len(engine.model.choices)))
            if successor.key is None:
                break
            state = successor.state


def test_a_node_forgets_what_nobody_certified() -> None:
    """Left out of the comparison alone, such a block would be forgotten at one node and held at another that is taken
    for the same; in another branch it may be certified."""
    engine = BARRIER.engine()
    craft = Craft(Config(n=4, chain_id=CHAIN_ID))
    first, dead = craft.block(1), craft.block(1, payload=(craft.request(),))
    second = craft.block(3, craft.qc(first))  # commits nothing: that alone would prune the tree
    keys = []
    for blocks in ((first, second), (first, dead, second)):
        replica = craft.replica(0)
        for block in blocks:
            replica.tree.insert(replica.tree.execute(block))
        replica.process_certificate_qc(craft.qc(second))
        engine._keys.settle(replica, settles=True)
        assert (dead.id in replica.tree.nodes) == (dead in blocks), "it is there until then"
        keys.append(engine._keys.raw(4, NodeState(replica, (), None, NOTHING_SIGNED)))
        assert list(replica.tree.nodes)[-2:] == [first.id, second.id], "an ancestor of what lives stays"
        assert dead.id not in replica.tree.nodes
    assert keys[0] == keys[1]
