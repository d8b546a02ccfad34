"""Verification: what is right passes, and whatever single thing is wrong is refused for its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from diembft.consensus.config import Config
from diembft.consensus.effects import Reason
from diembft.consensus.mempool import Mempool
from diembft.consensus.quorums import Quorums
from diembft.consensus.verification import CACHED_CERTIFICATES, Verifier
from diembft.crypto.interface import KeyRing
from diembft.messages.digests import Digests
from diembft.messages.types import QC, TC, LedgerCommitInfo, Request, RequestKind, SyncInfo, VoteInfo
from tests.consensus.rig import Craft, altered, make_keys
from tests.making import request_by


class CountingKeys:
    """Counts what is verified."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self.checks = 0

    def verify(self, replica: int, digest: bytes, signature: bytes) -> bool:
        self.checks += 1
        return self._keys.verify(replica, digest, signature)

    def verify_client(self, client: str, digest: bytes, signature: bytes) -> bool:
        self.checks += 1
        return self._keys.verify_client(client, digest, signature)


class Bench:
    """A verifier, and right values that can be made wrong."""

    def __init__(self, config: Config | None = None, crypto: Any = "symbolic") -> None:
        self.config = config or Config(n=4)
        self.craft = Craft(self.config, make_keys(self.config.n, crypto))
        self.keys = CountingKeys(self.craft.keys.ring)
        self.mempool = Mempool(self.config)
        self.verifier = Verifier(self.config, self.craft.digests, self.craft.genesis, self.keys, Quorums(self.config))
        craft = self.craft
        self.first = craft.block(1, payload=(craft.request(),))
        self.second = craft.block(2, craft.qc(self.first))
        self.qc = craft.qc(self.second)

    @property
    def tc(self) -> TC:
        return self.craft.tc(5, self.qc, {0: 1, 1: 2, 2: 0})

    def foreign(self) -> Craft:
        """The same validators on another chain: their signatures there are worth nothing here."""
        return Craft(altered(self.config, chain_id="other"), self.craft.keys)


@pytest.fixture(params=["symbolic", "ed25519"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(crypto=request.param)


Case = Callable[[Bench], tuple[Any, Reason | None]]


def resigned_qc(bench: Bench, **changes: Any) -> QC:
    """A QC whose signers really signed something else: `changes` of its vote info."""
    vote_info = altered(bench.qc.vote_info, **changes)
    info = LedgerCommitInfo(bench.qc.ledger_commit_info.commit_state_id, bench.craft.digests.vote_info(vote_info))
    return bench.craft.signed_qc(vote_info, info)


def qc_with(bench: Bench, signatures: Any) -> QC:
    author_signature = bench.craft.keys.replicas[0].sign(
        bench.craft.digests.qc(bench.qc.ledger_commit_info, signatures)
    )
    return altered(bench.qc, signatures=signatures, author_signature=author_signature)  # type: ignore[no-any-return]


def renamed(bench: Bench, signer: int, name: int) -> QC:
    """A QC with one signature under another validator's name."""
    signatures = tuple((name if number == signer else number, signature) for number, signature in bench.qc.signatures)
    return qc_with(bench, signatures)


QCS: dict[str, Case] = {
    "right": lambda b: (b.qc, None),
    "of any quorum": lambda b: (b.craft.qc(b.second, [1, 2, 3], author=2), None),
    "of all": lambda b: (b.craft.qc(b.second, range(4)), None),
    "after a gap": lambda b: (b.craft.qc(b.craft.block(7, b.qc)), None),
    "genesis": lambda b: (b.craft.genesis_qc, None),
    "another of round 0": lambda b: (altered(b.craft.genesis_qc, author=1), Reason.BAD_GENESIS),
    "genesis of another chain": lambda b: (b.foreign().genesis_qc, Reason.BAD_GENESIS),
    "two signers": lambda b: (b.craft.qc(b.second, [0, 1]), Reason.NO_QUORUM),
    "no signers": lambda b: (b.craft.qc(b.second, []), Reason.NO_QUORUM),
    "a signer twice": lambda b: (b.craft.qc(b.second, [0, 1, 1]), Reason.NO_QUORUM),
    "a signer twice beside a quorum": lambda b: (b.craft.qc(b.second, [0, 1, 2, 2]), Reason.NO_QUORUM),
    "one signature for another's": lambda b: (renamed(b, 2, 3), Reason.BAD_QC),
    "an unknown signer": lambda b: (renamed(b, 2, 4), Reason.BAD_QC),
    "a broken signature": lambda b: (qc_with(b, ((0, bytes(64)), *b.qc.signatures[1:])), Reason.BAD_QC),
    "an empty signature": lambda b: (qc_with(b, ((0, b""), *b.qc.signatures[1:])), Reason.BAD_QC),
    "another author": lambda b: (altered(b.qc, author=1), Reason.BAD_QC),
    "an unknown author": lambda b: (altered(b.qc, author=9), Reason.BAD_QC),
    "another vote info": lambda b: (
        altered(b.qc, vote_info=altered(b.qc.vote_info, exec_state_id=bytes(32))),
        Reason.BAD_VOTE_INFO,
    ),
    "a parent of its own round": lambda b: (resigned_qc(b, parent_round=2), Reason.BAD_ROUND),
    "a commit after a gap": lambda b: (resigned_qc(b, round=9), Reason.BAD_COMMIT_RULE),
    "no commit though consecutive": lambda b: (
        b.craft.signed_qc(b.qc.vote_info, altered(b.qc.ledger_commit_info, commit_state_id=None)),
        Reason.BAD_COMMIT_RULE,
    ),
    "another commit info than signed": lambda b: (
        altered(b.qc, ledger_commit_info=altered(b.qc.ledger_commit_info, commit_state_id=bytes(32))),
        Reason.BAD_QC,
    ),
    "signed on another chain": lambda b: (
        b.foreign().signed_qc(b.qc.vote_info, b.qc.ledger_commit_info),
        Reason.BAD_QC,
    ),
}


@pytest.mark.parametrize("name", QCS)
def test_qc(bench: Bench, name: str) -> None:
    qc, reason = QCS[name](bench)
    assert bench.verifier.qc(qc) is reason
    assert bench.verifier.qc(qc) is reason, "also when it is met again"


TCS: dict[str, Case] = {
    "right": lambda b: (b.tc, None),
    "of all": lambda b: (b.craft.tc(5, b.qc, {0: 1, 1: 2, 2: 0, 3: 2}), None),
    "of genesis QCs": lambda b: (b.craft.tc(1), None),
    "two signers": lambda b: (b.craft.tc(5, b.qc, {0: 2, 1: 2}), Reason.NO_QUORUM),
    "no signers": lambda b: (TC(5, (), (), b.qc), Reason.NO_QUORUM),
    "a signer twice": lambda b: (
        altered(b.tc, tmo_signatures=(*b.tc.tmo_signatures[:2], b.tc.tmo_signatures[0])),
        Reason.NO_QUORUM,
    ),
    "a round too few": lambda b: (altered(b.tc, tmo_high_qc_rounds=(1, 2)), Reason.BAD_TC),
    "a round too many": lambda b: (altered(b.tc, tmo_high_qc_rounds=(1, 2, 0, 0)), Reason.BAD_TC),
    "rounds that were not signed": lambda b: (altered(b.tc, tmo_high_qc_rounds=(0, 2, 0)), Reason.BAD_TC),
    "another round than signed": lambda b: (altered(b.tc, round=6), Reason.BAD_TC),
    "a signed round not below its own": lambda b: (b.craft.tc(2, b.qc), Reason.BAD_TC),
    "a QC below the highest round": lambda b: (altered(b.tc, high_qc=b.second.qc), Reason.BAD_TC),
    "a QC above the highest round": lambda b: (
        b.craft.tc(5, b.craft.qc(b.craft.block(3, b.qc)), {0: 1, 1: 2, 2: 0}),
        Reason.BAD_TC,
    ),
    "a wrong QC": lambda b: (altered(b.tc, high_qc=altered(b.qc, author=1)), Reason.BAD_QC),
    "an unknown signer": lambda b: (
        altered(b.tc, tmo_signatures=(*b.tc.tmo_signatures[:2], (7, b.tc.tmo_signatures[2][1]))),
        Reason.BAD_TC,
    ),
    "signed on another chain": lambda b: (
        altered(b.foreign().tc(5, None, {0: 1, 1: 2, 2: 0}), high_qc=b.qc),
        Reason.BAD_TC,
    ),
}


@pytest.mark.parametrize("name", TCS)
def test_tc(bench: Bench, name: str) -> None:
    tc, reason = TCS[name](bench)
    assert bench.verifier.tc(tc) is reason
    assert bench.verifier.tc(tc) is reason


VOTES: dict[str, Case] = {
    "right": lambda b: (b.craft.vote(b.second, 3), None),
    "with a commit": lambda b: (b.craft.vote(b.second, 3, high_commit_qc=b.qc), None),
    "of nobody": lambda b: (altered(b.craft.vote(b.second, 3), sender=4), Reason.BAD_SIGNATURE),
    "in another's name": lambda b: (altered(b.craft.vote(b.second, 3), sender=2), Reason.BAD_SIGNATURE),
    "another vote info": lambda b: (
        altered(b.craft.vote(b.second, 3), vote_info=b.craft.vote_info(b.second, bytes(32))),
        Reason.BAD_VOTE_INFO,
    ),
    "a parent of its own round": lambda b: (
        (lambda info: b.craft.signed_vote(info, LedgerCommitInfo(None, b.craft.digests.vote_info(info)), 3))(
            VoteInfo(b.second.id, 2, b.first.id, 2, bytes(32))
        ),
        Reason.BAD_ROUND,
    ),
    "a commit after a gap": lambda b: (
        (lambda info: b.craft.signed_vote(info, LedgerCommitInfo(bytes(32), b.craft.digests.vote_info(info)), 3))(
            VoteInfo(b.second.id, 3, b.first.id, 1, bytes(32))
        ),
        Reason.BAD_COMMIT_RULE,
    ),
    "no commit though consecutive": lambda b: (
        (lambda info: b.craft.signed_vote(info, LedgerCommitInfo(None, b.craft.digests.vote_info(info)), 3))(
            b.craft.vote_info(b.second)
        ),
        Reason.BAD_COMMIT_RULE,
    ),
    "a wrong commit QC": lambda b: (
        b.craft.vote(b.second, 3, high_commit_qc=b.craft.qc(b.second, [0, 1])),
        Reason.NO_QUORUM,
    ),
    "a commit QC that commits nothing": lambda b: (
        b.craft.vote(b.second, 3, high_commit_qc=b.craft.qc(b.craft.block(7, b.qc))),
        Reason.NOT_COMMITTING,
    ),
    "signed as something else": lambda b: (
        altered(
            b.craft.vote(b.second, 3),
            signature=b.craft.keys.replicas[3].sign(b.craft.digests.vote_info(b.craft.vote_info(b.second))),
        ),
        Reason.BAD_SIGNATURE,
    ),
}


@pytest.mark.parametrize("name", VOTES)
def test_vote(bench: Bench, name: str) -> None:
    vote, reason = VOTES[name](bench)
    assert bench.verifier.vote(vote) is reason


TIMEOUTS: dict[str, Case] = {
    "right": lambda b: (b.craft.timeout(3, 1, b.qc), None),
    "with a TC": lambda b: (b.craft.timeout(6, 1, b.qc, b.tc, b.qc), None),
    "in another's name": lambda b: (
        altered(b.craft.timeout(3, 1, b.qc), tmo_info=altered(b.craft.timeout(3, 1, b.qc).tmo_info, sender=2)),
        Reason.BAD_SIGNATURE,
    ),
    "another round than signed": lambda b: (
        altered(b.craft.timeout(3, 1, b.qc), tmo_info=altered(b.craft.timeout(3, 1, b.qc).tmo_info, round=4)),
        Reason.BAD_SIGNATURE,
    ),
    "another QC round than signed": lambda b: (
        altered(
            b.craft.timeout(3, 1, b.qc), tmo_info=altered(b.craft.timeout(3, 1, b.qc).tmo_info, high_qc=b.second.qc)
        ),
        Reason.BAD_SIGNATURE,
    ),
    "a QC of its own round": lambda b: (b.craft.timeout(2, 1, b.qc), Reason.BAD_ROUND),
    "a QC of a later round": lambda b: (b.craft.timeout(1, 1, b.qc), Reason.BAD_ROUND),
    "a wrong QC": lambda b: (b.craft.timeout(3, 1, b.craft.qc(b.second, [0, 1])), Reason.NO_QUORUM),
    "no TC after a gap": lambda b: (b.craft.timeout(6, 1, b.qc), Reason.MISSING_TC),
    "a TC of another round": lambda b: (b.craft.timeout(7, 1, b.qc, b.tc), Reason.MISSING_TC),
    "a superfluous TC": lambda b: (b.craft.timeout(3, 1, b.qc, b.craft.tc(2)), Reason.SUPERFLUOUS_TC),
    "a wrong TC": lambda b: (b.craft.timeout(6, 1, b.qc, b.craft.tc(5, b.qc, {0: 2})), Reason.NO_QUORUM),
    "a commit QC that commits nothing": lambda b: (
        b.craft.timeout(3, 1, b.qc, None, b.craft.qc(b.craft.block(7, b.qc))),
        Reason.NOT_COMMITTING,
    ),
}


@pytest.mark.parametrize("name", TIMEOUTS)
def test_timeout(bench: Bench, name: str) -> None:
    timeout, reason = TIMEOUTS[name](bench)
    assert bench.verifier.timeout(timeout) is reason


PROPOSALS: dict[str, Case] = {
    "right": lambda b: (b.craft.proposal(b.second), None),
    "with requests": lambda b: (b.craft.proposal(b.first), None),
    "with a TC": lambda b: (b.craft.proposal(b.craft.block(6, b.qc), b.tc, b.qc), None),
    "signed by another": lambda b: (b.craft.proposal(b.second, signer=0), Reason.BAD_SIGNATURE),
    "in another's name": lambda b: (
        altered(b.craft.proposal(b.second), block=altered(b.second, author=0)),
        Reason.BAD_SIGNATURE,
    ),
    "a block that is not its id's": lambda b: (
        b.craft.proposal(altered(b.second, payload=(b.craft.request(),))),
        Reason.BAD_BLOCK_ID,
    ),
    "another round than its id's": lambda b: (
        b.craft.proposal(altered(b.second, round=3), b.craft.tc(2, b.second.qc)),
        Reason.BAD_BLOCK_ID,
    ),
    "the round of its QC": lambda b: (b.craft.proposal(b.craft.block(2, b.qc)), Reason.BAD_ROUND),
    "a round below its QC": lambda b: (b.craft.proposal(b.craft.block(1, b.qc)), Reason.BAD_ROUND),
    "a wrong QC": lambda b: (b.craft.proposal(b.craft.block(3, b.craft.qc(b.second, [0, 1]))), Reason.NO_QUORUM),
    "no TC after a gap": lambda b: (b.craft.proposal(b.craft.block(6, b.qc)), Reason.MISSING_TC),
    "a TC of another round": lambda b: (b.craft.proposal(b.craft.block(7, b.qc), b.tc), Reason.MISSING_TC),
    "a superfluous TC": lambda b: (b.craft.proposal(b.second, b.craft.tc(1)), Reason.SUPERFLUOUS_TC),
    "a wrong TC": lambda b: (
        b.craft.proposal(b.craft.block(6, b.qc), altered(b.tc, high_qc=b.second.qc)),
        Reason.BAD_TC,
    ),
    "a commit QC that commits nothing": lambda b: (
        b.craft.proposal(b.second, None, b.craft.qc(b.craft.block(7, b.qc))),
        Reason.NOT_COMMITTING,
    ),
    "a request that its client did not sign": lambda b: (
        b.craft.proposal(b.craft.block(1, payload=(altered(b.craft.request(), operations=(b"forged",)),))),
        Reason.BAD_PAYLOAD,
    ),
    "a request of another client's": lambda b: (
        b.craft.proposal(b.craft.block(1, payload=(altered(b.craft.request(), client="bob"),))),
        Reason.BAD_PAYLOAD,
    ),
    "a request of an unknown client's": lambda b: (
        b.craft.proposal(b.craft.block(1, payload=(altered(b.craft.request(), client="mallory"),))),
        Reason.BAD_PAYLOAD,
    ),
}


@pytest.mark.parametrize("name", PROPOSALS)
def test_proposal(bench: Bench, name: str) -> None:
    proposal, reason = PROPOSALS[name](bench)
    assert bench.verifier.proposal(proposal, bench.mempool) is reason


SYNC_INFOS: dict[str, Case] = {
    "right": lambda b: (SyncInfo(3, b.qc, b.qc, None), None),
    "with a TC": lambda b: (SyncInfo(6, b.qc, b.qc, b.tc), None),
    "a wrong QC": lambda b: (SyncInfo(3, b.craft.qc(b.second, [0, 1]), b.qc, None), Reason.NO_QUORUM),
    "a wrong commit QC": lambda b: (SyncInfo(3, b.qc, b.craft.qc(b.second, [0, 1]), None), Reason.NO_QUORUM),
    "a commit QC that commits nothing": lambda b: (
        SyncInfo(3, b.qc, b.craft.qc(b.craft.block(7, b.qc)), None),
        Reason.NOT_COMMITTING,
    ),
    "a wrong TC": lambda b: (SyncInfo(3, b.qc, b.qc, altered(b.tc, round=6)), Reason.BAD_TC),
}


@pytest.mark.parametrize("name", SYNC_INFOS)
def test_sync_info(bench: Bench, name: str) -> None:
    sync_info, reason = SYNC_INFOS[name](bench)
    assert bench.verifier.sync_info(sync_info) is reason


# --- quorums of systems that are not of 3 f + 1


@pytest.mark.parametrize(("n", "quorum"), [(1, 1), (2, 2), (3, 3), (5, 4), (6, 5), (8, 6)])
def test_a_certificate_needs_n_minus_f(n: int, quorum: int) -> None:
    bench = Bench(Config(n=n))
    for signers in range(n + 1):
        expected = None if signers >= quorum else Reason.NO_QUORUM
        assert bench.verifier.qc(bench.craft.qc(bench.second, range(signers))) is expected
        assert bench.verifier.tc(bench.craft.tc(1, None, dict.fromkeys(range(signers), 0))) is expected


# --- limits of payloads


def test_limits_on_requests() -> None:
    config = Config(n=4, max_block_requests=2, max_block_bytes=10, max_request_bytes=6)
    bench = Bench(config)
    request = bench.craft.request
    cases = [
        ((), None),
        ((request(1, bytes(5)), request(2, bytes(5))), None),
        ((request(1, bytes(5)), request(2, bytes(6))), Reason.BAD_PAYLOAD),
        ((request(1), request(2), request(3)), Reason.BAD_PAYLOAD),
        ((request(1, bytes(7)),), Reason.BAD_PAYLOAD),
    ]
    for payload, reason in cases:
        assert bench.verifier.payload(payload, bench.mempool) is reason
    assert bench.verifier.request(request(1, bytes(7))) is Reason.BAD_REQUEST
    assert bench.verifier.request(request(1, bytes(6))) is None
    assert bench.verifier.request(altered(request(1), number=2)) is Reason.BAD_REQUEST


def test_limits_count_operations() -> None:
    bench = Bench(Config(n=4, max_request_operations=3, max_block_operations=4, max_request_bytes=6))

    def request(number: int, count: int) -> Request:
        return bench.craft.request(number, b"", "alice", *[b""] * (count - 1))

    cases = [
        ((request(1, 3), request(2, 1)), None),
        ((request(1, 3), request(2, 2)), Reason.BAD_PAYLOAD),
        ((request(1, 4),), Reason.BAD_PAYLOAD),
    ]
    for payload, reason in cases:
        assert bench.verifier.payload(payload, bench.mempool) is reason
    assert bench.verifier.request(request(1, 4)) is Reason.BAD_REQUEST
    assert bench.verifier.request(request(1, 3)) is None
    assert bench.verifier.request(bench.craft.request(1, bytes(3), "alice", bytes(3))) is None
    assert bench.verifier.request(bench.craft.request(1, bytes(3), "alice", bytes(4))) is Reason.BAD_REQUEST


def test_a_request_is_of_its_session_and_kind(bench: Bench) -> None:
    request = bench.craft.request()
    assert bench.verifier.request(request) is None
    assert bench.verifier.request(altered(request, session=bytes(16))) is Reason.BAD_REQUEST
    for kind in (RequestKind.READMISSION, RequestKind.CONFIGURATION):
        assert bench.verifier.request(bench.craft.request(kind=kind)) is Reason.BAD_KIND


def test_duplicates_in_a_payload_are_legal(bench: Bench) -> None:
    request = bench.craft.request()
    assert bench.verifier.payload((request, request), bench.mempool) is None


def test_requests_that_are_held_are_not_verified_again(bench: Bench) -> None:
    request = bench.craft.request()
    bench.mempool.add(request)
    before = bench.keys.checks
    assert bench.verifier.payload((request,), bench.mempool) is None
    assert bench.keys.checks == before
    assert bench.verifier.payload((altered(request, signature=b"?"),), bench.mempool) is Reason.BAD_PAYLOAD


# --- the cache


def test_verified_certificates_are_remembered_by_content(bench: Bench) -> None:
    assert bench.verifier.tc(bench.tc) is None
    before = bench.keys.checks
    assert bench.verifier.tc(altered(bench.tc)) is None
    assert bench.verifier.qc(altered(bench.qc)) is None
    assert bench.keys.checks == before
    assert bench.verifier.qc(altered(bench.qc, author=1)) is Reason.BAD_QC


def test_certificates_that_were_made_here_are_remembered(bench: Bench) -> None:
    bench.verifier.made(bench.qc)
    bench.verifier.made(bench.tc)
    assert bench.verifier.qc(bench.qc) is None
    assert bench.verifier.tc(bench.tc) is None
    assert bench.keys.checks == 0


def test_the_cache_is_bounded_and_changes_no_answer() -> None:
    bench = Bench()
    qcs = [bench.craft.qc(bench.craft.block(round_)) for round_ in range(1, CACHED_CERTIFICATES + 20)]
    for qc in qcs:
        assert bench.verifier.qc(qc) is None
    assert len(bench.verifier._verified_qcs) == CACHED_CERTIFICATES
    for qc in qcs:
        assert bench.verifier.qc(qc) is None
        assert bench.verifier.qc(altered(qc, author=3)) is Reason.BAD_QC


def test_domains_keep_signatures_apart() -> None:
    """No signature can be replayed as another: type, chain and epoch are part of what is signed."""
    digests = [Digests(chain, epoch) for chain in ("a", "b") for epoch in (0, 1)]
    info = LedgerCommitInfo(None, bytes(32))
    made = [
        value
        for each in digests
        for value in (
            each.vote(info),
            each.qc(info, ()),
            each.proposal(bytes(32)),
            each.timeout(1, 0),
            each.request(request_by("alice", 1)),
            each.vote_info(VoteInfo(bytes(32), 1, bytes(32), 0, bytes(32))),
            each.payload(()),
            each.genesis,
            each.state(bytes(32), bytes(32), bytes(32)),
        )
    ]
    assert len(set(made)) == len(made)


def test_domains_keep_types_apart_whose_bytes_are_the_same() -> None:
    """A payload's bytes that could be a block's id: one signature must not do for both."""
    digests = Digests("diembft", 0)
    payload = (request_by("a", 1),)
    assert digests.payload(payload) != digests.proposal(digests.signed_request(payload[0]))
