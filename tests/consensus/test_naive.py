"""The real rules of safety and quorums against the naive ones of naive.py."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.quorums import Quorums
from diembft.consensus.safety import Safety
from diembft.consensus.verification import Verifier
from diembft.messages.types import QC, TC, LedgerCommitInfo, TimeoutInfo, VoteInfo
from tests.consensus import naive
from tests.consensus.effort import examples
from tests.consensus.naive import NaiveSafety, NaiveTc
from tests.consensus.rig import Craft, make_machine

CRAFT = Craft()

rounds = st.integers(0, 9)
tcs = st.none() | st.builds(NaiveTc, rounds, st.lists(rounds, min_size=1, max_size=4).map(tuple))
requests = st.lists(
    st.tuples(st.booleans(), st.integers(1, 10), rounds, tcs)
    | st.tuples(st.booleans(), st.integers(1, 10), st.none(), tcs),
    max_size=25,
)


def qc_of_round(round_: int) -> QC:
    return QC(
        VoteInfo(bytes(32), round_, bytes(32), max(0, round_ - 1), bytes(32)),
        LedgerCommitInfo(None, bytes(32)),
        (),
        0,
        b"",
    )


def real_tc(tc: NaiveTc | None) -> TC | None:
    return None if tc is None else TC(tc.round, tc.qc_rounds, (), CRAFT.genesis_qc)


def test_the_naive_version_knows_nothing_of_the_real_one() -> None:
    tree = ast.parse(Path(naive.__file__).read_text())
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
    ]
    assert not [name for name in imported if "diembft" in name]


@settings(max_examples=examples(800), deadline=None)
@given(requests)
def test_safety(asked: list[tuple[bool, int, int | None, NaiveTc | None]]) -> None:
    """The same votes and timeouts are allowed, whatever is asked for in whatever order."""
    real = Safety(0, CRAFT.keys.replicas[0], CRAFT.digests)
    simple = NaiveSafety()
    for vote, round_, chosen_qc_round, tc in asked:
        qc_round = round_ - 1 if chosen_qc_round is None else chosen_qc_round
        qc = qc_of_round(qc_round)
        if vote:
            block = CRAFT.block(round_)
            block = type(block)(block.author, round_, 0, (), qc, block.id)
            made = real.make_vote(block, real_tc(tc), bytes(32), b"p" * 32, CRAFT.genesis_qc)
            assert (made is not None) == simple.vote(round_, qc_round, tc)
            if made is not None:
                assert (made.ledger_commit_info.commit_state_id is not None) == naive.commits(round_, qc_round)
        else:
            timeout = real.make_timeout(round_, qc, real_tc(tc))
            assert (timeout is not None) == simple.time_out(round_, qc_round, tc)
    signed = [round_ for round_, _ in simple.votes] + simple.timeouts
    assert real.highest_vote_round == max(signed, default=0)
    assert real.highest_qc_round == max([qc_round for _, qc_round in simple.votes], default=0)


@pytest.mark.parametrize("n", range(1, 14))
def test_quorum_sizes(n: int) -> None:
    config = Config(n=n)
    assert config.f == naive.naive_max_faulty(n)
    assert config.quorum == naive.naive_quorum(n)
    assert naive.share_a_correct_validator(n, config.quorum)
    fewer = config.quorum - 1
    assert fewer == 0 or n % 3 != 1 or not naive.share_a_correct_validator(n, fewer), "not larger than it must be"


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 8), st.data())
def test_certificates(n: int, data: st.DataObject) -> None:
    """QCs and TCs of any list of signers: with repetitions, strangers, too few."""
    signers = data.draw(st.lists(st.integers(0, n + 1), max_size=n + 2))
    craft = Craft(Config(n=n))
    verifier = Verifier(craft.config, craft.digests, craft.genesis, craft.keys.ring, Quorums(craft.config))
    known = [signer % n for signer in signers]
    qc = craft.qc(craft.block(1), known)
    signatures = tuple((signer, signature) for signer, (_, signature) in zip(signers, qc.signatures, strict=True))
    digest = craft.digests.qc(qc.ledger_commit_info, signatures)
    qc = QC(qc.vote_info, qc.ledger_commit_info, signatures, 0, craft.keys.replicas[0].sign(digest))
    assert (verifier.qc(qc) is None) == naive.is_certificate(n, signers)
    signature_of = {signer: craft.keys.replicas[signer].sign(craft.digests.timeout(1, 0)) for signer in range(n)}
    tc = TC(
        1,
        (0,) * len(signers),
        tuple((signer, signature_of[known_signer]) for signer, known_signer in zip(signers, known, strict=True)),
        craft.genesis_qc,
    )
    assert (verifier.tc(tc) is None) == naive.is_certificate(n, signers)


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 7), st.data())
def test_collecting_votes(n: int, data: st.DataObject) -> None:
    """A bucket of the block tree completes exactly when a quorum of distinct senders is for the same thing."""
    things = st.sampled_from(["one", "other"])
    messages = data.draw(st.lists(st.tuples(st.integers(0, n - 1), things), max_size=3 * n))
    craft = Craft(Config(n=n))
    quorums = Quorums(craft.config)
    tree = BlockTree(craft.config, craft.digests, craft.genesis, make_machine(), quorums)
    block = craft.block(1)
    states = {"one": craft.state_id(block), "other": bytes(32)}
    completed: dict[str, int] = {}
    for count, (sender, thing) in enumerate(messages, 1):
        vote = craft.vote(block, sender, state_id=states[thing])
        known = sender in tree.bucket(vote)
        bucket = tree.add_vote(vote)
        if not known and len(bucket) == quorums.quorum:
            completed[thing] = count
    assert completed == naive.collect(n, messages)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 7), st.data())
def test_collecting_timeouts(n: int, data: st.DataObject) -> None:
    senders = data.draw(st.lists(st.integers(0, n - 1), max_size=3 * n))
    config = Config(n=n)
    pacemaker = Pacemaker(config, Quorums(config))
    for count, sender in enumerate(senders, 1):
        pacemaker.add_timeout(TimeoutInfo(1, CRAFT.genesis_qc, sender, b""))
        distinct = len(set(senders[:count]))
        assert pacemaker.should_join() == (distinct > naive.naive_max_faulty(n))
        assert (pacemaker.timeout_certificate() is not None) == (distinct >= naive.naive_quorum(n))
