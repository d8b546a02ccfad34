"""What a trace shows of DiemBFT's messages in neutral terms: all that is judged, and all that is drawn."""

from __future__ import annotations

from msgspec import structs

from diembft.messages.types import SyncInfo
from diembft.trace import diembft as neutral
from tests.consensus.rig import Craft


def test_a_message_shows_every_certificate_in_it() -> None:
    craft = Craft()
    one, two = craft.chain((1, 2))
    tc = craft.tc(4, craft.qc(two), {0: 1, 1: 2, 2: 0})
    for message in (
        craft.proposal(craft.block(5, craft.qc(one)), tc),
        craft.timeout(5, 0, craft.qc(one), tc),
        SyncInfo(5, craft.qc(one), craft.genesis_qc, tc),
    ):
        shown = neutral.message(message)
        assert shown.detail is message
        blocks = [block.certificate for block in shown.blocks if block.certificate is not None]
        told = {(certificate.round, certificate.block) for certificate in (*blocks, *shown.certificates)}
        assert told == {(0, craft.genesis_qc.vote_info.id), (1, one.id), (2, two.id), (4, None)}
        (given_up,) = [certificate for certificate in shown.certificates if certificate.block is None]
        assert (given_up.signers, given_up.high_rounds) == ((0, 1, 2), (1, 2, 0))
        assert given_up == structs.replace(neutral.given_up(tc), detail=None)


def test_whom_a_message_names_as_its_sender() -> None:
    craft = Craft()
    (block,) = craft.chain((1,))
    assert neutral.message(craft.proposal(structs.replace(block, author=2))).sender == 2
    assert neutral.message(craft.vote(block, 3)).sender == 3
    assert neutral.message(craft.timeout(1, 1)).sender == 1


def test_votes_that_sign_different_things_are_different() -> None:
    craft = Craft()
    one, two = craft.chain((1, 2))
    vote = craft.vote(two, 0)
    assert vote.ledger_commit_info.commit_state_id is not None
    other = structs.replace(vote.ledger_commit_info, commit_state_id=craft.state_id(two))
    contents = [neutral.vote_of(signed).content for signed in (vote, craft.signed_vote(vote.vote_info, other, 0))]
    assert len({*contents, neutral.vote_of(craft.vote(one, 0)).content}) == 3


def test_a_certificate_names_the_block_that_it_commits() -> None:
    craft = Craft()
    one, two = craft.chain((1, 2))
    assert neutral.certificate(craft.qc(two)).commits == one.id
    assert neutral.certificate(craft.qc(craft.block(4, craft.qc(two)))).commits is None


def test_a_block_names_its_requests_with_their_sessions() -> None:
    craft = Craft()
    asked = (craft.request(1), craft.request(1, session=b"2" * 16))
    (block,) = craft.chain((1,), {1: asked})
    assert [*neutral.block(block).requests] == [("alice", 1, request.session) for request in asked]
