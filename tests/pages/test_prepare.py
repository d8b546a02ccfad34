from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from diembft.errors import InputError
from diembft.pages.data import NONE, PageData
from diembft.pages.prepare import TraceFile, prepare
from diembft.trace.files import write_trace
from diembft.trace.records import (
    BlocksRead,
    Crashed,
    Delivered,
    Evidence,
    Fired,
    Header,
    Partitioned,
    Paused,
    PeerConnected,
    Record,
    Restarted,
    Resumed,
    Sent,
    SetAttribute,
    State,
    Violated,
)
from tests.pages.traces import fault_free, header, replicas, small_quorum, with_faults


def block_named(page: PageData, name: str) -> int:
    return next(index for index, block in enumerate(page.blocks) if block.name == name)


def test_a_fault_free_run() -> None:
    page = prepare(fault_free(rounds=4))
    assert (page.title, page.n, page.quorum, page.passed) == ("fault-free run", 4, 3, True)
    assert [node.short for node in page.nodes] == ["0", "1", "2", "3"]
    assert [band.round for band in page.bands] == [1, 2, 3, 4, 5]
    assert [band.leaders for band in page.bands] == [[0], [1], [2], [3], [0]]
    assert [block.name for block in sorted(page.blocks, key=lambda block: block.round)] == [
        "genesis",
        *("B1", "B2", "B3", "B4"),
    ]
    assert page.stories == []


def test_a_step_is_a_cause_with_what_the_node_did_about_it() -> None:
    page = prepare(fault_free(rounds=2))
    for index, message in enumerate(page.messages):
        for position, delivery in enumerate(message.deliveries):
            step = page.steps[delivery.step]
            assert (step.kind, step.node, step.message, step.delivery) == ("delivered", delivery.to, index, position)
    voting = next(step for step in page.steps if step.kind == "delivered" and step.sent)
    assert page.messages[voting.sent[0]].kind == "vote"
    assert page.steps[0].kind == "started"
    assert page.steps[0].state is not None
    assert page.steps[0].state.round == 1


def test_who_knows_and_who_committed_a_block() -> None:
    page = prepare(fault_free(rounds=3))
    first = page.blocks[block_named(page, "B1")]
    assert page.steps[first.known[0]].at == 0.0
    assert all(page.steps[step].kind == "delivered" for step in first.known[1:])
    assert all(page.steps[step].commits[0].height == 1 for step in first.committed)
    assert page.blocks[block_named(page, "B3")].committed == [NONE] * 4


def test_what_became_of_messages() -> None:
    page = prepare(with_faults())
    (proposal,) = [message for message in page.messages if message.kind == "proposal"]
    fates = {page.nodes[delivery.to].name: (delivery.fate, delivery.reason) for delivery in proposal.deliveries}
    assert fates == {
        "replica1": ("delivered", ""),
        "replica2": ("rejected", "the signature does not verify"),
        "replica3": ("lost", "loss"),
    }
    block = page.blocks[proposal.block]
    assert [step != NONE for step in block.known] == [True, True, False, False]


def test_faults_are_steps() -> None:
    page = prepare(with_faults())
    kinds = [step.kind for step in page.steps]
    assert [kinds.count(kind) for kind in ("crashed", "restarted", "fired", "partitioned", "ended")] == [1, 1, 3, 2, 1]
    assert page.reasons == ["replica1 committed nothing"]
    cut = next(step for step in page.steps if step.kind == "partitioned")
    assert cut.sets == [[0, 1], [2, 3]]


def test_a_node_in_no_set_of_a_partition_is_alone() -> None:
    trace = fault_free(rounds=1)
    trace.insert(-1, Partitioned(0.1, (("replica0", "replica3"), (), ("replica2",))))
    cut = next(step for step in prepare(trace).steps if step.kind == "partitioned")
    assert cut.sets == [[0, 3], [2], [1]]


def test_twins_are_a_pair_and_scripted_sets_belong_to_rounds() -> None:
    page = prepare(small_quorum())
    assert [(node.name, node.replica, node.twin, node.correct) for node in page.nodes[:3]] == [
        ("a", 0, True, False),
        ("a'", 0, True, False),
        ("b", 1, False, True),
    ]
    assert page.replicas == ["a", "b", "c", "d"]
    assert [band.sets for band in page.bands] == [[[0, 2], [1, 3, 4]], [[0, 2], [1, 3, 4]], []]


def test_a_window_begins_with_the_state_at_its_start() -> None:
    trace = fault_free(rounds=9)
    page = prepare(trace, rounds=(4, 6))
    assert [band.round for band in page.bands] == [4, 5, 6]
    assert page.start_states[0] is not None
    assert page.start_states[0].round == 3
    assert page.start_status == ["up"] * 4
    assert page.window.steps_before > 0
    assert page.window.steps_after > 0
    kept = [record for record in trace if not isinstance(record, Header) and page.bands[0].start <= record.at]
    assert len(kept) > sum(len(step.sent) for step in page.steps) > 0
    assert page.blocks[block_named(page, "B1")].committed == [0] * 4


def test_a_violation_noted_after_the_window_is_told() -> None:
    trace = fault_free(rounds=9)
    trace.insert(-1, Violated(trace[-1].at, "agreement", "b and c", ("replica1", "replica2"), 4))  # type: ignore[union-attr]  # it ends with a record
    page = prepare(trace, rounds=(4, 6))
    (story,) = page.stories
    assert (story.property, story.round) == ("agreement", 4)
    assert page.steps[story.step].at == page.bands[-1].end


def test_a_node_whose_state_was_tampered_with_is_faulty_and_leads_no_band() -> None:
    trace = fault_free(rounds=3)
    state = next(record for record in trace if isinstance(record, State) and record.node == "replica2")
    trace[9:9] = [SetAttribute(0.05, "replica2", "leader", 2), structs.replace(state, at=0.05, leader=2)]
    page = prepare(trace)
    assert [node.correct for node in page.nodes] == [True, True, False, True]
    assert [band.leaders for band in page.bands] == [[0], [1], [2], [3]]


@pytest.mark.parametrize(
    ("told", "bugs", "title"),
    [
        ("Scenario split", ("small_quorum", "gap_commit"), "Scenario split, planted: small_quorum, gap_commit"),
        ("scenario of something else", (), "scenario of something else"),
        ("", (), "A run of 4 replicas"),
    ],
)
def test_the_title(told: str, bugs: tuple[str, ...], title: str) -> None:
    trace = fault_free(rounds=1, title=told)
    head = trace[0]
    assert isinstance(head, Header)
    assert prepare([structs.replace(head, bugs=bugs), *trace[1:]]).title == title


def test_the_script_of_a_scenario_stands_on_lines() -> None:
    trace = fault_free(rounds=1)
    head = trace[0]
    assert isinstance(head, Header)
    page = prepare([structs.replace(head, scenario="scenario x: replicas=a,b gst=1; 1: a leads a,b"), *trace[1:]])
    assert page.scenario == "scenario x: replicas=a,b gst=1\n  1: a leads a,b"


def test_a_message_on_its_way_into_the_window_is_shown() -> None:
    trace = fault_free(rounds=9)
    page = prepare(trace, rounds=(4, 6))
    late = [message for message in page.messages if message.step == NONE]
    assert late
    assert all(message.at < page.bands[0].start <= message.deliveries[0].at for message in late)


def test_a_crash_before_the_window_holds_in_it() -> None:
    trace = fault_free(rounds=6)
    trace.insert(1, Crashed(0.0, "replica3"))
    assert prepare(trace, rounds=(3, 4)).start_status == ["up", "up", "up", "crashed"]


def test_what_held_when_the_window_begins_was_set_before() -> None:
    trace = fault_free(rounds=9)
    trace[1:1] = [
        Crashed(0.0, "replica0"),
        Restarted(0.0, "replica0"),
        Paused(0.0, "replica1"),
        Paused(0.0, "replica2"),
        Resumed(0.0, "replica2"),
        Fired(0.0, "replica3", "round", 1),
        Partitioned(0.0, (("replica0", "replica1"), ("replica2", "replica3"))),
    ]
    page = prepare(trace, rounds=(4, 6))
    assert page.start_status == ["up", "paused", "up", "up"]
    cut = next(step for step in page.steps if step.kind == "partitioned")
    assert (cut.at, cut.sets) == (page.bands[0].start, [[0, 1], [2, 3]])


def test_every_event_of_a_node_is_a_step_and_what_it_does_belongs_to_it() -> None:
    trace = fault_free(rounds=1)
    first = next(record for record in trace if isinstance(record, Sent))
    trace[-1:-1] = [
        Paused(0.5, "replica1"),
        Resumed(0.6, "replica1"),
        PeerConnected(0.7, "replica1", "replica2"),
        Restarted(0.8, "replica2"),
        BlocksRead(0.8, "replica2", 0, 3),
        Evidence(0.8, "replica2", "equivocation", 3, (first.message, first.message)),
        Evidence(0.8, "replica2", "divergence", None, ()),
        SetAttribute(0.9, "replica3", "current_round", 7),
    ]
    steps = [step for step in prepare(trace).steps if step.at >= 0.5]
    assert [step.kind for step in steps] == ["paused", "resumed", "connected", "restarted", "set_attribute"]
    assert steps[2].text == "replica2"
    assert steps[3].persisted == "3 blocks read from storage"
    assert steps[3].evidence == [
        "equivocation by replica 3: proposal of round 1, proposal of round 1",
        "divergence",
    ]
    assert steps[4].text == "current_round = 7"


def test_the_whole_and_a_window_agree() -> None:
    trace = fault_free(rounds=9)
    whole, part = prepare(trace), prepare(trace, rounds=(4, 6))
    times = [step.at for step in whole.steps if part.bands[0].start <= step.at < part.bands[-1].end]
    assert times
    assert [step.at for step in part.steps] == times


def test_a_duplicated_message_is_shown_twice() -> None:
    trace = fault_free(rounds=1)
    index, first = next((index, record) for index, record in enumerate(trace) if isinstance(record, Delivered))
    trace.insert(index + 1, structs.replace(first, ignored="already known"))
    page = prepare(trace)
    assert len(page.messages[0].deliveries) == 4
    assert page.messages[0].deliveries[-1].reason == "already known"


def test_a_name_that_the_header_lacks_is_bad_input() -> None:
    trace: list[Record] = [*fault_free(rounds=1), Crashed(9.0, "nobody")]
    with pytest.raises(InputError, match="'nobody', which is no node or client of its header"):
        prepare(trace)


def test_a_trace_on_disk(tmp_path: Path) -> None:
    trace = fault_free(rounds=3)
    write_trace(tmp_path / "trace.jsonl", trace)
    assert prepare(TraceFile(tmp_path / "trace.jsonl")) == prepare(trace)


def test_what_takes_no_virtual_time_is_one_step_and_in_real_time_all_until_the_next_cause() -> None:
    trace = fault_free(rounds=1)
    last = next(record for record in reversed(trace) if isinstance(record, State))
    trace.insert(-1, structs.replace(last, at=0.25, current_round=7))
    assert prepare(trace).steps[-2].kind == "acted"
    head = trace[0]
    assert isinstance(head, Header)
    trace[0] = structs.replace(head, runtime="node")
    page = prepare(trace)
    assert "acted" not in [step.kind for step in page.steps]
    assert [step.state.round for step in page.steps if step.state is not None].count(7) == 1


def test_a_trace_without_nodes() -> None:
    assert prepare([header((), runtime="simulator")]).nodes == []


def test_a_trace_of_nothing_but_its_header() -> None:
    page = prepare([header(replicas(4), runtime="simulator")])
    assert (page.steps, page.messages, page.passed) == ([], [], None)


def test_a_page_holds_what_was_sent(tmp_path: Path) -> None:
    trace = fault_free(rounds=5)
    page = prepare(trace)
    assert [message.number for message in page.messages] == [
        record.number for record in trace if isinstance(record, Sent)
    ]
