"""Each property of `judge` by facts made by hand, and that every judge asks the same ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import diembft.judge
from diembft.judge import accountability, agreement, crash, durability, liveness, order, requests, traces, votes
from diembft.judge.certificates import (
    CERTIFIED_UNIQUENESS,
    QUORUM_PROGRESS,
    Certificates,
    CertifiedUniqueness,
    QuorumProgress,
    lacks_quorum,
    rivals,
)
from diembft.judge.commit_chain import CommitChain
from diembft.judge.facts import BlockExecuted, BlockSeen, CertificateSeen, Entered, Numbers, Roster, TimedOut, Voted
from diembft.judge.monotonicity import Monotonicity
from diembft.judge.verdict import Finding, FirstFindings, Report, Verdict
from diembft.judge.votes import Objection, to_timeout, to_vote
from diembft.twins.exhaustion import objections
from diembft.twins.runs import group, oracles, world

NODES = {"a": 0, "b": 1, "c": 2, "d": 3, "d'": 3}
ALL_SIGN = (0, 1, 2)


def roster() -> Roster:
    return Roster(4, NODES, ("a", "b", "c"))


class Everything(Report):
    """All that is found, in order."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def violated(self, finding: Finding) -> None:
        self.findings.append(finding)

    @property
    def details(self) -> list[str]:
        return [finding.detail for finding in self.findings]


def vote(node: str, round_: int, block: bytes, parent_round: int = 0, content: object = None) -> Voted:
    return Voted(node, round_, block, b"genesis", parent_round, content or block)


def commit(node: str, block: bytes, round_: int, parent: bytes = b"genesis", parent_round: int = 0) -> BlockExecuted:
    return BlockExecuted(0.0, node, block, round_, parent, parent_round, executed=((block.decode(), round_),))


# --- one judge


def test_every_judge_asks_the_same_properties() -> None:
    assert len({*oracles.ORACLES, *traces.PROPERTIES}) == 16
    for name in oracles.ORACLES.keys() & traces.PROPERTIES.keys():
        assert oracles.ORACLES[name] is traces.PROPERTIES[name]
    for asked in (*oracles.ORACLES.values(), *traces.PROPERTIES.values()):
        assert asked.__module__.startswith("diembft.judge.")
    of_steps = {**vars(objections), **vars(world), **vars(group)}
    for module in (votes, order, durability, crash):
        assert of_steps[module.__name__.rpartition(".")[2]] is module
    assert of_steps["lacks_quorum"] is lacks_quorum
    assert of_steps["parts"] is agreement.parts
    assert of_steps["rivals"] is rivals


def test_each_property_has_its_name_from_one_module() -> None:
    """No other file of the judges names a property by a word of its own."""
    source = Path(diembft.judge.__file__).parent.parent
    names = {*oracles.ORACLES, *traces.PROPERTIES}
    named: dict[str, list[str]] = {}
    for folder in ("judge", "twins/runs/oracles", "twins/exhaustion"):
        for path in source.glob(f"{folder}/*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in names:
                    named.setdefault(str(node.value), []).append(path.name)
    assert {name for name, places in named.items() if len(places) == 1} == names


def test_what_defines_a_property_knows_no_protocol() -> None:
    for path in Path(diembft.judge.__file__).parent.glob("*.py"):
        text = path.read_text()
        if path.name not in ("diembft.py", "details.py", "neutral.py", "traces.py"):  # the readers
            for room in ("messages", "crypto", "trace", "consensus", "protocols"):
                assert f"diembft.{room}" not in text, path.name


# --- rules


@pytest.mark.parametrize(
    ("round_", "content", "signed", "expected"),
    [
        (1, b"x", (0, None, 0), None),
        (2, b"x", (1, b"y", 1), None),
        (1, b"x", (1, b"x", 1), None),
        (1, b"x", (1, b"y", 0), Objection.TWICE),
        (1, b"x", (2, b"x", 0), Objection.BELOW),
        (1, b"x", (0, None, 1), Objection.AFTER_TIMEOUT),
    ],
)
def test_to_vote(
    round_: int, content: bytes, signed: tuple[int, bytes | None, int], expected: Objection | None
) -> None:
    assert to_vote(round_, content, *signed) is expected


def test_to_timeout() -> None:
    assert to_timeout(3, 2, 3, 2) is None
    assert to_timeout(2, 2, 3, 2) is Objection.BELOW
    assert to_timeout(3, 1, 3, 2) is Objection.FORGETS
    assert accountability.convicts(3, 1, 3, 2)
    assert not accountability.convicts(2, 1, 3, 2)


# --- properties


def test_honest_vote_once_says_each_and_only_of_correct_nodes() -> None:
    found = Everything()
    once = votes.HonestVoteOnce(roster(), found)
    for signed in (vote("a", 1, b"x"), vote("a", 1, b"x"), vote("a", 1, b"y"), vote("d", 1, b"x"), vote("d", 1, b"y")):
        once.voted(signed)
    once.timed_out(TimedOut("b", 2, 0))
    once.voted(vote("b", 2, b"x"))
    assert found.details == ["a voted twice in round 1", "b voted in round 2 after its timeout of it"]


def test_honest_vote_once_what_is_signed_tells_votes_apart_not_the_block() -> None:
    found = Everything()
    once = votes.HonestVoteOnce(roster(), found)
    once.voted(vote("a", 1, b"x", content="one state"))
    once.voted(vote("a", 1, b"x", content="another"))
    assert len(found.findings) == 1


def test_certified_uniqueness_whatever_comes_first() -> None:
    for first in ("votes", "certificate"):
        found = Everything()
        unique = CertifiedUniqueness(roster(), found)
        if first == "certificate":
            unique.seen("c", CertificateSeen(1, b"x", ALL_SIGN))
        for node in ("a", "b", "d"):
            unique.voted(vote(node, 1, b"y"))
        if first == "votes":
            unique.seen("c", CertificateSeen(1, b"x", ALL_SIGN))
        unique.settle()
        assert [(item.oracle, item.nodes) for item in found.findings] == [(CERTIFIED_UNIQUENESS, ("a", "b"))]


def test_a_block_is_certified_by_a_quorum_of_distinct_signers_without_a_fault() -> None:
    found = Everything()
    unique = CertifiedUniqueness(roster(), found)
    unique.seen("a", CertificateSeen(1, b"x", ALL_SIGN))
    unique.seen("a", CertificateSeen(1, b"y", (0, 1, 1)))
    unique.seen("a", CertificateSeen(1, b"y", ALL_SIGN, fault="forged"))
    unique.seen("a", CertificateSeen(1, None, ALL_SIGN))
    assert found.findings == []
    unique.seen("b", CertificateSeen(1, b"y", (1, 2, 3)))
    assert found.details == ["two blocks of round 1 are certified"]


def test_certificates_of_faulty_nodes_need_not_verify() -> None:
    found = Everything()
    certificates = Certificates(roster(), found)
    certificates.seen("d", "sends", CertificateSeen(2, None, (), fault="forged"))
    certificates.seen("a", "sends", CertificateSeen(2, None, (), fault="forged"))
    assert found.details == ["a sends a TC of round 2 that does not verify: forged"]


def test_quorum_progress_counts_signers_and_looks_who_leaves() -> None:
    found = FirstFindings()
    progress = QuorumProgress(roster(), found, 2)
    progress.seen("a", CertificateSeen(0, b"genesis", ()))
    progress.entered("a", 2)
    assert progress.finding() is None
    progress.entered("d'", 4)
    left = progress.finding()
    assert left is not None
    assert (left.detail, left.nodes) == ("d' is in round 4, though no set of round 2 held a quorum", ("d'",))
    progress.seen("a", CertificateSeen(1, b"x", (3, 3)))
    assert "signed by d alone" in found.of[QUORUM_PROGRESS].detail


def test_commit_chain_needs_f_plus_1_votes_for_each() -> None:
    blocks = {b"x1": BlockSeen(1, b"genesis", 0), b"y3": BlockSeen(3, b"genesis", 0)}
    chain = CommitChain(roster(), 2, blocks)
    for node in ("a", "b"):
        chain.voted(Voted(node, 2, b"x2", b"x1", 1, b"x2"))
    chain.voted(Voted("b", 4, b"y4", b"y3", 3, b"y4"))
    assert chain.finding() is None
    chain.voted(Voted("c", 4, b"y4", b"y3", 3, b"y4"))
    finding = chain.finding()
    assert finding is not None
    assert finding.nodes == ("a", "b", "c")


def test_agreement_is_judged_anew_once_a_node_turns() -> None:
    who, found = roster(), Everything()
    agree = agreement.Agreement(who, found)
    agree.committed(commit("a", b"x", 1))
    agree.committed(commit("b", b"x", 1))
    who.turn("a")
    agree.committed(commit("c", b"y", 1))
    assert found.findings == [], "what only a turned node told is replaced"
    agree.committed(commit("b", b"z", 2))
    agree.committed(commit("c", b"w", 3))
    assert found.details == ["c committed the block of round 3 at height 2, b that of round 2"]


def test_commit_order_and_what_is_told() -> None:
    found = Everything()
    orders = order.CommitOrder(roster(), found)
    orders.committed(commit("a", b"x", 1))
    orders.told("a", 1)
    orders.committed(commit("a", b"z", 3, b"y", 2))
    orders.committed(commit("a", b"x", 1))
    orders.told("a", 7)
    assert found.details == [
        "a committed the block of round 3 without its parent, of round 2",
        "a committed the block of round 1 twice",
        "a committed 7 blocks and delivered 3",
    ]
    assert order.follows(b"genesis", 0, None)
    assert not order.follows(b"y", 2, b"x")


def test_execution_at_each_node_and_between_them() -> None:
    found = Everything()
    who = roster()
    executed, states = requests.Requests(who, found), requests.States(who, found)
    once = commit("a", b"x", 1)
    executed.committed(once)
    executed.committed(once)
    assert found.details == ["a executed request 1 of x twice"]
    states.committed(BlockExecuted(0.0, "a", b"x", 1, b"genesis", 0, state=b"one"))
    states.committed(BlockExecuted(0.0, "b", b"x", 1, b"genesis", 0, state=b"other"))
    assert found.findings[-1].nodes == ("a", "b")


def test_durability_once_a_node_ran_again() -> None:
    found = FirstFindings()
    durable = durability.Durability(roster(), found)
    durable.voted(vote("a", 3, b"x", 2))
    durable.voted(vote("a", 2, b"y", 1))
    durable.restarted("d")
    assert not durable.decided
    durable.restarted("a")
    durable.voted(vote("a", 3, b"x", 2))
    assert found.of == {}
    assert durable.decided
    durable.timed_out(TimedOut("a", 3, 1))
    assert "with a QC of round 1" in found.of[durability.NAME].detail


def test_accountability_signers_are_replicas() -> None:
    account = accountability.Accountability(roster())
    assert account.finding(None) is accountability.UNDECIDED
    broken = Finding(agreement.NAME, Verdict.VIOLATED, round=1)
    account.voted(vote("d", 1, b"x"))
    account.voted(vote("d'", 1, b"y"))
    assert account.finding(broken).verdict is Verdict.VIOLATED
    account.voted(vote("c", 3, b"x", 2))
    account.timed_out(TimedOut("c", 3, 1))
    assert account.finding(broken).nodes == ("c", "d")
    assert account.finding(broken).verdict is Verdict.HELD


def test_monotonicity_forgets_the_round_at_a_restart_only() -> None:
    found = Everything()
    numbers = Monotonicity(roster(), found)
    numbers.numbers(Numbers("a", 3, 2, 4))
    numbers.restarted("a")
    numbers.numbers(Numbers("a", 3, None, 3))
    assert found.findings == []
    numbers.numbers(Numbers("a", 3, 2, 2))
    assert found.details == ["current_round of a decreases from 3 to 2"]


def test_liveness_is_undecided_where_no_promised_round_is_entered() -> None:
    lively = liveness.Liveness(roster(), liveness.Promise(("a", "b"), (2,), 0, 28, 7))
    lively.entered(Entered(0, "d", 2))
    assert lively.findings(100) == (liveness.NOT_JUDGED, liveness.NOT_ENTERED)
    lively.entered(Entered(1, "a", 2))
    commits, bound = lively.findings(100)
    assert (commits.nodes, bound.nodes) == (("a", "b"), ("a", "b"))
    for node in ("a", "b"):
        lively.committed(BlockExecuted(29.0, node, b"x", 2, b"genesis", 0))
    assert lively.findings(100) == (liveness.COMMIT_HELD, liveness.BOUND_HELD)
