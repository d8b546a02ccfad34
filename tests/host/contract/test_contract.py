"""What each driver does with effects, one at a time: machines that do what the test tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from typing_extensions import override

from diembft.client.requests import session_of
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Effect,
    Persist,
    ReadBlocks,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Event, Started, Timer
from diembft.host.outlet import Outlet
from diembft.messages.types import OK, Message, Reply, SyncInfo
from tests.host.contract.drivers import RIGS, DistAlgoRig, SimulatorRig, TinyRig
from tests.host.contract.machines import Scripted, tell
from tests.host.contract.rig import Rig, SlowDisk
from tests.simulation.chains import GENESIS, chain, persist


def note(number: int) -> Message:
    """A message that every driver carries, and that tests tell by its number."""
    return SyncInfo(1, replace(GENESIS.qc, author=number), GENESIS.qc, None)


def number_of(message: Any) -> int:
    return int(message.high_qc.author)


def write(number: int) -> Persist:
    """Something to be made durable, told by its number."""
    return persist([], [], vote_round=number)


def durable(rig: Rig, node: int = 0) -> int:
    """The number of the write that would be found if the power went now; 0 if none would."""
    recovered = rig.durable(node)
    return 0 if recovered is None or recovered.record is None else recovered.record.highest_vote_round


def left(rig: Rig, node: int = 0) -> list[tuple[int, int]]:
    """What left a node: the number of each message, and that of the write that was durable then."""
    return [
        (number_of(message), recovered.record.highest_vote_round if recovered and recovered.record else 0)
        for sender, message, recovered in rig.sent
        if sender == node
    ]


def heard(rig: Rig, node: int) -> list[int]:
    return sorted([number_of(message) for message in rig.machine(node).heard])


def of(*features: str) -> pytest.MarkDecorator:
    """All drivers that have these."""
    rigs = [rig for rig in RIGS if all(getattr(rig, feature) for feature in features)]
    return pytest.mark.parametrize("driver", rigs, ids=lambda rig: rig.__name__)


def started(driver: type[Rig]) -> Rig:
    rig = driver(Scripted)
    rig.start_all()
    rig.run(0.1)
    return rig


# --- the order of effects


@of()
def test_the_first_event_is_started(driver: type[Rig]) -> None:
    rig = started(driver)
    for node in range(len(rig.identities)):
        assert rig.machine(node).events == [Started()]


@of()
def test_effects_are_carried_out_in_their_order(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, write(1), Send(1, note(1)), Broadcast(note(2)), Send(2, note(3)), Broadcast(note(4)))
    assert [number for number, _ in left(rig)] == [1, 2, 3, 4]
    rig.run(0.1)
    assert [heard(rig, node) for node in (1, 2, 3)] == [[1, 2, 4], [2, 3, 4], [2, 4]]


@of()
def test_a_write_is_durable_before_anything_that_follows_leaves(driver: type[Rig]) -> None:
    rig = started(driver)
    assert durable(rig) == 0
    tell(rig, 0, write(1), Send(1, note(1)), Broadcast(note(2)))
    tell(rig, 0, Send(1, note(3)))
    tell(rig, 0, write(2), Broadcast(note(4)))
    tell(rig, 1, Send(2, note(5)))
    assert left(rig) == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert left(rig, 1) == [(5, 0)], "each node has a storage of its own"
    tell(rig, 0, write(3))
    assert durable(rig) == 3, "and also if nothing follows"


STEP: Sequence[Effect] = (
    write(2),
    SetTimer(Timer.ROUND, 0.2, 2),
    Send(1, note(1)),
    Broadcast(note(2)),
    Send(2, note(3)),
)


@of()
@pytest.mark.parametrize("carried_out", range(len(STEP) + 1))
def test_power_may_go_between_any_two_effects(driver: type[Rig], carried_out: int) -> None:
    rig = started(driver)
    tell(rig, 0, write(1))
    effects = STEP if driver.timers else [effect for effect in STEP if not isinstance(effect, SetTimer)]
    tell(rig, 0, *effects[:carried_out])
    rig.crash(0)
    assert rig.machine(0) is None
    rig.run(0.1)
    rig.start(0)
    assert durable(rig) == (2 if carried_out else 1)
    assert rig.machine(0).safety.highest_vote_round == durable(rig), "the machine was made from what was durable"
    rig.run(0.5)
    assert rig.machine(0).events == [Started()], "no timer of its former life fires"
    sent = [number_of(effect.message) for effect in effects[:carried_out] if isinstance(effect, Send | Broadcast)]
    assert [number for number, _ in left(rig)] == sent


@of()
def test_a_node_that_is_down_hears_nothing(driver: type[Rig]) -> None:
    rig = started(driver)
    if driver.timers:
        rig.crash(1)
        tell(rig, 0, Send(1, note(1)))
        rig.run(0.1)
        rig.start(1)
        rig.run(0.1)
        assert heard(rig, 1) == []
    tell(rig, 0, Send(1, note(2)))
    rig.run(0.1)
    assert heard(rig, 1) == [2]


# --- timers


@of("timers")
def test_a_timer_fires_once(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, SetTimer(Timer.ROUND, 0.5, 7))
    rig.run(0.48)
    assert rig.machine(0).fired == []
    rig.run(0.04)
    assert rig.machine(0).fired == [("round", 7)]
    rig.run(3.0)
    assert rig.machine(0).fired == [("round", 7)]
    assert rig.machine(1).fired == []


@of("timers")
@pytest.mark.parametrize("kind", [Timer.ROUND, Timer.FETCH])
@pytest.mark.parametrize("first_s", [0.3, 0.5])
def test_a_timer_that_is_set_again_fires_once_and_later(driver: type[Rig], kind: Timer, first_s: float) -> None:
    rig = started(driver)
    tell(rig, 0, SetTimer(kind, first_s, 1))
    rig.run(0.2)
    tell(rig, 0, SetTimer(kind, 0.4, 2))
    rig.run(0.38)
    assert rig.machine(0).fired == []
    rig.run(0.04)
    assert rig.machine(0).fired == [(kind.value, 2)]
    rig.run(3.0)
    assert len(rig.machine(0).fired) == 1


@of("timers")
def test_a_timer_may_be_set_again_to_an_earlier_time(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, SetTimer(Timer.ROUND, 0.5, 1), SetTimer(Timer.ROUND, 0.1, 2))
    rig.run(0.12)
    assert rig.machine(0).fired == [("round", 2)]
    rig.run(3.0)
    assert rig.machine(0).fired == [("round", 2)]


@of("timers")
def test_a_cancelled_timer_does_not_fire(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, SetTimer(Timer.ROUND, 0.1, 1), SetTimer(Timer.FETCH, 0.1, 1), CancelTimer(Timer.ROUND))
    tell(rig, 1, SetTimer(Timer.ROUND, 0.1, 1))
    tell(rig, 1, CancelTimer(Timer.ROUND))
    tell(rig, 2, CancelTimer(Timer.ROUND), SetTimer(Timer.ROUND, 0.1, 2))
    rig.run(1.0)
    assert [rig.machine(node).fired for node in range(3)] == [[("fetch", 1)], [], [("round", 2)]]


@of("timers")
def test_a_timer_that_fired_may_be_set_again_at_once(driver: type[Rig]) -> None:
    rig = started(driver)
    machine = rig.machine(0)
    machine.script = lambda event: [SetTimer(Timer.ROUND, 0.1, event.round + 1)] if event.round < 4 else []
    tell(rig, 0, SetTimer(Timer.ROUND, 0.1, 1))
    rig.run(1.0)
    assert machine.fired == [("round", round_) for round_ in (1, 2, 3, 4)]


@of("timers")
def test_timers_end_with_the_life_of_a_node(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, write(1), SetTimer(Timer.ROUND, 0.2, 1), SetTimer(Timer.FETCH, 0.3, 1))
    rig.crash(0)
    rig.start(0)
    tell(rig, 0, SetTimer(Timer.FETCH, 0.4, 2))
    rig.run(1.0)
    assert rig.machine(0).fired == [("fetch", 2)]


# --- what is sent to oneself


@of()
def test_what_a_node_sends_to_itself_is_not_delivered_to_it(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 2, Send(2, note(1)), Broadcast(note(2)))
    rig.run(0.1)
    assert heard(rig, 2) == []
    assert [heard(rig, node) for node in (0, 1, 3)] == [[2]] * 3


@pytest.mark.parametrize("driver", [rig for rig in RIGS if len(set(rig.identities)) < len(rig.identities)])
def test_other_copies_of_an_identity_hear_all_that_goes_to_it(driver: type[Rig]) -> None:
    rig = started(driver)
    twin = len(rig.identities) - 1
    assert rig.identities[twin] == 0
    tell(rig, 0, Send(0, note(1)), Broadcast(note(2)))
    tell(rig, 1, Send(0, note(3)))
    rig.run(0.1)
    assert (heard(rig, 0), heard(rig, twin)) == ([3], [1, 2, 3])
    tell(rig, twin, Send(0, note(4)), Broadcast(note(5)))
    rig.run(0.1)
    assert (heard(rig, 0), heard(rig, twin)) == ([3, 4, 5], [1, 2, 3])
    assert all(event.peer == 0 for event in rig.machine(0).events[2:]), "a message comes from an identity"


# --- blocks that are read


def reads(rig: Rig, node: int = 0) -> list[BlocksRead]:
    return [event for event in rig.machine(node).events if isinstance(event, BlocksRead)]


BLOCKS = chain(4, operation=b"12345")
ASKED = ReadBlocks(3, 7, GENESIS.block.id, 2, 1000)


@of("reads")
def test_blocks_are_read_once_and_after_the_step(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, persist(BLOCKS, BLOCKS[:3]))
    seen: list[int] = []

    def script(event: Event) -> list[Effect]:
        seen.append(len(rig.sent))
        return []

    rig.machine(0).script = script
    tell(rig, 0, ASKED, Send(1, note(1)))
    rig.run(0.1)
    assert reads(rig) == [BlocksRead(3, 7, tuple(BLOCKS[:2]))]
    assert seen == [1], "the rest of the step comes first"


@of("reads")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ReadBlocks(3, 7, BLOCKS[0].id, 9, 1000), BLOCKS[1:3]),
        (ReadBlocks(3, 7, BLOCKS[0].id, 9, 1), BLOCKS[1:2]),
        (ReadBlocks(3, 7, BLOCKS[3].id, 9, 1000), []),
    ],
    ids=["as many as there are", "one at least", "not committed"],
)
def test_an_answer_holds_what_was_asked_for(driver: type[Rig], asked: ReadBlocks, expected: list[Any]) -> None:
    rig = started(driver)
    tell(rig, 0, persist(BLOCKS, BLOCKS[:3]))
    tell(rig, 0, asked)
    rig.run(0.1)
    assert reads(rig) == [BlocksRead(3, 7, tuple(expected))]


@of("reads")
def test_reads_may_follow_one_another(driver: type[Rig]) -> None:
    rig = started(driver)
    tell(rig, 0, persist(BLOCKS, BLOCKS[:3]))
    again = replace(ASKED, round=8)
    rig.machine(0).script = lambda event: [again] if isinstance(event, BlocksRead) and event.round == 7 else []
    tell(rig, 0, ASKED, replace(ASKED, peer=2))
    rig.run(0.1)
    assert sorted([(event.peer, event.round) for event in reads(rig)]) == [(2, 7), (3, 7), (3, 8), (3, 8)]


@of("reads")
@pytest.mark.parametrize("again", [False, True])
def test_a_node_that_crashed_answers_no_more(driver: type[Rig], again: bool) -> None:
    rig = started(driver)
    rig.machine(0).script = lambda event: [Send(1, note(1))]
    tell(rig, 0, write(1), ASKED)
    rig.crash(0)
    answered = len(left(rig))  # a driver may be so quick
    if again:
        rig.start(0)
    rig.run(0.1)
    assert len(left(rig)) == answered


# --- writes that take time


class Log(Outlet):
    """Writes down what is carried out, in its order, and passes it on."""

    def __init__(self, outlet: Outlet) -> None:
        self.log: list[tuple[int, str]] = []
        self._outlet = outlet
        for name in ("persist", "commit", "send", "broadcast", "set_timer", "cancel_timer", "reply", "read_blocks"):
            setattr(self, name, self._noting(name))

    def _noting(self, name: str) -> Any:
        def method(node: int, effect: Any) -> None:
            self.log.append((node, name))
            getattr(self._outlet, name)(node, effect)

        return method

    @override
    def crashed(self, node: int) -> None:
        self._outlet.crashed(node)


class Slow:
    """A driver whose writes take until the test says so."""

    def __init__(self, driver: type[Rig]) -> None:
        self.disk = SlowDisk()
        self.logs: list[Log] = []
        self.rig = driver(Scripted)
        self.rig.put_in_front(self._make)
        self.rig.start_all()
        self.rig.run(0.1)

    def _make(self, outlet: Outlet) -> Outlet:
        self.logs.append(Log(outlet))
        return self.disk.in_front_of(self.logs[-1])

    def carried_out(self, node: int = 0) -> list[str]:
        """What was carried out of a node."""
        return [name for log in self.logs for of_node, name in log.log if of_node == node]


@pytest.fixture
def slow(driver: type[Rig]) -> Slow:
    return Slow(driver)


@of("outlet")
def test_what_follows_a_write_under_way_waits_for_it_in_order(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, write(1), Send(1, note(1)))
    tell(rig, 0, Send(1, note(2)), Broadcast(note(3)))
    rig.run(0.2)
    tell(rig, 0, Send(2, note(4)))
    assert left(rig) == []
    assert durable(rig) == 0
    slow.disk.complete(0)
    assert left(rig) == [(1, 1), (2, 1), (3, 1), (4, 1)]
    tell(rig, 0, Send(1, note(5)))
    assert left(rig)[4:] == [(5, 1)], "nothing is under way"


@of("outlet")
def test_several_writes_queue(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    for number in (1, 2, 3):
        tell(rig, 0, write(number), Send(1, note(number)))
    tell(rig, 0, Send(1, note(4)))
    assert len(slow.disk.under_way) == 1, "one at a time"
    slow.disk.complete(0)
    assert left(rig) == [(1, 1)]
    tell(rig, 0, Send(1, note(5)))
    slow.disk.complete(0)
    assert left(rig) == [(1, 1), (2, 2)]
    slow.disk.complete(0)
    assert left(rig) == [(1, 1), (2, 2), (3, 3), (4, 3), (5, 3)]
    assert not slow.disk.under_way


@of("outlet")
def test_commits_and_answers_wait_too(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    reply = Reply(rig.client, session_of(rig.client), 1, bytes(32), OK, (b"",))
    tell(rig, 0, write(1))
    tell(rig, 0, Commit(1, BLOCKS[0], GENESIS.qc, b"state", (reply,)), SendReply(reply), Send(1, note(1)))
    rig.run(0.2)
    assert slow.carried_out() == []
    slow.disk.complete(0)
    assert slow.carried_out() == ["persist", "commit", "reply", "send"]


@of("outlet", "timers")
def test_timers_do_not_wait(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, write(1), Send(1, note(1)), SetTimer(Timer.ROUND, 0.1, 1), SetTimer(Timer.FETCH, 0.1, 1))
    tell(rig, 0, SetTimer(Timer.ROUND, 0.3, 2), CancelTimer(Timer.FETCH))
    rig.run(0.28)
    assert rig.machine(0).fired == []
    rig.run(0.04)
    assert rig.machine(0).fired == [("round", 2)]
    assert left(rig) == []
    slow.disk.complete(0)
    rig.run(1.0)
    assert rig.machine(0).fired == [("round", 2)], "the write sets no timer anew"


@of("outlet")
def test_a_crash_forgets_what_waits(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, write(1), Send(1, note(1)))
    slow.disk.complete(0)
    tell(rig, 0, write(2), Send(1, note(2)))
    tell(rig, 0, write(3), Send(1, note(3)))
    rig.crash(0)  # the disk says after this that the write was made
    rig.run(0.1)
    rig.start(0)
    rig.run(0.1)
    assert left(rig) == [(1, 1)]
    assert rig.machine(0).safety.highest_vote_round == 1
    tell(rig, 0, Send(1, note(4)))
    assert left(rig) == [(1, 1), (4, 1)], "nothing of the former life holds it up"
    tell(rig, 0, write(5), Send(1, note(5)))
    tell(rig, 0, Send(1, note(6)))
    slow.disk.complete(0)
    assert left(rig) == [(1, 1), (4, 1), (5, 5), (6, 5)]


@of("outlet")
def test_a_late_word_of_the_former_life_releases_nothing_of_the_next(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, write(1), Send(1, note(1)))
    ((_, _, done),) = slow.disk.under_way
    rig.crash(0)
    rig.start(0)
    tell(rig, 0, write(2), Send(1, note(2)))
    done()
    assert left(rig) == []
    slow.disk.complete(0)
    assert left(rig) == [(2, 2)]


@of("outlet")
def test_nodes_do_not_wait_for_one_another(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, write(1), Send(2, note(1)))
    tell(rig, 1, Send(2, note(2)))
    tell(rig, 2, write(3), Send(1, note(3)))
    slow.disk.complete(2)
    rig.run(0.1)
    assert (heard(rig, 2), heard(rig, 1)) == ([2], [3])
    assert left(rig) == []


@of("outlet", "reads")
def test_a_read_that_waits_is_answered_without_another_event(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, persist(BLOCKS, BLOCKS[:3]))
    slow.disk.complete(0)
    tell(rig, 0, write(1), ASKED)
    rig.run(0.2)
    assert reads(rig) == []
    slow.disk.complete(0)
    rig.run(0.2)
    assert reads(rig) == [BlocksRead(3, 7, tuple(BLOCKS[:2]))]


@of("outlet", "reads")
def test_other_events_may_come_before_the_answer(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, persist(BLOCKS, BLOCKS[:3]))
    slow.disk.complete(0)
    tell(rig, 0, write(1), ASKED)
    tell(rig, 1, Send(0, note(1)))
    rig.run(0.2)
    tell(rig, 0, write(2))
    slow.disk.complete(0)
    slow.disk.complete(0)
    rig.run(0.2)
    assert heard(rig, 0) == [1]
    assert reads(rig) == [BlocksRead(3, 7, tuple(BLOCKS[:2]))]


@of("outlet", "reads")
def test_a_read_that_a_crash_leaves_open_disturbs_nothing(driver: type[Rig], slow: Slow) -> None:
    rig = slow.rig
    tell(rig, 0, persist(BLOCKS, BLOCKS[:3]))
    slow.disk.complete(0)
    tell(rig, 0, write(1), ASKED)
    slow.disk.complete(0)
    rig.crash(0)
    tell(rig, 1, Send(2, note(1)))
    rig.run(0.2)
    assert heard(rig, 2) == [1]


def test_every_driver_with_an_outlet_is_in_the_list() -> None:
    assert {SimulatorRig, DistAlgoRig, TinyRig} <= {rig for rig in RIGS if rig.outlet}
