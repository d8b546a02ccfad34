"""Chained HotStuff and its two-chain variant under test: what holds, and what an early commit rule breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.errors import InputError
from diembft.judge.verdict import Verdict
from diembft.machine.effects import Broadcast, Commit, Send
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.protocols.cast import cast_of
from diembft.protocols.hotstuff.messages import GENESIS, GENESIS_QC, QC, TC, News, Proposal, Timeout, Vote, block_of
from diembft.protocols.hotstuff.protocol import FAST_HOTSTUFF, HOTSTUFF, Chained
from diembft.protocols.hotstuff.replica import FastHotStuff, GapCommit, HotStuff, Replica, extends
from diembft.protocols.interface import Leaders
from diembft.trace import records
from diembft.trace.files import read_trace, write_trace
from diembft.twins.campaigns.account import account
from diembft.twins.runs.judging import run
from diembft.twins.runs.oracles import ORACLES
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario
from tests.protocols.neutrality import assert_neutral

GAP = """
scenario gap: replicas=a,b,c,d twins=a' gst=7 bugs=gap_commit protocol=fast-hotstuff
  1: d leads a,b,c,d,a'
  2: d leads a,b,c,a'|d
  3: c leads a,b,c,d,a'
  4: c leads a,c|b,d,a'
  5: a leads a,b,c,d,a'
  6: b leads a,b|c,d,a'
  7: c leads a,b,c,d,a'
"""
"""Found in a sample and minimised. b commits the block of round 1 by a certificate of round 5 on it, c that of round 3
by one of round 7: two branches, each certified while those who extend the other do not know it."""


def replica_of(kind: type[Replica], me: int = 0, leader: int = 1) -> Replica:
    leaders = Leaders()
    leaders[0] = leader
    replica = kind(me, 4, "abcd"[me], leaders, 1.0)
    replica.step(Started())
    return replica


def certified(rounds: list[int], signers: tuple[int, ...] = (1, 2, 3)) -> list[QC]:
    """A chain of blocks of these rounds on genesis, and the certificate of each."""
    qcs = [GENESIS_QC]
    for round_ in rounds:
        qcs.append(QC(round_, block_of(1, round_, "b", qcs[-1]), signers))
    return qcs


def committed(effects: list[object]) -> list[int]:
    return [effect.block.round for effect in effects if isinstance(effect, Commit)]


def learn(replica: Replica, qc: QC) -> list[object]:
    """Let a replica learn of a certificate by an answer."""
    return replica.step(Received(1, News(1, qc, None)))


@pytest.mark.parametrize(
    ("kind", "rounds", "expected"),
    [
        (HotStuff, [1, 2], []),
        (HotStuff, [1, 2, 3], [1]),
        (HotStuff, [1, 2, 3, 4], [1, 2]),
        (HotStuff, [1, 2, 4], []),
        (HotStuff, [1, 3, 4], []),
        (FastHotStuff, [1], []),
        (FastHotStuff, [1, 2], [1]),
        (FastHotStuff, [1, 3], []),
        (FastHotStuff, [1, 3, 4], [1, 3]),
        (GapCommit, [1, 3], [1]),
    ],
)
def test_what_a_chain_commits(kind: type[Replica], rounds: list[int], expected: list[int]) -> None:
    replica = replica_of(kind)
    commits = []
    for qc in certified(rounds)[1:]:
        commits += committed(learn(replica, qc))
    assert commits == expected


def test_a_certificate_without_a_quorum_is_not_learnt() -> None:
    replica = replica_of(HotStuff)
    learn(replica, certified([1], (1, 2, 2))[-1])
    assert replica.high_qc == GENESIS_QC
    assert replica.current_round == 1


def test_a_lock_keeps_from_a_branch_that_is_no_higher() -> None:
    replica = replica_of(HotStuff)
    _, _, qc2 = certified([1, 2])
    learn(replica, qc2)
    assert replica.locked == qc2.block.parent
    other = QC(1, block_of(1, 1, "other", GENESIS_QC), (1, 2, 3))
    assert not replica.is_safe(block_of(1, 3, "b", other), None)
    assert replica.is_safe(block_of(1, 3, "b", qc2), None)
    higher = QC(2, block_of(1, 2, "other", other), (1, 2, 3))
    assert replica.is_safe(block_of(1, 3, "b", higher), None)


def test_a_block_after_timeouts_must_extend_the_highest_that_they_knew() -> None:
    replica = replica_of(FastHotStuff)
    _, qc1 = certified([1])
    assert replica.is_safe(block_of(1, 3, "b", qc1), TC(2, 1, (1, 2, 3)))
    assert not replica.is_safe(block_of(1, 3, "b", GENESIS_QC), TC(2, 1, (1, 2, 3)))
    assert not replica.is_safe(block_of(1, 3, "b", GENESIS_QC), None)


def test_it_votes_once_in_a_round_and_not_after_its_timeout() -> None:
    first, second = block_of(1, 1, "b", GENESIS_QC), block_of(1, 1, "b'", GENESIS_QC)
    replica = replica_of(HotStuff)
    assert Send(1, Vote(first, 0)) in replica.step(Received(1, Proposal(first, None)))
    assert replica.step(Received(1, Proposal(second, None))) == []
    replica = replica_of(HotStuff)
    replica.step(TimerFired(Timer.ROUND, 1))
    assert replica.step(Received(1, Proposal(first, None))) == []


def test_only_a_repeated_timeout_is_answered() -> None:
    replica = replica_of(HotStuff)
    learn(replica, certified([1])[-1])
    timeout = Timeout(1, GENESIS_QC, None, 2, again=False)
    assert replica.step(Received(2, timeout)) == []
    repeated = Timeout(1, GENESIS_QC, None, 2, again=True)
    assert replica.step(Received(2, repeated)) == [Send(2, News(1, replica.high_qc, None))]


def test_a_quorum_of_timeouts_ends_a_round() -> None:
    replica = replica_of(HotStuff)
    effects = replica.step(TimerFired(Timer.ROUND, 1))
    assert Broadcast(Timeout(1, GENESIS_QC, None, 0, again=False)) in effects
    replica.step(Received(2, Timeout(1, GENESIS_QC, None, 2, again=False)))
    assert replica.current_round == 1
    replica.step(Received(3, Timeout(1, GENESIS_QC, None, 3, again=False)))
    assert replica.current_round == 2
    assert replica.tc == TC(1, 0, (0, 2, 3))


def test_a_fork_goes_its_own_way() -> None:
    replica = replica_of(HotStuff)
    fork = replica.fork()
    learn(fork, certified([1])[-1])
    assert (replica.current_round, fork.current_round) == (1, 2)
    assert extends(fork.high_qc.block, GENESIS)


@pytest.mark.parametrize("protocol", [HOTSTUFF, FAST_HOTSTUFF], ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("quorum", [False, True])
def test_a_sample_holds(protocol: Chained, quorum: bool) -> None:
    space = Space(replicas=4, faulty=1, sets=2, rounds=6, quorum=quorum, protocol=protocol.name)
    decided = set()
    for rank in space.ranks(0, 100, seed=2):
        judgement = run(space.scenario(rank))
        assert judgement.violations == ()
        assert not judgement.breaks_promise
        decided.update([finding.oracle for finding in judgement.findings if finding.verdict is Verdict.HELD])
    assert decided == ORACLES.keys() - {"durability", "accountability"}


def test_a_commit_rule_without_consecutive_rounds_is_found_in_a_sample() -> None:
    space = Space(replicas=4, faulty=0, sets=2, rounds=16, quorum=True, protocol="fast-hotstuff", bugs=("gap_commit",))
    violated = [rank for rank in space.ranks(0, 100, seed=1) if run(space.scenario(rank)).violations]
    assert violated


def test_only_the_commit_rule_makes_the_difference() -> None:
    scenario = parse_scenario(GAP)
    assert run(scenario).violations[0].oracle == "agreement"
    assert run(parse_scenario(GAP.replace(" bugs=gap_commit", ""))).violations == ()
    assert (
        run(parse_scenario(GAP.replace(" bugs=gap_commit", "").replace("fast-hotstuff", "hotstuff"))).violations == ()
    )


def test_a_trace_shows_it_in_neutral_terms(tmp_path: Path) -> None:
    judgement, trace = traced(parse_scenario(GAP.replace("4: c leads a,c|b,d,a'", "4: c leads a,c,d|b,a'")))
    head = trace[0]
    assert isinstance(head, records.Header)
    assert (head.protocol, head.quorum, head.chain, head.detail) == ("fast-hotstuff", 3, 2, {})
    sent = [record.message for record in trace if isinstance(record, records.Sent)]
    assert {message.kind for message in sent} >= {"proposal", "vote", "timeout", "answer"}
    left = [one for message in sent for one in message.certificates if one.block is None]
    assert left
    assert all(len(one.signers) == len(one.high_rounds) == 3 for one in left)
    committed = [record for record in trace if isinstance(record, records.Committed)]
    assert committed
    for record in committed:
        assert len(record.certificate.signers) == 3
        assert record.certificate.commits is not None
    write_trace(tmp_path / "trace.jsonl", trace)
    assert list(read_trace(tmp_path / "trace.jsonl")) == trace
    assert account(parse_scenario(GAP), judgement, trace)
    assert_neutral(trace, tmp_path)


def test_too_many_twins_break_it() -> None:
    space = Space(replicas=4, faulty=2, sets=2, rounds=5, leaders="twins", protocol="fast-hotstuff")
    oracles = {
        finding.oracle for rank in space.ranks(0, 400, seed=1) for finding in run(space.scenario(rank)).violations
    }
    assert "agreement" in oracles


def test_a_system_takes_only_what_it_has() -> None:
    cast = cast_of(("a", "b", "c", "d"), ())
    for bugs, crypto in ((("nope",), "symbolic"), (("gap_commit", "nope"), "symbolic"), ((), "ed25519")):
        with pytest.raises(InputError, match=r"^(bugs|crypto): "):
            FAST_HOTSTUFF.system(cast, bugs, crypto=crypto)  # type: ignore[arg-type]  # a wrong one, on purpose
