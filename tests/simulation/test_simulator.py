"""The driver: order of events, crashes, pauses, partitions, timers; with scripted nodes and with real ones."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from diembft.client.client import Client, ClientConfig, Flood
from diembft.client.requests import session_of
from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Checkpoint,
    Commit,
    Effect,
    Equivocation,
    Ignored,
    ReadBlocks,
    Reason,
    Rejected,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Connected, Event, Requests, Started, Timer, TimerFired
from diembft.crypto.symbolic import client_signer
from diembft.host.assembly import ClientSpec, header, key_value_machine, replica_node
from diembft.host.keys import make_keys
from diembft.host.watch import Watch
from diembft.messages.types import OK, Message
from diembft.simulation.network import Conditions, Constant, SeededNetwork, Uniform
from diembft.simulation.schedule import (
    Change,
    Crash,
    Heal,
    Incident,
    Partition,
    Pause,
    Restart,
    Resume,
    Stabilise,
)
from diembft.simulation.simulator import Simulator
from diembft.trace import diembft as neutral
from diembft.trace import records
from diembft.trace.records import Record
from tests.making import reply_to

from .chains import DIGESTS, GENESIS, chain, persist
from .scripted import Script, Stage, note


def at_start(effects: dict[int, list[Effect]]) -> Script:
    """Every node does this when it starts, and nothing else."""

    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        return effects.get(node, []) if isinstance(event, Started) and now_s == 0 else []

    return script


def silent(node: int, now_s: float, event: Event) -> list[Effect]:
    return []


# --- messages


def test_the_first_event_is_started() -> None:
    stage = Stage(silent).run()
    assert stage.events == [(0.0, node, Started()) for node in range(3)]
    assert stage.recovered == [(0, None), (1, None), (2, None)]


def test_send_and_broadcast() -> None:
    stage = Stage(at_start({0: [Send(1, note(1)), Broadcast(note(2)), Send(0, note(3))]})).run()
    assert [stage.heard(node) for node in range(3)] == [[], [(1.0, 0, 1), (1.0, 0, 2)], [(1.0, 0, 2)]]
    assert [record.to for record in stage.records if isinstance(record, records.Sent)] == [
        ("node1",),
        ("node1", "node2"),
    ], "a copy to oneself is not recorded"


def test_messages_reach_every_copy_of_an_identity_but_the_sender() -> None:
    effects: list[Effect] = [Send(0, note(1)), Broadcast(note(2)), Send(1, note(3))]
    stage = Stage(at_start({0: effects}), (0, 1, 0, 1)).run()
    heard = [[number for _, _, number in stage.heard(node)] for node in range(4)]
    assert heard == [[], [2, 3], [1, 2], [2, 3]]


def test_at_equal_times_incidents_precede_deliveries_and_deliveries_timers() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started) and now_s == 0:
            return [SetTimer(Timer.ROUND, 1.0, 7), Send(2, note(node))]
        return []

    stage = Stage(script, schedule=(Pause(1.0, 2),)).run()
    after = [record for record in stage.records if record.at == 1.0]  # type: ignore[union-attr]
    assert isinstance(after[0], records.Paused)
    assert [type(record) for record in after[1:]] == [records.Fired, records.Fired], "what reaches node 2 waits"
    stage = Stage(script).run()
    assert [type(event) for at_s, node, event in stage.events if (at_s, node) == (1.0, 2)][-1] is TimerFired


def test_deliveries_follow_the_order_of_sending_whatever_path_they_take() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        return [Broadcast(note(10 + node)), Broadcast(note(20 + node))] if isinstance(event, Started) else []

    queued = Stage(script).run()
    heaped = Stage(script, conditions=Conditions(latency=Uniform(1.0, 1.0))).run()
    assert queued.events == heaped.events
    assert queued.records == heaped.records


def test_a_shorter_delay_lets_later_messages_overtake() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started) and node == 0:
            return [SetTimer(Timer.ROUND, 0.5, 1), Send(1, note(1))]
        return [Send(1, note(2))] if isinstance(event, TimerFired) else []

    change = Change(0.4, Conditions(latency=Constant(0.1)))
    assert Stage(script, schedule=(change,)).run().heard(1) == [(0.6, 0, 2), (1.0, 0, 1)]


def test_loss_and_duplication_are_recorded() -> None:
    lost = Stage(at_start({0: [Send(1, note(1))]}), conditions=Conditions(loss=1.0)).run()
    assert lost.heard(1) == []
    assert [record for record in lost.records if isinstance(record, records.Dropped)] == [
        records.Dropped(0.0, 1, "node1", "loss")
    ]
    assert (lost.simulator.figures.sent, lost.simulator.figures.dropped) == (1, 1)
    twice = Stage(at_start({0: [Send(1, note(1))]}), conditions=Conditions(duplication=1.0)).run()
    assert [number for _, _, number in twice.heard(1)] == [1, 1]


def test_why_a_message_came_to_nothing_is_recorded() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started):
            return [Send(1, note(1))] if node == 0 else []
        return [Ignored(Reason.STALE), Rejected(Reason.BAD_QC), Ignored(Reason.FULL)]

    delivered = [record for record in Stage(script).run().records if isinstance(record, records.Delivered)]
    assert delivered == [records.Delivered(1.0, "node1", 1, Reason.BAD_QC.value, Reason.STALE.value)]


# --- timers


def test_a_timer_repeats_what_it_was_set_with() -> None:
    stage = Stage(at_start({1: [SetTimer(Timer.FETCH, 2.0, 9)]})).run()
    assert stage.events[-1] == (2.0, 1, TimerFired(Timer.FETCH, 9, 2000))


def test_kinds_of_timers_are_independent_and_clocks_differ() -> None:
    effects: list[Effect] = [
        SetTimer(Timer.ROUND, 2.0, 1),
        SetTimer(Timer.REST, 3.0, 2),
        SetTimer(Timer.FETCH, 4.0, 3),
        CancelTimer(Timer.REST),
        SetTimer(Timer.ROUND, 5.0, 4),
    ]
    stage = Stage(at_start({0: effects}), clock_rates={0: 1.5}).run()
    assert stage.events[3:] == [(6.0, 0, TimerFired(Timer.FETCH, 3, 6000)), (7.5, 0, TimerFired(Timer.ROUND, 4, 7500))]


# --- crashes and pauses


def test_a_crashed_node_hears_nothing_and_its_timers_stop() -> None:
    script = at_start({0: [SetTimer(Timer.ROUND, 2.0, 1)], 1: [Send(0, note(1))]})
    stage = Stage(script, schedule=(Crash(0.5, 0), Crash(0.6, 0))).run()
    assert stage.heard(0) == []
    assert [record for record in stage.records if isinstance(record, records.Dropped | records.Crashed)] == [
        records.Crashed(0.5, "node0"),
        records.Dropped(1.0, 1, "node0", "crashed"),
    ]
    assert not any(isinstance(event, TimerFired) for _, _, event in stage.events)
    assert stage.simulator.figures.crashes == 1


def test_a_restarted_node_has_what_it_persisted_and_nothing_else() -> None:
    first, second = chain(2)

    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started) and node == 0 and now_s == 0:
            return [
                persist([first, second], [first], ledger={"some": "ledger"}),
                Commit(1, first, GENESIS.qc, b"state", ()),
            ]
        return []

    stage = Stage(script, schedule=(Restart(1.0, 0), Crash(2.0, 0), Restart(3.0, 0))).run()
    assert [node for node, _ in stage.recovered] == [0, 1, 2, 0], "a node that runs is not restarted"
    recovered = stage.recovered[-1][1]
    assert recovered is not None
    assert (recovered.committed, recovered.pending) == ((first,), (second,))
    assert recovered.checkpoint == Checkpoint(GENESIS.qc, 1, b"state", {"some": "ledger"})
    assert stage.events[-1] == (3.0, 0, Started(3000))
    assert stage.simulator.figures.restarts == 1


def test_a_crash_in_mid_step_keeps_what_the_step_persisted_and_committed() -> None:
    (block,) = chain(1)

    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, TimerFired):
            if event.round == 1:
                return [Send(1, note(1)), SetTimer(Timer.ROUND, 1.0, 2)]
            return [
                persist([block], [block], ledger="ledger"),
                Commit(1, block, GENESIS.qc, b"state", ()),
                Send(1, note(2)),
                SetTimer(Timer.ROUND, 1.0, 3),
            ]
        return [SetTimer(Timer.ROUND, 1.0, 1)] if node == 0 and now_s == 0 else []

    stage = Stage(script, schedule=(Crash(0.5, 0, mid_step=True), Restart(9.0, 0))).run()
    assert stage.heard(1) == [(2.0, 0, 1)], (
        "a step without Persist is whole, and nothing was sent in the one that had one"
    )
    assert [record.at for record in stage.records if isinstance(record, records.Crashed | records.Committed)] == [
        2.0,
        2.0,
    ]
    recovered = stage.recovered[-1][1]
    assert recovered is not None
    assert recovered.committed == (block,)
    assert recovered.checkpoint is not None
    assert recovered.checkpoint.ledger == "ledger"


def test_a_crash_to_come_is_forgotten_at_the_restart() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, TimerFired):
            return [persist([], []), Send(1, note(1))]
        return [SetTimer(Timer.ROUND, 5.0, 1)] if node == 0 else []

    stage = Stage(script, schedule=(Crash(1.0, 0, mid_step=True), Restart(2.0, 0))).run()
    assert stage.heard(1) == [(6.0, 0, 1)]
    assert stage.simulator.figures.crashes == 0


FIRST: tuple[list[Effect], ...] = ([SetTimer(Timer.ROUND, 1.5, 1)], [Send(0, note(1))], [])
"""What nodes do when they start, in the tests of pauses."""


def test_what_reaches_a_paused_node_waits_in_order() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        return FIRST[node] if isinstance(event, Started) else []

    stage = Stage(script, schedule=(Pause(0.5, 0), Pause(0.6, 0), Resume(4.0, 0), Resume(5.0, 0))).run()
    assert [(at_s, type(event)) for at_s, node, event in stage.events if node == 0][1:] == [
        (4.0, type(stage.events[3][2])),
        (4.0, TimerFired),
    ]
    assert stage.heard(0) == [(4.0, 1, 1)]
    assert [type(record) for record in stage.records if isinstance(record, records.Paused | records.Resumed)] == [
        records.Paused,
        records.Resumed,
    ]


def test_a_timer_that_a_waiting_message_cancels_does_not_fire_after_a_pause() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started):
            return FIRST[node]
        return [CancelTimer(Timer.ROUND)] if node == 0 and now_s == 4.0 else []

    stage = Stage(script, schedule=(Pause(0.5, 0), Resume(4.0, 0))).run()
    assert not any(isinstance(event, TimerFired) for _, _, event in stage.events)


def test_a_paused_node_that_crashes_loses_what_waits() -> None:
    script = at_start({0: [SetTimer(Timer.ROUND, 1.5, 1)], 1: [Send(0, note(1))]})
    stage = Stage(script, schedule=(Pause(0.5, 0), Crash(3.0, 0), Resume(4.0, 0), Restart(5.0, 0), Pause(9.0, 0))).run()
    assert stage.heard(0) == []
    assert records.Dropped(3.0, 1, "node0", "crashed") in stage.records
    assert not any(isinstance(event, TimerFired) for _, _, event in stage.events)


def test_a_node_that_crashes_while_it_works_off_what_waits() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started):
            return [Send(0, note(1)), Send(0, note(2))] if node == 1 else [SetTimer(Timer.ROUND, 1.5, 1)]
        return [persist([], [])] if node == 0 else []

    stage = Stage(script, schedule=(Pause(0.5, 0), Crash(0.6, 0, mid_step=True), Resume(4.0, 0))).run()
    assert stage.heard(0) == [(4.0, 1, 1)]
    assert records.Dropped(4.0, 2, "node0", "crashed") in stage.records


# --- partitions and connections


def test_a_partition_and_its_healing() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started):
            return [SetTimer(Timer.ROUND, 1.0, 1)] if node == 0 else []
        if isinstance(event, TimerFired):
            return [Broadcast(note(event.round)), SetTimer(Timer.ROUND, 1.0, event.round + 1)]
        return []

    schedule: tuple[Incident, ...] = (Partition(0.5, ((0, 1), (2,))), Heal(2.5), Stabilise(3.0, 1.0))
    stage = Stage(script, schedule=schedule).run(5.5)
    assert stage.heard(1) == [(2.0, 0, 1), (3.0, 0, 2), (4.0, 0, 3), (5.0, 0, 4)]
    assert stage.heard(2) == [(4.0, 0, 3), (5.0, 0, 4)]
    told = [record for record in stage.records if isinstance(record, records.Partitioned | records.Synchronous)]
    assert told == [
        records.Partitioned(0.5, (("node0", "node1"), ("node2",))),
        records.Partitioned(2.5, (("node0", "node1", "node2"),)),
        records.Synchronous(3.0, 1.0),
    ]


@pytest.mark.parametrize("notice", [False, True])
def test_connections_are_noticed_if_asked_for(notice: bool) -> None:
    schedule: tuple[Incident, ...] = (
        Partition(1.0, ((0, 1), (2,))),
        Heal(2.0),
        Crash(3.0, 1),
        Pause(3.5, 2),
        Restart(4.0, 1),
    )
    stage = Stage(silent, schedule=schedule, notice_connections=notice).run()
    noticed = [(at_s, node, event.peer) for at_s, node, event in stage.events if isinstance(event, Connected)]
    healed = [(2.0, 0, 2), (2.0, 1, 2), (2.0, 2, 0), (2.0, 2, 1)]
    assert noticed == ([*healed, (4.0, 0, 1)] if notice else []), "a paused node notices nothing"


# --- other effects


def test_blocks_are_read_from_storage_at_once() -> None:
    blocks = chain(3)

    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Started) and node == 0:
            read = ReadBlocks(2, 5, blocks[0].id, 1, 1000)
            return [persist(blocks, blocks), read, ReadBlocks(1, 6, b"?", 1, 1000), Send(1, note(1))]
        return []

    stage = Stage(script).run()
    answers = [(at_s, event) for at_s, _, event in stage.events if isinstance(event, BlocksRead)]
    assert answers == [(0.0, BlocksRead(2, 5, (blocks[1],))), (0.0, BlocksRead(1, 6, ()))]
    assert [record.count for record in stage.records if isinstance(record, records.BlocksRead)] == [1, 0]
    assert stage.simulator.figures.fetches == 1


def test_evidence_is_recorded() -> None:
    first, second = note(1), note(2)
    stage = Stage(at_start({0: [Equivocation(2, first, second)]})).run()
    assert (
        records.Evidence(0.0, "node0", "equivocation", 2, (neutral.message(first), neutral.message(second)))
        in stage.records
    )
    assert stage.simulator.figures.evidence == 1


REPLY = reply_to("client0", 0, b"")


def a_client(count: int = 1, timeout_s: float = 50.0, start_s: float = 0.0) -> ClientSpec:
    config = ClientConfig(client="client0", n=3, workload=Flood(), count=count, timeout_s=timeout_s)
    return ClientSpec(Client(config, client_signer("client0"), DIGESTS, lambda number: b"%d" % number), start_s)


def test_requests_reach_all_nodes_and_replies_their_client() -> None:
    def script(node: int, now_s: float, event: Event) -> list[Effect]:
        if isinstance(event, Requests):
            (request,) = event.requests
            digest = msgspec.structs.replace(REPLY, number=request.number)
            return [SendReply(digest), SendReply(reply_to("somebody", 0, b""))]
        return []

    stage = Stage(script, clients=[a_client(start_s=2.0)])
    stage.simulator.run_until_clients_end()
    assert stage.simulator.clients_ended
    assert stage.simulator.now_s == 4.0
    assert [(at_s, node) for at_s, node, event in stage.events if isinstance(event, Requests)] == [
        (3.0, 0),
        (3.0, 1),
        (3.0, 2),
    ]
    accepted = [record for record in stage.records if isinstance(record, records.Accepted | records.WorkloadEnded)]
    assert accepted == [
        records.Accepted(4.0, "client0", 0, OK, 2.0, session_of("client0")),
        records.WorkloadEnded(4.0, "client0", False),
    ], "the reply names another operation, so the request was not executed"


def test_a_client_gives_up_at_its_deadline() -> None:
    stage = Stage(silent, clients=[a_client(timeout_s=7.0)])
    stage.simulator.run_until_clients_end()
    assert stage.simulator.now_s == 7.0
    stage.simulator.run_until_clients_end()
    assert stage.simulator.now_s == 7.0, "there is nothing left to wait for"


# --- running on and stopping


def test_a_run_goes_on_where_it_was_stopped() -> None:
    script = at_start({0: [Send(1, note(1)), SetTimer(Timer.ROUND, 5.0, 1)]})
    stage = Stage(script).run(0.5)
    assert stage.simulator.now_s == 0.5
    assert stage.heard(1) == []
    stage.run(5.5)
    assert stage.events == Stage(script).run().events
    assert Stage(silent).run(3.0).simulator.now_s == 3.0


def test_stop_ends_the_run_after_the_event() -> None:
    stage = Stage(at_start({0: [Send(1, note(1)), Send(2, note(2))]}))
    stage.simulator.call_at(0.5, stage.simulator.stop)
    stage.run()
    assert stage.simulator.now_s == 0.5
    assert stage.heard(1) == []


# --- real replicas


class World:
    """Four real replicas, watched."""

    def __init__(
        self, conditions: Conditions, schedule: tuple[Incident, ...] = (), *, seed: int = 1, keep: bool = True
    ) -> None:
        config = Config(n=4, rest=False, delta_s=conditions.longest_s)
        keys = make_keys("symbolic", 4, (), 0)
        machine = key_value_machine()
        nodes = [replica_node(config, replica, keys, machine, can_be_tampered_with=True) for replica in range(4)]
        self.watch = Watch(header(config, nodes, keys), keep=keep, judge=keep)
        network = SeededNetwork(4, conditions, Random(seed))
        self.simulator = Simulator(config, nodes, network, schedule=schedule, observe=self.watch.observer)


WILD = Conditions(latency=Uniform(0.01, 0.1), loss=0.05, duplication=0.1, reordering=0.1)
FAULTS = (
    Crash(1.0, 0),
    Restart(3.0, 0),
    Partition(4.0, ((0, 1), (2, 3))),
    Heal(6.0),
    Pause(7.0, 2),
    Resume(8.0, 2),
)


def test_every_message_has_its_fate_in_the_record() -> None:
    world = World(WILD, FAULTS)
    world.simulator.run_until_height(100)
    assert world.watch.violations == []
    sent: dict[int, records.Sent] = {}
    fates: dict[tuple[int, str], list[str]] = {}
    last_s = 0.0
    for record in world.watch.records[1:]:
        assert not isinstance(record, records.Header)
        assert record.at >= last_s
        last_s = record.at
        match record:
            case records.Sent():
                assert record.number not in sent
                sent[record.number] = record
            case records.Delivered(node=node, number=number):
                fates.setdefault((number, node), []).append("delivered")
            case records.Dropped(number=number, to=to, reason=reason):
                fates.setdefault((number, to), []).append(reason)
            case _:
                pass
    assert set(fates) <= {(number, to) for number, record in sent.items() for to in record.to}
    for record in sent.values():
        for to in record.to:
            fate = fates.get((record.number, to))
            assert fate is not None or record.at > last_s - 1.0, "only at the end may a message be under way"
            assert fate is None or len(fate) <= 2
    assert {"loss", "partition", "crashed", "delivered"} <= {word for fate in fates.values() for word in fate}


def test_watching_changes_nothing() -> None:
    watched, unwatched = World(WILD, FAULTS), World(WILD, FAULTS, keep=False)
    for world in (watched, unwatched):
        world.simulator.run_until_height(60)
    assert unwatched.watch.records == []
    assert watched.simulator.figures == unwatched.simulator.figures
    assert watched.simulator.now_s == unwatched.simulator.now_s
    assert watched.simulator.storages[0].recover(5) == unwatched.simulator.storages[0].recover(5)


def test_the_seed_fixes_the_run_and_other_seeds_give_other_runs() -> None:
    def trace(seed: int) -> list[Record]:
        world = World(WILD, FAULTS, seed=seed)
        world.simulator.run_until_height(30)
        return world.watch.records

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_set_attribute_comes_after_the_step_and_is_recorded() -> None:
    world = World(Conditions(latency=Constant(0.1)))
    simulator = world.simulator
    simulator.run(1.0)
    simulator.set_attribute(2, "highest_vote_round", 0)
    simulator.run(1.0)
    after = [record for record in world.watch.records if isinstance(record, records.SetAttribute | records.State)][-2:]
    assert after[0] == records.SetAttribute(1.0, "replica2", "highest_vote_round", 0)
    assert isinstance(after[1], records.State)
    assert (after[1].node, after[1].voted_round) == ("replica2", 0)


def test_leaders_and_rounds_are_as_the_nodes_know_them() -> None:
    world = World(Conditions(latency=Constant(0.1)), (Crash(0.5, 3),))
    world.simulator.run(0.6)
    assert world.simulator.leader(0, 1) == 0
    assert world.simulator.leader(3, 1) is None
    assert world.simulator.round_of(3) == 0
    assert world.simulator.highest_round == max([world.simulator.round_of(node) for node in range(3)]) > 1
    scripted = Stage(silent)
    scripted.run()
    scripted.simulator.set_attribute(0, "leader", 1)
    scripted.run()
    assert scripted.simulator.leader(0, 1) is None


def test_a_message_is_sent_by_its_own_node() -> None:
    world = World(Conditions(latency=Constant(0.1)))
    world.simulator.run_until_height(5)
    senders: dict[str, Message] = {}
    for record in world.watch.records:
        if isinstance(record, records.Sent):
            senders[record.node] = record.message.detail
            assert record.node not in record.to
    assert sorted(senders) == [f"replica{replica}" for replica in range(4)]
