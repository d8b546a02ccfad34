from __future__ import annotations

from diembft.consensus.effects import Equivocation
from diembft.consensus.events import Received, Requests, Timer, TimerFired
from diembft.faults.actors.double_voter import DoubleVoter
from diembft.messages.types import VoteMsg
from tests.consensus.rig import Craft, all_of, sent
from tests.faults.actors.acting import acting, run_among_correct


def test_it_votes_for_every_proposal_and_for_a_made_up_result_of_each() -> None:
    craft = Craft()
    voter = acting(craft, DoubleVoter, me=2)
    collector = craft.started(1)
    blocks = [craft.block(1), craft.block(1, payload=(craft.request(),))]
    votes: list[VoteMsg] = []
    for block in blocks:
        found = sent(voter.step(Received(0, craft.proposal(block))), VoteMsg)
        assert [to for to, _ in found] == [1, 1]
        votes += [vote for _, vote in found]
    assert [vote.vote_info.id for vote in votes] == [blocks[0].id] * 2 + [blocks[1].id] * 2
    assert len({vote.ledger_commit_info for vote in votes}) == 4
    assert all(collector.verifier.vote(vote) is None for vote in votes), "each is well signed"
    assert votes[0] == craft.vote(blocks[0], 2)
    assert votes[2] == craft.vote(blocks[1], 2)


def test_it_votes_in_a_round_that_it_gave_up() -> None:
    craft = Craft()
    voter = acting(craft, DoubleVoter, me=2)
    voter.step(Requests((craft.request(),)))
    voter.step(TimerFired(Timer.ROUND, 1))
    assert len(sent(voter.step(Received(0, craft.proposal(craft.block(1)))), VoteMsg)) == 2


def test_a_proposal_that_is_wrong_gets_no_vote_of_it_either() -> None:
    craft = Craft()
    voter = acting(craft, DoubleVoter, me=2)
    assert sent(voter.step(Received(0, craft.proposal(craft.block(1), signer=3))), VoteMsg) == []


def test_the_others_report_it_and_are_unharmed() -> None:
    results = run_among_correct("double_voter")
    assert all(result.held for result in results), [result.violations for result in results]
    assert sum([result.reached.equivocations for result in results]) > 0


def test_who_collects_its_votes_has_the_evidence() -> None:
    craft = Craft()
    voter, collector = acting(craft, DoubleVoter, me=2), craft.started(1)
    evidence = []
    for _, vote in sent(voter.step(Received(0, craft.proposal(craft.block(1)))), VoteMsg):
        evidence += all_of(collector.step(Received(2, vote)), Equivocation)
    assert [found.culprit for found in evidence] == [2]
