"""A fork behaves like its original and neither touches the other; equal state keys mean equal behaviour."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diembft.consensus.effects import Effect, Send
from diembft.consensus.events import Connected, Event, Received, Started, Timer, TimerFired
from diembft.consensus.replica import Replica
from diembft.messages.types import BlockRequest, SyncInfo
from tests.consensus.effort import examples
from tests.consensus.harvest import harvest
from tests.consensus.rig import Craft, Rig, sent

CONFIG, EVENTS = harvest()

several_events = st.lists(st.sampled_from(EVENTS), max_size=60)
some_of_the_run = st.integers(0, len(EVENTS)).map(lambda end: EVENTS[:end])
bounded = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))


def after(events: Sequence[Event]) -> Replica:
    replica = Craft(CONFIG).replica(2)
    for event in events:
        replica.step(event)
    return replica


def behaviour(replica: Replica, events: Sequence[Event]) -> list[list[Effect]]:
    return [replica.step(event) for event in events]


@bounded
@given(some_of_the_run, several_events, several_events)
def test_a_fork_that_gets_the_same_events_behaves_alike(
    before: list[Event], later: list[Event], other: list[Event]
) -> None:
    original = after(before)
    fork = original.fork()
    assert fork.state_key() == original.state_key()
    key = original.state_key()
    behaviour(fork, other)
    assert original.state_key() == key, "what happens to a fork does not touch its original"
    second = original.fork()
    expected = behaviour(original, later)
    assert second.state_key() == key, "what happens to the original does not touch its fork"
    assert behaviour(second, later) == expected
    assert second.state_key() == original.state_key()
    assert hash(second.state_key()) == hash(original.state_key())


@bounded
@given(some_of_the_run, several_events, several_events)
def test_equal_keys_mean_equal_behaviour(before: list[Event], detour: list[Event], later: list[Event]) -> None:
    """Two replicas on different ways to what may be the same state: where keys agree, so does all that follows."""
    one, other = after(before), after(before)
    behaviour(one, detour)
    behaviour(other, [event for event in detour if not isinstance(event, Connected)][::-1])
    if one.state_key() == other.state_key():
        assert behaviour(one, later) == behaviour(other, later)
        assert one.state_key() == other.state_key()


@bounded
@given(some_of_the_run, st.sampled_from(EVENTS), several_events)
def test_an_event_that_changes_the_key_shows_in_it_and_one_that_does_not_changes_nothing(
    before: list[Event], event: Event, later: list[Event]
) -> None:
    touched, untouched = after(before), after(before)
    touched.step(event)
    if touched.state_key() == untouched.state_key():
        assert behaviour(touched, later) == behaviour(untouched, later)


def test_the_key_tells_in_which_order_proposals_came() -> None:
    """Two proposals whose parents are missing, one of them not the leader's: it shows in which is fetched first."""
    craft = Craft()
    parents = [craft.block(1, author=author) for author in (0, 3)]
    blocks = [craft.block(2, craft.qc(parent), author=author) for parent, author in zip(parents, (1, 2), strict=True)]
    keys, asked = [], []
    for order in (blocks, blocks[::-1]):
        replica = craft.started(0)
        for block in order:
            replica.step(Received(block.author, craft.proposal(block)))
        keys.append(replica.state_key())
        ((_, request),) = sent(replica.step(TimerFired(Timer.FETCH, 2)), BlockRequest)
        asked.append(request.id)
    assert asked[0] != asked[1]
    assert keys[0] != keys[1]


def test_a_restarted_replica_with_the_same_key_rests_alike() -> None:
    """What a restarted replica knows of the chain below its root decides whether it may rest (a gap in the rounds: the
    request in block 1 is committed by a QC that no block holds)."""
    rig = Rig(4)
    craft = rig.craft
    first = craft.block(1, payload=(craft.request(),))
    second = craft.block(3, craft.qc(first))
    third = craft.block(4, craft.qc(second))
    node = rig.nodes[2]
    rig.step(2, Received(0, craft.proposal(first)))
    rig.step(2, Received(1, craft.proposal(second, craft.tc(2, craft.qc(first)))))
    rig.step(2, Received(2, craft.proposal(third)))
    rig.step(2, Received(2, SyncInfo(5, craft.qc(third), craft.qc(third), None)))
    assert rig.committed_rounds(2) == [1, 3]
    lived = node.running.tree
    rig.crash(2)
    rig.restart(2)
    restarted = rig[2].tree
    assert lived.root.work_round == restarted.root.work_round == 1
    assert lived.root.commit_round == restarted.root.commit_round == 0
    lived.forget_votes(99)
    restarted.forget_votes(99)
    assert lived.state_key() == restarted.state_key()


def test_a_fork_shares_nothing_that_changes() -> None:
    replica = after(EVENTS)
    fork = replica.fork()
    for name, value in vars(replica).items():
        if isinstance(value, list | dict | set):
            assert getattr(fork, name) is not value, name
    for part in ("safety", "tree", "pacemaker", "election", "mempool"):
        mine, its = getattr(replica, part), getattr(fork, part)
        assert mine is not its
        for slot in type(mine).__slots__:
            if isinstance(getattr(mine, slot), list | dict | set):
                assert getattr(mine, slot) is not getattr(its, slot), (part, slot)
    assert not any(isinstance(effect, Send) for effect in replica.fork()._out)


def test_a_fork_of_a_replica_that_just_started_may_be_started() -> None:
    replica = Craft().replica()
    assert replica.fork().step(Started()) == replica.step(Started())
