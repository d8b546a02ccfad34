from __future__ import annotations

from diembft.consensus.effects import Effect, Reason, Rejected
from diembft.consensus.events import Received
from diembft.faults.actors.forger import MAX_LIES, Forger
from diembft.messages.types import BlockRequest, BlockResponse, SyncInfo
from tests.consensus.rig import Craft, sent
from tests.faults.actors.acting import acting, run_among_correct, said_by
from tests.faults.planted import planted

SEEDS = range(12)
"""Among these it forges more often than not, with and without a TC."""


def forged(craft: Craft, seed: int) -> tuple[Forger, list[tuple[int | None, SyncInfo]]]:
    """A forger that entered round 2, and what it then made up."""
    forger = acting(craft, Forger, me=2, seed=seed)
    assert isinstance(forger, Forger)
    block = craft.block(1)
    effects: list[Effect] = forger.step(Received(0, craft.proposal(block)))
    effects += forger.step(Received(3, craft.timeout(2, 3, craft.qc(block))))
    return forger, sent(effects, SyncInfo)


def test_two_validators_are_told_of_two_chains_that_nobody_voted_for() -> None:
    craft = Craft()
    lies = [told for _, told in (forged(craft, seed) for seed in SEEDS) if told]
    assert len(lies) >= 3
    for told in lies:
        assert len(told) % 2 == 0
        assert {to for to, _ in told} <= {0, 1, 3}
        assert len({info.high_qc.vote_info.id for _, info in told}) == len(told)
        assert len({info.high_qc.vote_info.parent_id for _, info in told}) == len(told), (
            "they would commit other blocks"
        )
        for to, info in told:
            assert info.high_qc.commits
            assert info.high_qc == info.high_commit_qc
            assert len(info.high_qc.signatures) == craft.config.quorum
            assert to is not None
            victim = craft.started(to)
            key = victim.state_key()
            assert victim.step(Received(2, info)) == [Rejected(Reason.BAD_QC)]
            assert victim.state_key() == key
    assert any(info.last_round_tc is not None for told in lies for _, info in told)
    assert any(info.last_round_tc is None for told in lies for _, info in told)


def test_who_believes_certificates_is_given_the_blocks_and_commits_them() -> None:
    craft = Craft()
    forger, told = next((forger, told) for forger, told in (forged(craft, seed) for seed in SEEDS) if told)
    to, info = told[0]
    assert to is not None
    victim = planted(craft, "unsigned_certificates", me=to)
    ((_, request),) = sent(victim.step(Received(2, info)), BlockRequest)
    ((_, response),) = sent(forger.step(Received(to, request)), BlockResponse)
    victim.step(Received(2, response))
    assert victim.tree.height > 0
    assert victim.tree.root.block.id == info.high_qc.vote_info.parent_id
    assert victim.tree.root.block.author == 2


def test_it_remembers_so_many_lies_and_no_more() -> None:
    craft = Craft()
    forger = acting(craft, Forger, me=2)
    assert isinstance(forger, Forger)
    for round_ in range(2, 200):
        forger.step(Received(3, craft.timeout(round_, 3, craft.genesis_qc, craft.tc(round_ - 1))))
    assert len(forger._lies) == MAX_LIES  # all that it keeps


def test_the_others_are_unharmed() -> None:
    results = run_among_correct("forger")
    assert all(result.held for result in results), [result.violations for result in results]
    assert sum([len(said_by(result, SyncInfo)) for result in results]) > 0
