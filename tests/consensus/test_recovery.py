"""Start and restart: what was durable is enough to go on from, and what was sent last is sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typing_extensions import override

from diembft.consensus.config import Config
from diembft.consensus.effects import Checkpoint, Effect, Persist, SetTimer
from diembft.consensus.events import Received, Requests, Started, Timer, TimerFired
from diembft.consensus.recovery import Recovered, Unrecoverable
from diembft.consensus.state_machine import StateMachine
from diembft.messages.types import QC, Block, BlockResponse, ProposalMsg, SyncInfo, TimeoutMsg, VoteMsg
from tests.consensus.rig import Craft, Disk, Rig, all_of, altered, only, sent


def test_a_first_start_says_nothing_and_rests() -> None:
    effects = Craft().replica().step(Started())
    assert [effect.timer for effect in all_of(effects, SetTimer)] == [Timer.REST]
    assert len(effects) == 1


def test_a_single_validator_commits_by_itself_and_rests() -> None:
    rig = Rig(1)
    rig.request(1, b"a")
    rig.request(2, b"b")
    assert rig.executed(0) == [b"a", b"b"]
    assert rig.nodes[0].timers == {}
    rig.crash(0)
    rig.restart(0)
    rig.request(3, b"c")
    assert rig.executed(0) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("crashed", range(4))
def test_the_vote_of_the_first_round_is_sent_again_after_a_crash(crashed: int) -> None:
    rig = Rig(4)
    rig.request()
    rig.run(lambda flight: isinstance(flight.message, ProposalMsg))
    votes = {flight.source: flight.message for flight in rig.flights_of(VoteMsg)}
    rig.crash(crashed)
    effects = rig.restart(crashed)
    if crashed in votes:
        assert [message for _, message in sent(effects, VoteMsg)] == [votes[crashed]]


def test_the_timeout_of_the_first_round_is_sent_again_after_a_crash() -> None:
    rig = Rig(4)
    rig.request(to=[2])
    effects = rig.fire(2)
    rig.crash(2)
    assert sent(rig.restart(2), TimeoutMsg) == sent(effects, TimeoutMsg)


def test_a_leader_that_crashes_before_it_sends_proposes_the_same_block_after_its_restart() -> None:
    rig = Rig(4, start=False)
    for node in rig.nodes:
        rig.start(node.index)
    request = rig.craft.request()
    effects = rig.step(0, Requests((request,)), crash_after=1)
    assert isinstance(effects[0], Persist)
    assert rig.flights == []
    again = rig.restart(0)
    assert sent(again, ProposalMsg) == sent(effects, ProposalMsg)
    assert sent(again, VoteMsg) == sent(effects, VoteMsg)


def test_at_a_restart_a_validator_tells_all_what_it_knows() -> None:
    rig = Rig(4)
    rig.request()
    rig.run()
    high_qc = rig[1].tree.high_qc
    rig.crash(1)
    ((to, message),) = sent(rig.restart(1), SyncInfo)
    assert to is None
    assert message.high_qc == high_qc
    assert rig[1].current_round == high_qc.round + 1


def test_a_restarted_leader_does_not_send_a_proposal_whose_tc_is_gone() -> None:
    """The leader of round 3 enters it by a TC and proposes on the QC of round 1. Then the late QC of round 2 makes the
    TC superfluous, and commits, which makes that durable. Without its TC the proposal would be refused by all."""
    rig = Rig(4)
    craft = rig.craft
    first = craft.block(1, payload=(craft.request(),))
    second = craft.block(2, craft.qc(first))
    rig.step(1, Received(0, craft.proposal(first)))
    rig.step(1, Received(1, craft.proposal(second)))
    effects = rig.step(1, Received(2, SyncInfo(3, craft.qc(first), craft.genesis_qc, craft.tc(2, craft.qc(first)))))
    ((_, proposal),) = sent(effects, ProposalMsg)
    assert proposal.last_round_tc is not None
    rig.step(1, Received(2, SyncInfo(3, craft.qc(second), craft.qc(second), None)))
    assert rig.committed_rounds(1) == [1]
    rig.crash(1)
    effects = rig.restart(1)
    assert sent(effects, ProposalMsg) == []
    assert [message.vote_info.id for _, message in sent(effects, VoteMsg)] == [proposal.block.id]


def test_recovery_from_nothing_is_a_first_start() -> None:
    craft = Craft()
    recovered = Recovered(None, (), None, ())
    replica = craft.replica(recovered=recovered)
    assert replica.state_key() == craft.replica().state_key()
    assert replica.step(Started()) == craft.replica().step(Started())


def test_the_configuration_of_a_single_validator_must_rest() -> None:
    with pytest.raises(AssertionError, match="because a single validator that never rests"):
        Craft(Config(n=1, rest=False)).replica()


def test_the_checkpoint_is_of_the_last_of_several_commits() -> None:
    """Rounds 1 and 3 are committed at once, by the QC of round 4, when a higher one, that commits nothing, is known."""
    rig = Rig(4)
    craft = rig.craft
    first = craft.block(1, payload=(craft.request(1),))
    third = craft.block(3, craft.qc(first), payload=(craft.request(2),))
    fourth = craft.block(4, craft.qc(third))
    sixth = craft.block(6, craft.qc(fourth))
    rig.step(0, Received(3, SyncInfo(7, craft.qc(sixth), craft.qc(fourth), None)))
    effects = rig.step(0, Received(3, BlockResponse(7, (first, third, fourth, sixth))))
    persist = only(effects, Persist)
    assert persist.committed == (first.id, third.id)
    assert persist.checkpoint == Checkpoint(craft.qc(fourth), 2, *craft.states[third.id])
    assert rig[0].tree.high_qc == craft.qc(sixth)
    rig.crash(0)
    rig.restart(0)
    assert rig[0].tree.root.ledger == craft.states[third.id][1]
    later = rig.step(0, TimerFired(Timer.ROUND, 7))
    assert all(effect.checkpoint is None and effect.committed == () for effect in all_of(later, Persist))


# --- what a storage hands back is not taken at its word


@pytest.fixture(scope="module")
def durable() -> tuple[Craft, Recovered]:
    """What a replica has on its disk that committed the blocks of rounds 1 to 4, and holds those of rounds 5 and 6."""
    rig = Rig(4, config=Config(n=4, rest=False))
    node = rig.nodes[2]
    blocks = rig.craft.chain(range(1, 7), {round_: (rig.craft.request(round_),) for round_ in (1, 3, 4, 6)})
    for block in blocks:
        rig.step(2, Received(block.author, rig.craft.proposal(block)))
    assert rig.committed_rounds(2) == [1, 2, 3, 4]
    recovered = node.disk.recover(rig.config.kept_commits)
    assert recovered is not None
    assert [block.round for block in recovered.pending] == [5, 6]
    assert recovered.record is not None
    return rig.craft, recovered


def refusal(craft: Craft, recovered: Recovered) -> str:
    """Why a replica does not run on what its storage handed back."""
    with pytest.raises(Unrecoverable) as raised:
        craft.replica(2, recovered=recovered)
    return str(raised.value)


def part(recovered: Recovered, name: str, **changes: Any) -> Recovered:
    """With other fields in one part of what was recovered."""
    return altered(recovered, **{name: altered(getattr(recovered, name), **changes)})  # type: ignore[no-any-return]


def test_what_fits_together_is_recovered_whole(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    replica = craft.replica(2, recovered=recovered)
    assert (replica.tree.height, replica.tree.root.block.round, replica.current_round) == (4, 4, 6)
    assert replica.tree.root.state_id == craft.state_id(recovered.committed[-1])
    assert replica.mempool.holds(craft.request(6)), "until its block is committed"
    fewer = craft.replica(2, recovered=altered(recovered, committed=recovered.committed[-2:]))
    assert fewer.tree.height == 4


def test_commits_without_a_ledger_are_refused(durable: tuple[Craft, Recovered]) -> None:
    """The first ledger was lost."""
    craft, recovered = durable
    assert refusal(craft, altered(recovered, checkpoint=None)) == (
        "there are 4 committed blocks, and no ledger that they led to"
    )


def test_a_ledger_without_commits_is_refused(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    assert refusal(craft, altered(recovered, committed=())) == "the ledger is of height 4, beside 0 committed blocks"


def test_more_commits_than_the_ledger_counts_are_refused(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    assert refusal(craft, part(recovered, "checkpoint", height=3)) == (
        "the ledger is of height 3, beside 4 committed blocks"
    )


def test_an_old_ledger_beside_newer_commits_is_refused(durable: tuple[Craft, Recovered]) -> None:
    """As many blocks are kept as to hide it from the count."""
    craft, recovered = durable
    third, fourth = recovered.committed[2:]
    old = Checkpoint(fourth.qc, 3, craft.state_id(third), craft.states[third.id][1])
    old = altered(old, certificate=recovered.pending[0].qc)
    assert recovered.pending[0].qc.vote_info.parent_id == third.id
    assert refusal(craft, altered(recovered, committed=(fourth,), checkpoint=old)) == (
        "the last committed block is of round 4, and the ledger's certificate commits another one"
    )


def test_a_ledger_whose_certificate_commits_nothing_is_refused(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    after_a_gap = craft.block(9, recovered.pending[0].qc)
    assert after_a_gap.qc.vote_info.id == recovered.committed[-1].id
    assert refusal(craft, part(recovered, "checkpoint", certificate=craft.qc(after_a_gap))) == (
        "the last committed block is of round 4, and the ledger's certificate commits another one"
    )


def test_a_ledger_of_a_later_height_than_the_commits_is_refused(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    assert refusal(craft, altered(recovered, committed=recovered.committed[:-1])) == (
        "the last committed block is of round 3, and the ledger's certificate commits another one"
    )


OTHER = bytes(range(32))


def test_a_state_that_the_ledgers_certificate_does_not_name_is_refused(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    later = craft.qc(recovered.pending[1])  # says nothing of the last committed block
    wrong = part(recovered, "checkpoint", state_id=OTHER)
    wrong = altered(part(wrong, "record", high_qc=later, high_commit_qc=later), pending=())
    assert refusal(craft, wrong) == (
        f"the state after the last committed block, of round 4, is {OTHER.hex()[:12]} here, and "
        f"{craft.state_id(recovered.committed[-1]).hex()[:12]} by the certificate of round 5"
    )


def other_state(craft: Craft, block: Block) -> QC:
    """A quorum's certificate that names another state after this block."""
    return craft.qc(block, state_id=OTHER)


def committing_other(craft: Craft, block: Block) -> QC:
    """A quorum's certificate of this block that commits its parent in another state."""
    vote_info = craft.vote_info(block)
    return craft.signed_qc(vote_info, altered(craft.commit_info(vote_info), commit_state_id=OTHER))


@pytest.mark.parametrize(
    ("name", "made", "round_"),
    [("high_qc", committing_other, 5), ("high_commit_qc", committing_other, 5), ("high_commit_qc", other_state, 4)],
)
def test_a_state_that_the_records_certificates_do_not_name_is_refused(
    durable: tuple[Craft, Recovered], name: str, made: Callable[[Craft, Block], QC], round_: int
) -> None:
    craft, recovered = durable
    certified = next(block for block in (*recovered.committed, *recovered.pending) if block.round == round_)
    wrong = part(recovered, "record", **{name: made(craft, certified)})
    assert refusal(craft, wrong).endswith(f"here, and {OTHER.hex()[:12]} by the certificate of round {round_}")


def test_a_state_that_a_pending_block_does_not_name_is_refused(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    last = recovered.committed[-1]
    pending = altered(recovered.pending[0], qc=other_state(craft, last))
    assert refusal(craft, altered(recovered, pending=(pending,))).endswith(
        f"here, and {OTHER.hex()[:12]} by the certificate of round 4"
    )


def test_certificates_of_other_blocks_say_nothing_of_the_state(durable: tuple[Craft, Recovered]) -> None:
    craft, recovered = durable
    fifth, sixth = recovered.pending
    for qc in (other_state(craft, fifth), other_state(craft, sixth), committing_other(craft, sixth)):
        assert craft.replica(2, recovered=part(recovered, "record", high_qc=qc)).tree.height == 4


def test_commits_without_a_record_are_refused(durable: tuple[Craft, Recovered]) -> None:
    """The replica has forgotten what it signed, and would sign again."""
    craft, recovered = durable
    assert refusal(craft, altered(recovered, record=None)) == (
        "there are 4 committed blocks, and no record of what was signed"
    )


def test_a_record_from_before_the_last_commit_is_refused(durable: tuple[Craft, Recovered]) -> None:
    """The record of the last write was lost: the replica would sign a second time in the rounds since."""
    craft, recovered = durable
    old = part(recovered, "record", high_qc=recovered.pending[0].qc, highest_vote_round=5)
    assert refusal(craft, old) == (
        "the record knows of certificates up to round 4, and the last commit is by the certificate of round 5"
    )


# --- power that goes in the middle of a step


class LosesTheLastLedger(Disk):
    """Breaks its promise: the ledger of each write reaches it only with the next one."""

    def __init__(self, machine: StateMachine, craft: Craft) -> None:
        super().__init__(machine, craft)
        self._late: Checkpoint | None = None

    @override
    def recover(self, kept_commits: int) -> Recovered | None:
        recovered = super().recover(kept_commits)
        return None if recovered is None else altered(recovered, checkpoint=self._late)

    @override
    def persist(self, effect: Persist) -> None:
        if effect.checkpoint is not None:
            self._late = self.checkpoint
        super().persist(effect)


def test_a_replica_whose_ledger_is_older_than_its_commits_does_not_run() -> None:
    rig = Rig(4)
    rig.nodes[1].disk = LosesTheLastLedger(rig.machine, rig.craft)
    for number in (1, 2):
        rig.request(number, b"increment")
        rig.run()
    assert len(rig.nodes[1].disk.committed) > 1
    rig.crash(1)
    with pytest.raises(Unrecoverable, match="committed"):
        rig.restart(1)


def test_a_crash_right_after_the_persist_leaves_the_same_state_as_no_crash() -> None:
    """A step commits and executes; the power goes after its one write. The log counts: an operation that was executed
    on a ledger without the one before it would be answered with another position, and voted for with another state."""
    for victim in range(4):
        rig = Rig(4)
        rig.request(1, b"increment")
        effects: list[Effect] = []
        while rig.nodes[victim].replica is not None:
            flight = rig.flights[0]
            probe = rig[flight.to].fork()
            writes = probe.step(Received(rig.nodes[flight.source].identity, flight.message))
            crash = flight.to == victim and any(
                isinstance(effect, Persist) and effect.checkpoint is not None for effect in writes
            )
            effects = rig.deliver(flight, crash_after=1 if crash else None)
        assert isinstance(effects[0], Persist)
        assert effects[0].committed
        rig.restart(victim)
        rig.run()
        for number in (2, 3):
            rig.request(number, b"increment")
            rig.run()
            for _ in range(8):
                if all(len(rig.executed(index)) == number for index in range(4)):
                    break
                for index in range(4):
                    if Timer.ROUND in rig.nodes[index].timers:
                        rig.fire(index)
                rig.run()
        answers = [{reply.number: reply.result for reply in node.replies} for node in rig.nodes]
        others = answers[(victim + 1) % 4]
        assert len(set(others.values())) == 3, "the log answers with the place of the entry"
        assert all(answers[victim][number] == others[number] for number in (2, 3))
        states = [{commit.height: commit.state_id for commit in node.commits} for node in rig.nodes]
        for height in range(1, min(map(len, states)) + 1):
            assert len({of_node[height] for of_node in states}) == 1
        assert not any(node.evidence for node in rig.nodes), "nobody voted for another state"
