"""The executor, against a naive second version of its rules that reads the scenario and the trace alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import msgspec
import pytest

from diembft.errors import InputError
from diembft.messages.types import (
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
    kind_of,
)
from diembft.trace import records
from diembft.trace.records import Record
from diembft.twins.runs.judging import Judgement, run
from diembft.twins.runs.record import TICKS_PER_BOUND, Ending, RunRecord, cast_of, from_trace
from diembft.twins.runs.timed import BOUNDS_AFTER_THE_LAST, TimedRun, execute, time_limit
from diembft.twins.runs.timed_nodes import NEVER
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.scenario import ANY, Drop, Extras, MessageType, Round, Scenario, replica_of
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

DROPS: tuple[MessageType, ...] = ("proposal", "vote", "timeout", "*")
SPACES = {
    "two sets": Space(replicas=4, faulty=1, sets=2, rounds=6),
    "exceptions": Space(replicas=4, faulty=1, sets=2, rounds=5, quorum=True, drops=3, drop_types=DROPS),
    "crashes": Space(replicas=4, faulty=1, sets=3, rounds=5, quorum=True, crashes=True),
    "seven": Space(replicas=7, faulty=2, sets=3, rounds=4, quorum=True),
    "too many twins": Space(replicas=4, faulty=2, sets=3, rounds=4),
    "no synchrony": Space(replicas=4, faulty=1, sets=2, rounds=6, suffix=0),
}
BUGS = ("small_quorum", "no_timeout_lock", "vote_leader_current_round", "long_commit_chain", "stale_leader")


def drawn(name: str, count: int) -> Iterator[Scenario]:
    """Scenarios of a space, some with wildcard exceptions, delayed messages or a planted bug."""
    space = SPACES[name]
    random = Random(name)
    for number, rank in enumerate(space.ranks(0, count, seed=4)):
        scenario = space.scenario(rank)
        if number % 3 == 1:
            at = random.randrange(space.rounds)
            wild = (Drop(ANY, random.choice(scenario.nodes), random.choice(DROPS)),)
            scenario = changed(scenario, at, exceptions=wild)
        elif number % 3 == 2:
            scenario = msgspec.structs.replace(scenario, bugs=(random.choice(BUGS),))
        yield scenario


def changed(scenario: Scenario, index: int, **changes: object) -> Scenario:
    """A scenario with one round changed."""
    rounds = list(scenario.rounds)
    rounds[index] = msgspec.structs.replace(rounds[index], **changes)
    return msgspec.structs.replace(scenario, rounds=tuple(rounds))


def passes(scenario: Scenario, message: Message, sender: str, receiver: str, round_: int, sending: int) -> bool:
    """Whether a message reaches a node at once: one set of its round, less the exceptions; whole after the last."""
    if round_ > len(scenario.rounds):
        return True
    script = scenario.rounds[round_ - 1]
    if not any(sender in group and receiver in group for group in script.partition):
        return False
    for drop in script.exceptions:
        ends = drop.src in (ANY, sender) and drop.dst in (ANY, receiver)
        if ends and drop.msg_type in ("*", kind_of(message)):
            return isinstance(message, TimeoutMsg) and sending >= 3
    return True


def belongs_to(message: Message) -> int:
    """The round of a message, written once more."""
    if isinstance(message, ProposalMsg):
        return message.block.round
    if isinstance(message, VoteMsg):
        return message.vote_info.round
    if isinstance(message, TimeoutMsg):
        return message.tmo_info.round
    return message.round


def of_kind(trace: list[Record], kind: type) -> list:  # type: ignore[type-arg]  # of that kind
    return [record for record in trace if isinstance(record, kind)]


@pytest.mark.parametrize("name", SPACES)
def test_each_message_reaches_exactly_those_that_its_round_lets_it(name: str) -> None:
    kinds: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for scenario in drawn(name, 30):
        tick_s = scenario.delay_bound_s / TICKS_PER_BOUND
        judgement, trace = traced(scenario)
        end_s = judgement.end * tick_s
        sent = {record.number: record for record in of_kind(trace, records.Sent)}
        heard = {(record.number, record.node): record.at for record in of_kind(trace, records.Delivered)}
        lost = {(record.number, record.to): record.reason for record in of_kind(trace, records.Dropped)}
        sendings: Counter[tuple[str, str, int]] = Counter()
        for number, record in sent.items():
            message, round_ = record.message.detail, belongs_to(record.message.detail)
            for receiver in record.to:
                sending = 0
                if isinstance(message, TimeoutMsg):
                    sendings[record.node, receiver, round_] += 1
                    sending = sendings[record.node, receiver, round_]
                key = (number, receiver)
                if passes(scenario, message, record.node, receiver, round_, sending):
                    if key in heard:
                        assert heard[key] == pytest.approx(record.at + tick_s)  # the constant delay
                    else:
                        assert lost.get(key) == "crashed" or record.at + tick_s > end_s
                else:
                    assert key not in heard
                    assert lost[key] in ("partition", "exception")
                    kept[kind_of(message)] += 1
            kinds[kind_of(message)] += 1
    assert {"proposal", "vote", "timeout", "sync_info", "block_request", "block_response"} <= set(kinds)
    assert {"proposal", "vote", "timeout", "sync_info"} <= set(kept)  # every type is subject to the partition


def test_requests_for_blocks_and_their_answers_are_subject_to_the_partition() -> None:
    kept: Counter[str] = Counter()
    for scenario in drawn("two sets", 60):
        trace = traced(scenario)[1]
        sent = {record.number: kind_of(record.message.detail) for record in of_kind(trace, records.Sent)}
        kept.update([sent[record.number] for record in of_kind(trace, records.Dropped)])
    assert kept["block_request"] > 0
    assert kept["sync_info"] > 0


@pytest.mark.parametrize("name", SPACES)
def test_receivers_are_all_copies_of_whom_a_message_is_for(name: str) -> None:
    """Every copy of the one that is addressed, the sender's twin included; all others, if it is broadcast."""
    for scenario in drawn(name, 12):
        copies = {
            frozenset([node for node in scenario.nodes if replica_of(node) == replica]) for replica in scenario.replicas
        }
        for record in of_kind(traced(scenario)[1], records.Sent):
            assert record.node not in record.to
            others = frozenset(scenario.nodes) - {record.node}
            match record.message.detail:
                case ProposalMsg() | TimeoutMsg():
                    assert set(record.to) == others
                case SyncInfo():  # broadcast after a restart
                    assert set(record.to) in [others, *[replica - {record.node} for replica in copies]]
                case _:
                    assert set(record.to) in [replica - {record.node} for replica in copies]


@pytest.mark.parametrize("name", SPACES)
def test_ties_follow_sending_order_and_deliveries_precede_timers(name: str) -> None:
    for scenario in drawn(name, 12):
        trace = traced(scenario)[1]
        events = [record for record in trace if isinstance(record, records.Delivered | records.Fired)]
        for one, other in pairwise(events):
            assert one.at <= other.at + 1e-9
            if abs(one.at - other.at) > 1e-9:
                continue
            match one, other:
                case records.Delivered(), records.Delivered():
                    assert one.number <= other.number
                case records.Fired(), records.Delivered():
                    raise AssertionError(f"a timer fired before a delivery at {one.at}")
                case records.Fired(), records.Fired():
                    assert scenario.nodes.index(one.node) <= scenario.nodes.index(other.node)
                case _:
                    pass


@pytest.mark.parametrize("name", SPACES)
def test_timers_do_not_grow(name: str) -> None:
    for scenario in drawn(name, 12):
        timers = [timer for timer in of_kind(traced(scenario)[1], records.TimerSet) if timer.timer == "round"]
        assert {timer.delay_s for timer in timers} == {5 * scenario.delay_bound_s}


@pytest.mark.parametrize("name", SPACES)
def test_the_record_says_what_the_trace_says(name: str) -> None:
    for scenario in drawn(name, 12):
        trace = traced(scenario)[1]
        cast = cast_of(scenario.replicas, scenario.twins)
        tick_s = scenario.delay_bound_s / TICKS_PER_BOUND
        assert from_trace(trace, cast, tick_s) == execute(scenario)


@pytest.mark.parametrize("name", SPACES)
def test_leaders_are_those_of_the_scenario_and_of_its_last_round_after_it(name: str) -> None:
    for scenario in drawn(name, 12):
        for record in of_kind(traced(scenario)[1], records.Sent):
            if isinstance(record.message.detail, ProposalMsg):
                round_ = record.message.detail.block.round
                script = scenario.rounds[min(round_, len(scenario.rounds)) - 1]
                assert replica_of(record.node) == script.leader


def test_both_copies_of_a_leader_propose_different_payloads() -> None:
    record = execute(
        parse_scenario("scenario: replicas=a,b,c,d twins=d'; 1: d leads a,d|b,c,d'; 2-8: a leads a,b,c,d,d'")
    )
    proposals = [
        (sent.node, sent.message.block)
        for sent in record.sent
        if isinstance(sent.message, ProposalMsg) and sent.message.block.round == 1
    ]
    assert [node for node, _ in proposals] == [3, 4]
    (_, first), (_, second) = proposals
    assert first.author == second.author == 3
    assert [request.client for request in (*first.payload, *second.payload)] == ["d", "d'"]


def test_a_block_is_fetched_by_those_that_missed_it() -> None:
    scenario = parse_scenario("scenario: replicas=a,b,c,d twins=d'; 1-3: a leads a,b,d,d'|c; 4-10: a leads a,b,c,d,d'")
    record = execute(scenario)
    assert any(isinstance(sent.message, BlockRequest) and sent.node == 2 for sent in record.sent)
    assert any(isinstance(sent.message, BlockResponse) and sent.message.blocks for sent in record.sent)
    assert [commit.block.round for commit in record.committed if commit.node == 2][:4] == [1, 2, 3, 4]


# --- rounds that nobody can leave


QUORUMLESS = (
    "scenario: replicas=a,b,c,d twins=d'; 1: a leads a,b,c,d,d'; 2: a leads a,b|c,d,d'; 3-9: a leads a,b,c,d,d'"
)


def test_a_round_in_which_no_set_holds_a_quorum_is_final() -> None:
    """c, d and d' are three nodes and two keys."""
    record = execute(parse_scenario(QUORUMLESS))
    assert record.ending is Ending.STUCK
    assert max(entered.round for entered in record.entered) == 2
    judgement = run(parse_scenario(QUORUMLESS))
    assert not judgement.violations
    assert {"liveness_commit", "liveness_bound"} <= set(judgement.undecided)
    assert not judgement.promises_liveness


def test_what_is_delayed_arrives_when_the_receiver_leaves_the_round() -> None:
    """c is alone in rounds 1 and 2. With delay it gets what was meant for it, one tick after it left each round."""
    scenario = parse_scenario("scenario: replicas=a,b,c,d; 1-2: a leads a,b,d|c; 3-9: a leads a,b,c,d")
    late = Counter[int]()
    for delayed in (False, True):
        trace = traced(scenario, delayed=delayed)[1]
        sent = {record.number: record for record in of_kind(trace, records.Sent)}
        left: dict[int, float] = {}
        for record in trace:
            match record:
                case records.State(node="c"):
                    for round_ in range(1, record.current_round):
                        left.setdefault(round_, record.at)
                case records.Delivered(node="c", number=number) if belongs_to(sent[number].message.detail) <= 2:
                    round_ = belongs_to(sent[number].message.detail)
                    assert delayed
                    assert record.at == pytest.approx(max(left[round_], sent[number].at) + 0.2)
                    late[round_] += 1
                case _:
                    pass
    assert set(late) == {1, 2}


def test_a_round_says_for_itself_what_becomes_of_what_it_keeps_back() -> None:
    scenario = parse_scenario(QUORUMLESS)
    kept = changed(scenario, 1, extras=Extras(undelivered="drop"))
    assert execute(kept, delayed=True).ending is Ending.STUCK
    apart = parse_scenario("scenario: replicas=a,b,c,d; 1: a leads a,b,d|c; 2-8: a leads a,b,c,d")
    sent_late = changed(apart, 0, extras=Extras(undelivered="delay"))
    assert execute(sent_late) == execute(apart, delayed=True) != execute(apart)


# --- exceptions


def test_a_timeout_that_an_exception_drops_passes_on_its_third_sending() -> None:
    for msg_type in ("timeout", "*"):
        scenario = parse_scenario(
            "scenario: replicas=a,b,c,d; 1: a leads a,b,c,d drop=_>_:proposal,_>_:TYPE; 2-8: b leads a,b,c,d".replace(
                "TYPE", msg_type
            )
        )
        trace = traced(scenario)[1]
        sent = {
            record.number: record.at
            for record in of_kind(trace, records.Sent)
            if isinstance(record.message.detail, TimeoutMsg)
            and record.message.detail.tmo_info.round == 1
            and record.node == "a"
        }
        heard = {record.number for record in of_kind(trace, records.Delivered) if record.number in sent}
        times = [pytest.approx(at) for at in (4.0, 8.0, 12.0)]
        assert list(sent.values()) == times
        assert heard == {list(sent)[2]}
        judgement = run(scenario)
        assert not judgement.violations
        assert not judgement.breaks_promise
        assert "liveness_bound" not in judgement.undecided


@pytest.mark.parametrize("msg_type", ["proposal", "vote", "timeout"])
def test_an_exception_drops_its_type_alone(msg_type: str) -> None:
    scenario = parse_scenario(
        f"scenario: replicas=a,b,c,d; 1: a leads a,b,c,d drop=_>b:{msg_type}; 2-8: b leads a,b,c,d"
    )
    trace = traced(scenario)[1]
    kinds = {record.number: kind_of(record.message.detail) for record in of_kind(trace, records.Sent)}
    dropped = {kinds[record.number] for record in of_kind(trace, records.Dropped) if record.reason == "exception"}
    assert dropped <= {msg_type}
    if msg_type != "timeout":
        assert dropped == {msg_type}


# --- crashes


CRASHING = (
    "scenario: replicas=a,b,c,d; 1: a leads a,b,c,d; 2: a leads a,b,c,d crash=c; 3: a leads a,b,c,d; "
    "4: a leads a,b,c,d restart=c; 5-11: a leads a,b,c,d"
)


def test_a_node_crashes_and_starts_again_as_rounds_begin() -> None:
    trace = traced(parse_scenario(CRASHING))[1]
    crashed, restarted = of_kind(trace, records.Crashed), of_kind(trace, records.Restarted)
    assert [record.node for record in (*crashed, *restarted)] == ["c", "c"]
    first_in = {
        round_: min(record.at for record in of_kind(trace, records.State) if record.current_round >= round_)
        for round_ in (2, 4)
    }
    assert (crashed[0].at, restarted[0].at) == (first_in[2], first_in[4])
    for record in trace:
        match record:
            case records.Sent(node="c") | records.Delivered(node="c") | records.Fired(node="c"):
                assert not crashed[0].at < record.at < restarted[0].at
            case _:
                pass


def test_a_node_that_crashed_goes_on_with_what_it_had_persisted() -> None:
    record = execute(parse_scenario(CRASHING))
    committed = [commit.block.round for commit in record.committed if commit.node == 2]
    assert committed == sorted(set(committed))
    assert committed[:3] == [1, 2, 3]
    assert len(record.restarted) == 1
    assert not run(parse_scenario(CRASHING)).violations


@pytest.mark.parametrize(
    ("first", "second"),
    [(" crash=b", " restart=b"), (" crash=b restart=b", ""), (" crash=a,b restart=a", " restart=b")],
)
def test_in_the_first_round_nodes_crash_when_all_have_started(first: str, second: str) -> None:
    rounds = f"1: a leads a,b,c,d,d'{first}; 2: a leads a,b,c,d,d'{second}; 3-9: a leads a,b,c,d,d'"
    scenario = parse_scenario(f"scenario: replicas=a,b,c,d twins=d'; {rounds}")
    judgement, trace = traced(scenario)
    assert judgement.ending is Ending.COMPLETE
    assert not judgement.violations
    assert {record.node for record in of_kind(trace, records.State) if record.at == 0} == set(scenario.nodes)


def test_a_node_that_stays_down_is_not_waited_for() -> None:
    scenario = parse_scenario(
        "scenario: replicas=a,b,c,d; 1: a leads a,b,c,d; 2: a leads a,b,c,d crash=d; 3-9: a leads a,b,c,d"
    )
    judgement = run(scenario)
    assert judgement.ending is Ending.COMPLETE
    assert not judgement.violations
    assert "liveness_bound" not in judgement.undecided  # a, b and c are a quorum


# --- endings


def test_an_execution_ends_when_the_last_round_is_committed_or_seven_bounds_after_it() -> None:
    whole = parse_scenario("scenario: replicas=a,b,c,d twins=d'; 1-5: a leads a,b,c,d,d'")
    record = execute(whole)
    assert record.ending is Ending.COMPLETE
    commits = [commit for commit in record.committed if commit.node in (0, 1, 2)]
    assert {node for node in (0, 1, 2) if any(c.node == node and c.block.round >= 5 for c in commits)} == {0, 1, 2}
    assert record.end == max(commit.tick for commit in commits)
    led_by_nobody = parse_scenario(  # after the script d leads alone with its twin, and every round fails
        "scenario: replicas=a,b,c,d; 1: a leads a,b,c,d; 2: d leads a,b,c,d crash=d"
    )
    slow = execute(led_by_nobody)
    assert slow.ending is Ending.COMPLETE
    passed = max(
        min(entered.tick for entered in slow.entered if entered.node == node and entered.round > 2)
        for node in (0, 1, 2)
    )
    assert slow.end == passed + BOUNDS_AFTER_THE_LAST * TICKS_PER_BOUND


@pytest.mark.parametrize("bugs", [(), ("small_quorum",), ("one_chain_commit",), ("ignore_tc_high_qc", "stale_leader")])
def test_what_the_seven_bounds_would_still_show_has_been_seen(
    bugs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Executions end early, when every correct replica has committed a block of the last round or a later one."""
    space = Space(replicas=4, faulty=1, sets=2, rounds=4, drops=1, drop_types=DROPS, suffix=2, bugs=bugs)
    scenarios = list(map(space.scenario, space.ranks(0, 25, seed=5)))
    early = [run(scenario) for scenario in scenarios]

    def wait_on(self: TimedRun) -> None:
        self._waited_for = -1
        complete = 0 < self.passed == self._up
        self._ends_at = self.now + BOUNDS_AFTER_THE_LAST * TICKS_PER_BOUND if complete else NEVER

    monkeypatch.setattr(TimedRun, "_look_whether_all_passed", wait_on)
    late = [run(scenario) for scenario in scenarios]
    assert [told(judgement) for judgement in early] == [told(judgement) for judgement in late]
    assert sum(judgement.end for judgement in early) < sum(judgement.end for judgement in late)


def test_an_execution_is_stuck_when_every_timer_fired_several_times_and_no_round_changed() -> None:
    record = execute(parse_scenario(QUORUMLESS))
    changed_at = max(entered.tick for entered in record.entered)
    timeouts = [sent.node for sent in record.sent if isinstance(sent.message, TimeoutMsg) and sent.tick > changed_at]
    assert all(Counter(timeouts)[node] >= 3 for node in range(5))
    assert record.end - changed_at <= 6 * 5 * TICKS_PER_BOUND


def test_an_execution_that_takes_too_long_times_out_and_its_safety_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diembft.twins.runs.timed.LIMIT_TIMERS", 0)
    scenario = parse_scenario("scenario: replicas=a,b,c,d twins=d' timeout=2; 1-9: a leads a,b,c,d,d'")
    record = execute(scenario)
    assert (record.ending, record.end) == (Ending.TIMED_OUT, 10)  # 2 s are 2.5 delay bounds
    violating = run(msgspec.structs.replace(scenario, bugs=("small_quorum",)))
    assert violating.ending is Ending.TIMED_OUT
    assert [finding.oracle for finding in violating.violations] == ["quorum_progress"]
    judgement = run(scenario)
    assert not judgement.violations
    assert judgement.breaks_promise


def test_the_limit_is_the_larger_of_the_timeout_and_a_bound_by_the_rounds() -> None:
    def limit(timeout: float, rounds: int) -> int:
        return time_limit(
            parse_scenario(f"scenario: replicas=a,b,c,d bound=0.5 timeout={timeout}; 1-{rounds}: a leads a,b,c,d")
        )

    assert limit(1e6, 10) == 2e6 * TICKS_PER_BOUND
    assert limit(1, 10) == limit(30, 10) < limit(1, 11)


# --- determinism and signatures


def test_ed25519_and_symbolic_signatures_give_the_same_execution() -> None:
    for scenario in (*drawn("exceptions", 3), *drawn("crashes", 3)):
        one, other = execute(scenario), execute(scenario, crypto="ed25519")
        assert shape(one) == shape(other)
        assert told(run(scenario)) == told(run(scenario, crypto="ed25519"))


def shape(record: RunRecord) -> object:
    """What does not depend on signatures."""
    return (
        [(sent.tick, sent.node, kind_of(sent.message), belongs_to(sent.message)) for sent in record.sent],
        [(commit.tick, commit.node, commit.block.round) for commit in record.committed],
        record.entered,
        record.restarted,
        record.ending,
        record.end,
    )


def told(judgement: Judgement) -> list[tuple[str, str, str]]:
    return [(finding.oracle, finding.verdict.value, finding.detail) for finding in judgement.findings]


def test_an_execution_does_not_depend_on_those_before_it() -> None:
    scenarios = list(drawn("exceptions", 10))
    first = [execute(scenario) for scenario in scenarios]
    assert [execute(scenario) for scenario in reversed(scenarios)] == first[::-1]


def test_a_single_validator_and_a_bug_that_there_is_not_are_bad_input() -> None:
    with pytest.raises(InputError, match="a single validator"):
        run(Scenario(replicas=("a",), twins=(), rounds=(Round("a", (("a",),)),), gst=0))
    with pytest.raises(InputError, match="'no_such_bug' is none of"):
        run(parse_scenario("scenario: replicas=a,b,c,d bugs=no_such_bug; 1: a leads a,b,c,d"))
