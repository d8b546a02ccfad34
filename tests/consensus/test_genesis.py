"""Genesis: known to all, signed by nobody, of one chain and epoch."""

from __future__ import annotations

from diembft.consensus.genesis import genesis
from diembft.messages.digests import Digests


def test_genesis_certifies_itself_without_signatures() -> None:
    made = genesis(Digests("chain", 3))
    assert made == genesis(Digests("chain", 3))
    assert made.block.round == 0
    assert made.block.payload == ()
    assert made.block.qc == made.qc
    assert made.qc.vote_info.id == made.qc.vote_info.parent_id == made.block.id
    assert made.qc.signatures == ()
    assert made.qc.vote_info.exec_state_id == made.qc.ledger_commit_info.commit_state_id == made.state_id
    assert made.qc.ledger_commit_info.vote_info_hash == Digests("chain", 3).vote_info(made.qc.vote_info)


def test_every_chain_and_epoch_has_its_own() -> None:
    ids = {genesis(Digests(chain, epoch)).block.id for chain in ("a", "b") for epoch in (0, 1)}
    assert len(ids) == 4
