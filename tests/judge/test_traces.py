"""Each invariant: a hand-made record that violates exactly it, and one that holds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import pytest
from msgspec import structs

from diembft.client.requests import session_of, signed_request
from diembft.consensus.genesis import genesis
from diembft.crypto.ed25519 import derived_signer
from diembft.crypto.symbolic import client_signer, replica_signer
from diembft.errors import InputError
from diembft.judge import diembft as judge_diembft
from diembft.judge.agreement import NAME as AGREEMENT
from diembft.judge.certificates import CERTIFICATES, CERTIFIED_UNIQUENESS
from diembft.judge.monotonicity import NAME as MONOTONICITY
from diembft.judge.neutral import NeutralReader
from diembft.judge.order import NAME as COMMIT_ORDER
from diembft.judge.requests import EXECUTION, VALIDITY
from diembft.judge.traces import Checker, check
from diembft.judge.votes import NAME as HONEST_VOTE_ONCE
from diembft.judge.waiting import NAME as LIVENESS
from diembft.messages.digests import DIGEST_SIZE, Digests
from diembft.messages.types import (
    OK,
    QC,
    STALE,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    LedgerCommitInfo,
    Message,
    ProposalMsg,
    Relay,
    Request,
    SyncInfo,
    TimeoutInfo,
    TimeoutMsg,
    VoteInfo,
    VoteMsg,
)
from diembft.trace import diembft as neutral
from diembft.trace.records import (
    Committed,
    Crashed,
    Delivered,
    Ended,
    Evidence,
    Fired,
    Header,
    Node,
    Partitioned,
    Paused,
    Persisted,
    Record,
    Replied,
    Restarted,
    Sent,
    SetAttribute,
    State,
    Submitted,
    Synchronous,
    TimerCancelled,
    TimerSet,
)
from diembft.trace.values import Certificate, RequestName, Timeout, Vote

NUMBERS = count(1000)
"""Of messages, which are unique in a trace."""

DIGESTS = Digests("test", 0)
GENESIS = genesis(DIGESTS)
N = 4
QUORUM = (0, 1, 2)
HEADER = Header(
    runtime="simulator",
    nodes=tuple([Node(f"replica{replica}", replica) for replica in range(N)]),
    protocol="diembft",
    n=N,
    quorum=3,
    chain=2,
    delta_s=1.0,
    clients=("client0",),
    detail=neutral.header_detail("test", 0, "symbolic", {}),
)


def state_id(block_id: bytes) -> bytes:
    return DIGESTS.state(bytes(DIGEST_SIZE), block_id, b"")


def request(number: int = 0, signer: str = "client0") -> Request:
    session = session_of("client0")
    return signed_request(client_signer(signer), DIGESTS, "client0", session, number, (b"operation",))


def block(parent: QC, round_: int, *payload: Request, author: int = 0) -> Block:
    return Block(author, round_, 0, payload, parent, DIGESTS.block(author, round_, 0, payload, parent))


def vote_info(of: Block, exec_state: bytes | None = None) -> VoteInfo:
    parent = of.qc.vote_info
    return VoteInfo(of.id, of.round, parent.id, parent.round, exec_state or state_id(of.id))


def commit_info(info: VoteInfo) -> LedgerCommitInfo:
    committed = state_id(info.parent_id) if info.parent_round + 1 == info.round else None
    return LedgerCommitInfo(committed, DIGESTS.vote_info(info))


def certify(info: VoteInfo, signers: tuple[int, ...] = QUORUM, commit: LedgerCommitInfo | None = None) -> QC:
    commit = commit or commit_info(info)
    signatures = tuple([(signer, replica_signer(signer).sign(DIGESTS.vote(commit))) for signer in signers])
    return QC(info, commit, signatures, 0, replica_signer(0).sign(DIGESTS.qc(commit, signatures)))


def qc(of: Block, signers: tuple[int, ...] = QUORUM) -> QC:
    return certify(vote_info(of), signers)


def vote(of: Block, sender: int = 0, exec_state: bytes | None = None, high_commit_qc: QC = GENESIS.qc) -> VoteMsg:
    info = vote_info(of, exec_state)
    commit = commit_info(info)
    return VoteMsg(info, commit, high_commit_qc, sender, replica_signer(sender).sign(DIGESTS.vote(commit)))


def timeout(round_: int, high_qc: QC = GENESIS.qc, sender: int = 0, tc: TC | None = None) -> TimeoutMsg:
    signature = replica_signer(sender).sign(DIGESTS.timeout(round_, high_qc.round))
    return TimeoutMsg(TimeoutInfo(round_, high_qc, sender, signature), tc, GENESIS.qc)


def timeout_certificate(round_: int, high_qc: QC = GENESIS.qc, signers: tuple[int, ...] = QUORUM) -> TC:
    digest = DIGESTS.timeout(round_, high_qc.round)
    signatures = tuple([(signer, replica_signer(signer).sign(digest)) for signer in signers])
    return TC(round_, tuple([high_qc.round for _ in signers]), signatures, high_qc)


B1 = block(GENESIS.qc, 1, request(0))
B2 = block(qc(B1), 2, request(1))
B3 = block(qc(B2), 3)
OTHER1 = block(GENESIS.qc, 1, author=1)
OTHER2 = block(qc(OTHER1), 2)


def sent(message: Message, node: str = "replica0", at: float = 0.0) -> Sent:
    return Sent(at, node, next(NUMBERS), ("replica1",), neutral.message(message))


def committed(height: int, of: Block, certificate: QC, node: str = "replica0") -> Committed:
    executed = tuple([RequestName(item.client, item.number, item.session) for item in of.payload])
    shown = neutral.certificate(certificate)
    return Committed(0.0, node, height, neutral.block(of), shown, executed, state_id(of.id))


def state(
    node: str = "replica0",
    current_round: int = 1,
    *,
    at: float = 0.0,
    leader: int = 0,
    vote_round: int = 0,
    qc_round: int = 0,
    high_qc: QC = GENESIS.qc,
    high_commit_qc: QC = GENESIS.qc,
    tc: TC | None = None,
    height: int = 0,
) -> State:
    given_up = None if tc is None else neutral.given_up(tc)
    high, committed_by = neutral.certificate(high_qc), neutral.certificate(high_commit_qc)
    return State(at, node, current_round, leader, height, vote_round, high, committed_by, given_up, qc_round)


def persisted(last_sent: VoteMsg | TimeoutMsg | None, vote_round: int = 0, qc_round: int = 0) -> Persisted:
    signed = None if last_sent is None else neutral.message(last_sent)
    return Persisted(0.0, "replica0", vote_round, qc_round, signed)


def violated(records: Iterable[Record], header: Header = HEADER) -> list[str]:
    return [found.property for found in check([header, *records])]


def all_commit(*nodes: str) -> list[Record]:
    return [
        record
        for node in nodes
        for record in (committed(1, B1, qc(B2), node), committed(2, B2, qc(B3), node), state(node, 4, height=2))
    ]


def test_an_undisturbed_run_violates_nothing() -> None:
    tc = timeout_certificate(4, qc(B3))
    records: list[Record] = [
        sent(ProposalMsg(B1, None, GENESIS.qc, b"")),
        sent(vote(B1)),
        sent(BlockResponse(1, (B1, B2))),
        sent(timeout(4, qc(B3), tc=timeout_certificate(3, qc(B2)))),
        sent(SyncInfo(5, qc(B3), qc(B3), tc)),
        state(current_round=5, vote_round=4, qc_round=2, high_qc=qc(B3), high_commit_qc=qc(B3), tc=tc),
        *all_commit("replica1", "replica2", "replica3"),
        Ended(9.0, True),
    ]
    assert violated(records) == []


# --- 1: agreement


def test_agreement() -> None:
    other = block(qc(OTHER1), 2, author=3)
    records: list[Record] = [committed(1, OTHER1, certify(vote_info(other)), "replica3")]
    # The certificates of the two chains are of different rounds, so that only their being committed is wrong.
    second = block(GENESIS.qc, 3, request(0))
    third = block(certify(vote_info(second)), 4)
    assert violated([*records, committed(1, second, qc(third), "replica0")]) == [AGREEMENT]


def test_agreement_is_judged_among_correct_nodes_only() -> None:
    second = block(GENESIS.qc, 3, request(0))
    third = block(certify(vote_info(second)), 4)
    fork = [committed(1, OTHER1, qc(OTHER2), "replica3")]
    rest: list[Record] = [committed(1, second, qc(third), node) for node in ("replica0", "replica1")]
    assert violated([*fork, *rest]) == [AGREEMENT, AGREEMENT]
    turned = SetAttribute(0.0, "replica3", "highest_vote_round", 0)
    assert violated([turned, *fork, *rest]) == []
    assert violated([*fork, turned, *rest]) == [], "what it delivered while correct is replaced"


# --- 2: one certified block a round


def test_certified_uniqueness() -> None:
    records = [state(high_qc=qc(B1)), state("replica1", high_qc=qc(OTHER1, (1, 2, 3)))]
    found = list(check([HEADER, *records]))
    assert [item.property for item in found] == [CERTIFIED_UNIQUENESS]
    assert found[0].round == 1
    assert [certificate.block for certificate in found[0].certificates] == [B1.id, OTHER1.id]


def test_certificates_of_one_block_may_differ_in_their_signers() -> None:
    assert violated([state(high_qc=qc(B1)), state("replica1", high_qc=qc(B1, (1, 2, 3)))]) == []


def test_a_certificate_counts_whoever_sent_it_if_it_verifies() -> None:
    header = structs.replace(HEADER, nodes=(*HEADER.nodes[:3], Node("replica3", 3, correct=False)))
    valid = sent(SyncInfo(2, qc(OTHER1), GENESIS.qc, None), "replica3")
    forged = sent(SyncInfo(2, qc(OTHER1, (3,)), GENESIS.qc, None), "replica3")
    assert violated([state(high_qc=qc(B1)), valid], header) == [CERTIFIED_UNIQUENESS]
    assert violated([state(high_qc=qc(B1)), forged], header) == []


def test_one_block_with_two_certified_states() -> None:
    diverging = certify(vote_info(B1, bytes(DIGEST_SIZE)))
    assert violated(
        [state(high_qc=qc(B1)), Evidence(0.0, "replica1", "divergence", None, (), neutral.certificate(diverging))]
    ) == [EXECUTION]


# --- 3: one vote a round


def test_two_votes_in_one_round() -> None:
    assert violated([sent(vote(B1)), sent(vote(OTHER1))]) == [HONEST_VOTE_ONCE]
    assert violated([persisted(vote(B1)), sent(vote(OTHER1))]) == [HONEST_VOTE_ONCE], "a vote for oneself is not sent"
    restart: list[Record] = [Crashed(0.0, "replica0"), Restarted(0.0, "replica0")]
    assert violated([sent(vote(B1)), *restart, sent(vote(OTHER1))]) == [HONEST_VOTE_ONCE]


def test_a_message_that_two_nodes_sign_counts_for_both() -> None:
    one, other = neutral.message(vote(B1)), neutral.message(vote(OTHER1))
    checker = Checker(HEADER)
    found = [
        item
        for node, message in (("replica0", one), ("replica1", one), ("replica1", one), ("replica1", other))
        for item in checker.feed(Sent(0.0, node, 1, (), message))
    ]
    assert [(item.property, item.nodes) for item in found] == [(HONEST_VOTE_ONCE, ("replica1",))]


def test_two_votes_for_one_block_with_different_states() -> None:
    assert violated([sent(vote(B1)), sent(vote(B1, exec_state=bytes(DIGEST_SIZE)))]) == [HONEST_VOTE_ONCE]


def test_a_vote_that_is_sent_again_is_one_vote() -> None:
    again = vote(B3, high_commit_qc=qc(B2))
    assert violated([sent(vote(B3)), sent(again), sent(vote(B2)), sent(vote(OTHER1, 1), "replica1")]) == []


def test_a_vote_after_a_timeout_of_the_round() -> None:
    assert violated([sent(timeout(1)), sent(vote(B1))]) == [HONEST_VOTE_ONCE]
    assert violated([persisted(timeout(1)), sent(vote(B1))]) == [HONEST_VOTE_ONCE]
    assert violated([sent(vote(B1)), sent(timeout(1)), sent(vote(B1)), sent(vote(B2))]) == []


def test_a_message_may_bring_a_vote_and_a_timeout() -> None:
    header = structs.replace(HEADER, protocol="mine")
    both = structs.replace(neutral.message(vote(B2)), timeout=Timeout(1, 0), detail=None)
    assert violated([Sent(0.0, "replica0", 5, (), both)], header) == []
    after = structs.replace(sent(vote(B1)), message=structs.replace(neutral.message(vote(B1)), detail=None))
    assert violated([Sent(0.0, "replica0", 5, (), both), after], header) == [HONEST_VOTE_ONCE], "the timeout counts"
    assert isinstance(both.vote, Vote)
    other = structs.replace(both, vote=structs.replace(both.vote, content=b"other"))
    second = Sent(0.0, "replica0", 6, (), other)
    assert violated([Sent(0.0, "replica0", 5, (), both), second], header) == [HONEST_VOTE_ONCE], "so does the vote"


@pytest.mark.parametrize("node", ["replica0", "twin"])
def test_twins_may_vote_twice(node: str) -> None:
    header = structs.replace(HEADER, nodes=(*HEADER.nodes, Node("twin", 0)))
    assert violated([sent(vote(B1), node), sent(vote(OTHER1), node)], header) == []


# --- 4: what never decreases


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (state(current_round=3), state(current_round=2)),
        (state(current_round=3, vote_round=3), state(current_round=3, vote_round=2)),
        (state(qc_round=3), state(qc_round=2)),
        (persisted(None, 3), persisted(None, 2)),
        (persisted(None, 3, 3), persisted(None, 3, 2)),
    ],
)
def test_monotonicity(before: Record, after: Record) -> None:
    assert violated([before, after]) == [MONOTONICITY]
    assert violated([after, before]) == []


def test_the_number_of_commits_never_decreases() -> None:
    commits: list[Record] = [committed(1, B1, qc(B2)), committed(2, B2, qc(B3)), state(current_round=4, height=2)]
    found = violated([*commits, state(current_round=4, height=1)])
    assert found == [MONOTONICITY, COMMIT_ORDER], "it also is not what was delivered"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (state(current_round=5, vote_round=5), []),
        (state(current_round=4, vote_round=5), [MONOTONICITY]),
        (state(current_round=6, vote_round=4), [MONOTONICITY]),
    ],
)
def test_what_a_restart_must_keep(after: State, expected: list[str]) -> None:
    before: list[Record] = [state(current_round=6, vote_round=5), Crashed(0.0, "replica0"), Restarted(0.0, "replica0")]
    assert violated([*before, after]) == expected


def test_byzantine_nodes_may_go_back() -> None:
    turned = SetAttribute(0.0, "replica0", "current_round", 1)
    back: list[Record] = [state(current_round=1), persisted(None, 0), sent(vote(B1)), sent(vote(OTHER1))]
    assert violated([state(current_round=3), persisted(None, 3), turned, *back]) == []


# --- 5: order of commits, execution


def test_commit_without_the_parent() -> None:
    assert violated([committed(1, B2, qc(B3))]) == [COMMIT_ORDER]


def test_commit_of_a_height_that_is_not_next() -> None:
    found = violated([committed(1, B1, qc(B2)), committed(3, B2, qc(B3))])
    assert found == [COMMIT_ORDER]


@pytest.mark.parametrize("height", [0, -1])
def test_commit_of_a_height_that_there_is_not(height: int) -> None:
    assert violated([committed(height, B1, qc(B2))]) == [COMMIT_ORDER]
    assert violated([committed(1, B1, qc(B2)), committed(height, B2, qc(B3))]) == [COMMIT_ORDER]


def test_commit_of_a_block_twice() -> None:
    assert violated([committed(1, B1, qc(B2)), committed(2, B1, qc(B2))]) == [COMMIT_ORDER, EXECUTION]


def test_commit_of_a_block_whose_round_is_not_above_its_parents() -> None:
    late = block(certify(vote_info(B1)), 1)
    assert violated([committed(1, B1, qc(B2)), committed(2, late, qc(B2))]) == [COMMIT_ORDER]


def test_a_height_that_was_not_delivered() -> None:
    assert violated([state(height=1)]) == [COMMIT_ORDER]
    assert violated([committed(1, B1, qc(B2)), state(height=1)]) == []


def test_states_differ_at_one_height() -> None:
    other = structs.replace(committed(1, B1, qc(B2), "replica1"), state=bytes(DIGEST_SIZE))
    assert violated([committed(1, B1, qc(B2)), other]) == [EXECUTION]


def test_requests_executed_differ_at_one_height() -> None:
    other = structs.replace(committed(1, B1, qc(B2), "replica1"), executed=())
    assert violated([committed(1, B1, qc(B2)), other]) == [EXECUTION]


def test_a_request_executes_twice() -> None:
    again = block(qc(B1), 2, request(0))
    first, second = committed(1, B1, qc(again)), committed(2, again, qc(block(qc(again), 3)))
    assert violated([first, second]) == [EXECUTION]
    assert violated([first, structs.replace(second, executed=())]) == [], "the second time it is a no-op"


# --- 6: certificates


def bad_certificates() -> dict[str, QC]:
    good = qc(B2)
    info = vote_info(B2)
    wrong_commit = LedgerCommitInfo(None, DIGESTS.vote_info(info))
    backwards = VoteInfo(B2.id, 2, B1.id, 2, state_id(B2.id))
    return {
        "too few signers": qc(B2, (0, 1)),
        "somebody signed twice": qc(B2, (0, 1, 1)),
        "nobody signed": qc(B2, ()),
        "an unknown signer": structs.replace(good, signatures=(*good.signatures[:2], (4, good.signatures[2][1]))),
        "a forged signature": structs.replace(good, signatures=(*good.signatures[:2], (2, good.signatures[0][1]))),
        "not the author": structs.replace(good, author=1),
        "about another block": structs.replace(good, vote_info=vote_info(B3)),
        "not committing though consecutive": certify(info, commit=wrong_commit),
        "parent not earlier": certify(backwards),
        "another genesis": structs.replace(GENESIS.qc, vote_info=structs.replace(GENESIS.qc.vote_info, parent_round=1)),
        "a genesis with signatures": structs.replace(GENESIS.qc, signatures=good.signatures),
    }


@pytest.mark.parametrize("what", bad_certificates())
def test_a_qc_that_does_not_verify(what: str) -> None:
    bad = bad_certificates()[what]
    fine = state("replica1", high_qc=qc(B2))
    assert violated([fine, state(high_qc=bad)]) == [CERTIFICATES]
    assert violated([fine, state(high_commit_qc=bad)]) == [CERTIFICATES]
    for message in (
        ProposalMsg(block(bad, 9), None, GENESIS.qc, b""),
        vote(B1, high_commit_qc=bad),
        SyncInfo(3, GENESIS.qc, bad, None),
        BlockResponse(1, (B1, block(bad, 9))),
        timeout(3, bad),
    ):
        assert violated([fine, sent(message)]) == [CERTIFICATES], message
    assert violated([fine, Evidence(0.0, "replica0", "divergence", None, (), neutral.certificate(bad))]) == [
        CERTIFICATES
    ]


def bad_timeout_certificates() -> dict[str, TC]:
    good = timeout_certificate(4, qc(B3))
    return {
        "too few signers": timeout_certificate(4, qc(B3), (0, 1)),
        "somebody signed twice": timeout_certificate(4, qc(B3), (0, 1, 1)),
        "a round too many": structs.replace(good, tmo_high_qc_rounds=(3, 3, 3, 3)),
        "no rounds": structs.replace(good, tmo_high_qc_rounds=()),
        "another QC": structs.replace(good, high_qc=qc(B2)),
        "a QC of its own round": timeout_certificate(3, qc(B3)),
        "other rounds than were signed": structs.replace(good, tmo_high_qc_rounds=(3, 3, 2)),
        "a QC that does not verify": timeout_certificate(4, structs.replace(qc(B3), author=1)),
    }


@pytest.mark.parametrize("what", bad_timeout_certificates())
def test_a_tc_that_does_not_verify(what: str) -> None:
    bad = bad_timeout_certificates()[what]
    assert violated([state(tc=bad)]) == [CERTIFICATES]
    for message in (
        ProposalMsg(B1, bad, GENESIS.qc, b""),
        timeout(5, qc(B3), tc=bad),
        SyncInfo(5, qc(B3), qc(B3), bad),
    ):
        assert violated([sent(message)]) == [CERTIFICATES], message


def test_byzantine_nodes_may_send_what_they_like() -> None:
    header = structs.replace(HEADER, nodes=(Node("replica0", 0, correct=False), *HEADER.nodes[1:]))
    records: list[Record] = [state(high_qc=bad) for bad in bad_certificates().values()]
    records += [state(tc=bad) for bad in bad_timeout_certificates().values()]
    assert violated(records, header) == []


def test_messages_without_certificates_have_none_to_judge() -> None:
    asked = BlockRequest(1, B1.id, GENESIS.block.id, 1)
    assert violated([sent(asked), sent(Relay(1, (request(),))), Evidence(0.0, "replica0", "equivocation", 1, ())]) == []


def test_certificates_are_judged_again_once_they_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_diembft, "_CACHED", 2)
    many = [state(high_qc=certificate) for certificate in (qc(B1), qc(B2), qc(B3), qc(B1, (0, 1)))]
    assert violated([*many, state("replica1", high_qc=qc(B1)), state("replica2", high_qc=qc(B1, (0, 1)))]) == [
        CERTIFICATES,
        CERTIFICATES,
    ]


def test_a_violation_is_reported_once_for_a_node() -> None:
    bad = qc(B2, (0, 1))
    assert violated([state(high_qc=bad), state(high_qc=bad), state("replica1", high_qc=bad)]) == [CERTIFICATES] * 2


def test_ed25519_certificates_verify_against_the_keys_of_the_header() -> None:
    signers = [derived_signer(f"replica{replica}", 1) for replica in range(N)]
    keys = {f"replica{replica}": signer.public_key for replica, signer in enumerate(signers)}
    info = commit_info(vote_info(B1))
    signatures = tuple([(signer, signers[signer].sign(DIGESTS.vote(info))) for signer in QUORUM])
    good = QC(vote_info(B1), info, signatures, 0, signers[0].sign(DIGESTS.qc(info, signatures)))
    header = structs.replace(HEADER, detail=neutral.header_detail("test", 0, "ed25519", keys))
    assert violated([state(high_qc=good)], header) == []
    assert violated([state(high_qc=structs.replace(good, author=1))], header) == [CERTIFICATES]
    without = structs.replace(header, detail=neutral.header_detail("test", 0, "ed25519", keys | {"replica1": b"short"}))
    assert violated([state(high_qc=good)], without) == [CERTIFICATES]


# --- 7: validity


def test_an_executed_request_that_its_client_did_not_sign() -> None:
    forged = block(GENESIS.qc, 1, request(0, signer="somebody"))
    commit = committed(1, forged, qc(block(qc(forged), 2)))
    assert violated([commit]) == [VALIDITY]
    assert violated([structs.replace(commit, executed=())]) == [], "it was refused"


def test_what_each_node_executed_of_a_block_is_looked_at() -> None:
    commits = [committed(1, B1, qc(B2), node) for node in ("replica0", "replica1")]
    commits[1] = structs.replace(commits[1], executed=(*(commits[1].executed or ()), RequestName("client0", 7)))
    assert sorted(violated(commits)) == [EXECUTION, VALIDITY]


def test_certificates_of_different_phases_are_different() -> None:
    reader = NeutralReader(structs.replace(HEADER, protocol="mine"))
    for phase in ("prepare", "commit"):
        certificate = structs.replace(plain(qc(B1)), phase=phase)
        ((seen, new),) = reader.of(certificate)
        assert new
        assert seen.value == certificate
        assert reader.of(certificate) == ()


def test_each_session_of_a_client_has_numbers_of_its_own() -> None:
    one, other = [
        signed_request(client_signer("client0"), DIGESTS, "client0", session * 16, 0, (b"operation",))
        for session in (b"1", b"2")
    ]
    first = block(GENESIS.qc, 1, one)
    second = block(qc(first), 2, other)
    commits = [committed(1, first, qc(second)), committed(2, second, qc(block(qc(second), 3)))]
    assert violated(commits) == []
    both = block(GENESIS.qc, 1, one, structs.replace(other, signature=b"forged"))
    assert violated([committed(1, both, qc(block(qc(both), 2)))]) == [VALIDITY], "that of the second is verified too"


def test_a_request_of_one_session_waits_though_that_of_another_commits() -> None:
    asked = [structs.replace(HELD[0], session=session, message=number) for session, number in ((b"1", 50), (b"2", 51))]
    held = [*asked, Delivered(1.0, "replica0", 50), Delivered(1.0, "replica0", 51)]
    stale = Replied(2.0, "replica0", "client0", 0, STALE, session=b"1")
    assert liveness([started(0.5, 5.0), *held, GST, stale]) == [LIVENESS]
    assert liveness([started(0.5, 5.0), *held, GST, stale, structs.replace(stale, session=b"2")]) == []


def test_an_executed_request_of_an_unknown_client() -> None:
    header = structs.replace(HEADER, clients=())
    assert violated([committed(1, B1, qc(B2))], header) == [VALIDITY]


def test_an_executed_request_that_is_not_in_the_block() -> None:
    commit = structs.replace(committed(1, B1, qc(B2)), executed=(RequestName("client0", 7),))
    assert violated([commit]) == [VALIDITY]


# --- 8: liveness

SESSION = session_of("client0")
HELD: list[Record] = [
    Submitted(1.0, "client0", 0, 9, 1, 50, ("replica0",), session=SESSION),
    Delivered(1.0, "replica0", 50),
]
GST = Synchronous(1.0, 1.0)


def started(at: float, delay_s: float, node: str = "replica0") -> TimerSet:
    return TimerSet(at, node, "round", delay_s, 1)


def liveness(records: Iterable[Record], end: float = 100.0) -> list[str]:
    """What is violated if nothing happens any more until `end`."""
    checker = Checker(HEADER)
    found = [item for record in records for item in checker.feed(record)]
    return [item.property for item in [*found, *checker.finish(end)]]


def test_a_held_request_and_no_progress() -> None:
    # The bound: 3 L + 6 delta after GST, with L = 5 and delta = 1.
    stuck = [started(0.5, 5.0), *HELD, GST]
    assert liveness(stuck, 21.9) == []
    assert liveness(stuck, 22.1) == [LIVENESS]
    assert liveness([*stuck, Ended(22.1, True)], 22.1) == [LIVENESS], "any record tells the time"


def test_the_longest_timer_counts() -> None:
    stuck = [started(0.5, 5.0), *HELD, GST]
    assert liveness([*stuck, started(6.0, 4.0, "replica1")], 30.0) == [LIVENESS]
    assert liveness([*stuck, started(6.0, 9.0, "replica1")], 30.0) == []
    assert liveness([*stuck, started(6.0, 9.0, "replica1")], 35.0) == [LIVENESS]
    assert liveness([*stuck, TimerSet(6.0, "replica1", "fetch", 9.0, 1)], 30.0) == [LIVENESS]


def test_progress_moves_the_deadline() -> None:
    records = [started(0.5, 5.0), state(at=0.5), *HELD, GST, state(current_round=2, at=20.0)]
    assert liveness(records, 40.9) == []
    assert liveness(records, 41.1) == [LIVENESS]
    stopped: list[Record] = [TimerCancelled(19.0, "replica0", "round")]
    assert liveness([*records[:-1], *stopped, records[-1]], 27.0) == [LIVENESS], "no timer ran at that progress"
    fired: list[Record] = [Fired(19.0, "replica0", "round", 1)]
    assert liveness([*records[:-1], *fired, records[-1]], 27.0) == [LIVENESS]


@pytest.mark.parametrize(
    "excuse",
    [
        Crashed(2.0, "replica1"),
        Paused(2.0, "replica1"),
        Partitioned(2.0, (("replica0",), ("replica1", "replica2", "replica3"))),
        Crashed(2.0, "replica0"),
        structs.replace(committed(1, B1, qc(B2), "replica1"), at=2.0),
        Replied(2.0, "replica0", "client0", 0, STALE, session=SESSION),
        Synchronous(2.0, 1.5),
    ],
)
def test_what_excuses_a_held_request(excuse: Record) -> None:
    assert liveness([started(0.5, 5.0), *HELD, GST, excuse]) == []


@pytest.mark.parametrize(
    "held",
    [
        [HELD[0], Delivered(1.0, "replica0", 50, rejected="because")],
        [HELD[0], Delivered(1.0, "replica0", 50, ignored="because")],
        [committed(1, B1, qc(B2)), *HELD],
        [SetAttribute(0.0, "replica0", "leader", 1), *HELD],
        [*HELD, SetAttribute(0.0, "replica0", "leader", 1)],
        [Delivered(1.0, "replica0", 49)],
        [],
    ],
)
def test_what_is_not_held(held: list[Record]) -> None:
    assert liveness([started(0.5, 5.0), *held, GST]) == []


def test_a_second_holder_keeps_a_request_waiting() -> None:
    second: list[Record] = [
        Delivered(1.0, "replica1", 50),
        Replied(2.0, "replica0", "client0", 0, STALE, session=SESSION),
    ]
    assert liveness([started(0.5, 5.0), *HELD, *second, GST]) == [LIVENESS]


def test_a_reply_that_refuses_nothing_of_what_is_held_changes_nothing() -> None:
    others: list[Record] = [
        Replied(2.0, "replica0", "client0", 0, OK, session=SESSION),
        Replied(2.0, "replica0", "client0", 9, STALE, session=SESSION),
        Submitted(2.0, "client0", 1, 9, 1, 51, ("replica0",)),
        Delivered(2.0, "replica0", 51),
    ]
    assert liveness([started(0.5, 5.0), *HELD, GST, *others]) == [LIVENESS]


def test_no_liveness_without_synchrony_or_with_more_than_f_faulty() -> None:
    assert liveness([started(0.5, 5.0), *HELD]) == []
    faulty: list[Record] = [SetAttribute(0.0, node, "leader", 1) for node in ("replica1", "replica2")]
    assert liveness([started(0.5, 5.0), *HELD, *faulty, GST]) == []
    assert liveness([started(0.5, 5.0), *HELD, GST, *faulty]) == []
    assert liveness([started(0.5, 5.0), *HELD, GST, faulty[0]]) == [LIVENESS]


def rounds(last: int, leader: int, *, disagree: bool = False) -> list[Record]:
    """All four nodes go through the rounds, one after the other, each in a second."""
    return [
        state(f"replica{node}", round_, at=1.0 + round_, leader=(leader + node) % N if disagree else leader)
        for round_ in range(1, last + 1)
        for node in range(N)
    ]


def test_a_request_that_good_windows_pass_by() -> None:
    allowed = 30 * N + 1
    # The first window is complete when round 4 is entered.
    assert liveness([*HELD, GST, *rounds(allowed + 3, 0)], 1.0) == []
    assert liveness([*HELD, GST, *rounds(allowed + 4, 0)], 1.0) == [LIVENESS]
    assert liveness([GST, *rounds(allowed + 4, 0)], 1.0) == [], "nothing waits"
    assert liveness([*HELD, *rounds(allowed + 4, 0)], 1.0) == [], "no synchrony"
    assert liveness([*HELD, GST, *rounds(allowed + 4, 0, disagree=True)], 1.0) == [], "no window is good"
    faulty = SetAttribute(0.0, "replica3", "leader", 1)
    assert liveness([*HELD, faulty, GST, *rounds(allowed + 4, 3)], 1.0) == [], "the leader is faulty"


def test_windows_before_gst_do_not_count() -> None:
    before, gst = rounds(100, 0), Synchronous(101.0, 1.0)
    after = [state(f"replica{node}", round_, at=1.0 + round_) for round_ in range(101, 200) for node in range(N)]
    assert liveness([*HELD, *before, gst, *after], 1.0) == []
    assert liveness([*HELD, GST, *before, *after], 1.0) == [LIVENESS]


def test_rounds_that_nobody_entered_are_in_no_window() -> None:
    leaps = [
        state(f"replica{node}", round_, at=1.0 + round_) for round_ in range(1, 1000) if round_ % 3 for node in range(N)
    ]
    assert liveness([*HELD, GST, *leaps], 1.0) == []
    far = [state(f"replica{node}", 1 << 60, at=2.0) for node in range(N)]
    assert liveness([*HELD, GST, *far], 1.0) == []


def test_a_laggard_keeps_windows_open() -> None:
    ahead = [
        record for record in rounds(30 * N + 5, 0) if not (isinstance(record, State) and record.node == "replica3")
    ]
    assert liveness([*HELD, GST, state("replica3", 1), *ahead], 1.0) == []


def test_a_trace_begins_with_its_header() -> None:
    with pytest.raises(InputError, match="header"):
        list(check([state()]))


@pytest.mark.parametrize(
    "record",
    [
        state("nobody"),
        committed(1, B1, qc(B2), "nobody"),
        SetAttribute(0.0, "client0", "leader", 1),
        Sent(0.0, "replica0", 7, ("nobody",), neutral.message(vote(B1))),
        Replied(0.0, "replica0", "nobody", 0, OK),
        Partitioned(0.0, (("replica0", "nobody"),)),
    ],
)
def test_a_trace_names_nobody_but_those_of_its_header(record: Record) -> None:
    with pytest.raises(InputError, match=r"record 3: the trace names '.*', which is no node"):
        violated([state(), record])


@pytest.mark.parametrize(
    ("later", "wrong"),
    [
        (state(at=0.5), "order of time"),
        (Sent(1.0, "replica1", 7, (), neutral.message(vote(B1, 1))), "message 7 is sent twice"),
        (Replied(1.0, "replica1", "client0", 0, OK, 7), "message 7 is sent twice"),
        (HEADER, "after the header"),
    ],
)
def test_records_that_contradict_earlier_ones_are_refused(later: Record, wrong: str) -> None:
    first = Sent(1.0, "replica0", 7, ("replica1",), neutral.message(vote(B1)))
    with pytest.raises(InputError, match=f"record 3: .*{wrong}"):
        violated([first, later])


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        (structs.replace(HEADER, nodes=()), "nodes: .* none"),
        (structs.replace(HEADER, nodes=(*HEADER.nodes, Node("replica0", 1))), "nodes: 'replica0' is named twice"),
        (structs.replace(HEADER, clients=("c", "c")), "clients: 'c' is named twice"),
        (structs.replace(HEADER, nodes=(*HEADER.nodes, Node("more", 4))), "more: replica: 4 is none of 4"),
        (structs.replace(HEADER, nodes=(*HEADER.nodes, Node("more", -1))), "more: replica: -1 is none of 4"),
        (structs.replace(HEADER, nodes=HEADER.nodes[:2]), "2 replicas run, of 4"),
        (structs.replace(HEADER, quorum=5), "quorum: 5 is more"),
        (structs.replace(HEADER, quorum=2), "quorum: 2 of 4 is too few"),
    ],
)
def test_a_header_that_cannot_be_is_refused(header: Header, wrong: str) -> None:
    with pytest.raises(InputError, match=f"record 1: .*{wrong}"):
        violated([], header)


def test_the_quorum_of_the_header_counts_for_every_property() -> None:
    header = structs.replace(HEADER, protocol="mine", quorum=4)
    all_signed, three_signed = qc(B1, (0, 1, 2, 3)), qc(OTHER1)
    shown = [Evidence(0.0, "replica3", "divergence", None, (), plain(item)) for item in (all_signed, three_signed)]
    faulty = structs.replace(header, nodes=(*HEADER.nodes[:3], Node("replica3", 3, correct=False)))
    assert violated(shown, faulty) == [], "three of four certify nothing here"
    assert violated(shown, structs.replace(faulty, quorum=3)) == [CERTIFIED_UNIQUENESS]


def plain(certificate: QC) -> Certificate:
    """Without its detail, as another protocol has it."""
    return structs.replace(neutral.certificate(certificate), detail=None)


@pytest.mark.parametrize("signers", [(0, 1, 4), (-1, 0, 1), (97, 98, 99)])
def test_only_replicas_sign(signers: tuple[int, ...]) -> None:
    header = structs.replace(HEADER, protocol="mine")
    made_up = structs.replace(plain(qc(B1)), signers=signers)
    assert violated([state(), structs.replace(state(), high=made_up)], header) == [CERTIFICATES]
