"""One replica against everybody: messages that are well formed and properly signed, and mean any harm they can.

The others hold all other keys, so more than f are faulty and nothing is promised about agreement. But an exception out
of the core is our own bug whatever others send; what is refused leaves the state as it was; the contract of effects
(the rig asserts it) and the replica's own safety hold.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from diembft.consensus.config import Config
from diembft.consensus.effects import Effect, Rejected
from diembft.consensus.events import Connected, Event, Received, Requests
from diembft.consensus.recovery import Unrecoverable
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    Relay,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from tests.consensus.effort import examples
from tests.consensus.rig import Craft, Rig, altered, sent

ME = 2
OTHERS = (0, 1, 3)


class Adversary:
    """Makes messages at random, on what it made before."""

    def __init__(self, random: Random, rig: Rig) -> None:
        self.random = random
        self.rig = rig
        self.craft: Craft = rig.craft
        self.blocks: list[Block] = []
        self.qcs: list[QC] = [self.craft.genesis_qc]
        self.tcs: list[TC] = []
        self.number = 0

    def recent_qc(self) -> QC:
        return self.random.choice(self.qcs[-6:])

    def round_near(self, qc: QC) -> int:
        return qc.round + self.random.choice([1, 1, 1, 2, 3])

    def block(self) -> Block:
        qc = self.recent_qc()
        requests = [self.craft.request(self.random.randrange(6), b"op%d" % self.random.randrange(3))]
        payload = tuple(requests[: self.random.randrange(2)])
        round_ = self.random.choice([self.round_near(qc), max(qc.round + 1, self.rig[ME].current_round)])
        author = self.random.choice([*OTHERS, self.rig[ME].leader(round_)])
        block = self.craft.block(round_, qc, payload, author)
        self.blocks.append(block)
        return block

    def qc(self) -> QC:
        if not self.blocks or self.random.random() < 0.3:
            return self.recent_qc()
        signers = self.random.choice([[0, 1, 3], [0, 1, 2, 3], [1, 2, 3]])
        state_id = self.random.choice([None, None, None, bytes(32)])
        qc = self.craft.qc(self.random.choice(self.blocks[-4:]), signers, self.random.randrange(4), state_id=state_id)
        self.qcs.append(qc)
        return qc

    def commit_qc(self) -> QC:
        return self.craft.high_commit_qc(self.qc())

    def tc(self, round_: int) -> TC:
        known = [qc for qc in self.qcs if qc.round < round_]
        qc = self.random.choice(known)
        rounds = {signer: self.random.randrange(qc.round + 1) for signer in OTHERS}
        rounds[self.random.choice(OTHERS)] = qc.round
        tc = self.craft.tc(round_, qc, rounds)
        self.tcs.append(tc)
        return tc

    def fitting_tc(self, round_: int, qc: QC) -> TC | None:
        return None if qc.round == round_ - 1 else self.tc(round_ - 1)

    def message(self) -> Message:
        match self.random.randrange(9):
            case 0 | 1:
                block = self.block()
                return self.craft.proposal(block, self.fitting_tc(block.round, block.qc), self.commit_qc())
            case 2 | 3:
                block = self.random.choice(self.blocks) if self.blocks else self.block()
                state_id = self.random.choice([None, None, bytes(32)])
                sender = self.random.randrange(4)
                return self.craft.vote(block, sender, state_id=state_id, high_commit_qc=self.commit_qc())
            case 4 | 5:
                qc = self.qc()
                round_ = self.random.choice([self.round_near(qc), max(qc.round + 1, self.rig[ME].current_round)])
                tc = self.fitting_tc(round_, qc)
                return self.craft.timeout(round_, self.random.randrange(4), qc, tc, self.commit_qc())
            case 6:
                tc = self.random.choice([None, *self.tcs[-2:]])
                return SyncInfo(self.random.randrange(9), self.qc(), self.commit_qc(), tc)
            case 7:
                known = self.random.choice([*self.blocks[-5:], self.craft.genesis.block])
                wanted = self.random.choice([*self.blocks[-5:], self.craft.genesis.block])
                return BlockRequest(1, wanted.id, known.id, self.random.choice([1, 2, 50]))
            case _:
                return BlockResponse(1, self.chain())

    def chain(self) -> tuple[Block, ...]:
        """What the replica may have asked for: the way up to a block, or some blocks."""
        if not self.blocks or self.random.random() < 0.1:
            return tuple(self.random.choices(self.blocks, k=2)) if self.blocks else ()
        wanted = [qc.vote_info.id for qc in (self.rig[ME].tree.high_qc, self.rig[ME].tree.high_commit_qc)]
        tip = self.craft.blocks[self.random.choice([*wanted, self.random.choice(self.blocks).id])]
        chain: list[Block] = []
        while tip.round > 0:
            chain.append(tip)
            tip = self.craft.blocks[tip.qc.vote_info.id]
        chain.reverse()
        start = self.random.randrange(len(chain) + 1) if self.random.random() < 0.3 else 0
        return tuple(chain[start:][: self.random.choice([2, 3, 100])])

    def event(self) -> Event | None:
        """The next thing to happen; None: a timer, or a crash."""
        chance = self.random.random()
        if chance < 0.1:
            return None
        if chance < 0.14:
            self.number += 1
            request = self.craft.request(self.number % 7, b"op%d" % self.random.randrange(3))
            if chance < 0.12:
                return Requests((request,))
            return Received(self.random.choice(OTHERS), Relay(1, (request, altered(request, number=9))))
        if chance < 0.15:
            return Connected(self.random.choice(OTHERS))
        message = self.message()
        if self.random.random() < 0.1:
            message = self.spoiled(message)
        return Received(self.random.choice(OTHERS), message)

    def spoiled(self, message: Message) -> Message:
        """One field of it exchanged."""
        match message:
            case VoteMsg():
                return altered(message, sender=self.random.randrange(6))  # type: ignore[no-any-return]
            case TimeoutMsg():
                return altered(message, last_round_tc=self.random.choice([None, *self.tcs]))  # type: ignore[no-any-return]
            case SyncInfo():
                return altered(message, high_commit_qc=self.recent_qc())  # type: ignore[no-any-return]
            case _:
                return message


def crash_or_fire(random: Random, rig: Rig) -> None:
    timers = rig.nodes[ME].timers
    if timers and random.random() < 0.7:
        rig.fire(ME, random.choice(list(timers)))
    else:
        rig.crash(ME)
        rig.restart(ME)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 100]), st.booleans(), st.sampled_from([4, 1000]))
def test_nothing_that_others_send_raises(seed: int, sync_batch: int, rest: bool, max_pending_blocks: int) -> None:
    random = Random(seed)
    config = Config(n=4, sync_batch=sync_batch, rest=rest, max_pending_blocks=max_pending_blocks, window_size=2)
    rig = Rig(config=config, start=False)
    signed: dict[int, bytes] = {}

    def stepped(index: int, event: Event, effects: list[Effect]) -> None:
        for message in [message for _, message in sent(effects, VoteMsg) if message.sender == ME]:
            round_ = message.vote_info.round
            assert signed.setdefault(round_, message.vote_info.id) == message.vote_info.id, "one vote a round"
            assert message.vote_info.round > message.vote_info.parent_round
        for message in [message for _, message in sent(effects, TimeoutMsg) if message.tmo_info.sender == ME]:
            assert message.tmo_info.high_qc.round < message.tmo_info.round

    rig.observe = stepped
    rig.start(ME)
    adversary = Adversary(random, rig)
    for _ in range(150):
        event = adversary.event()
        if event is None:
            try:
                crash_or_fire(random, rig)
            except Unrecoverable:
                return  # the others are a quorum here: they may certify a state that is not that of their blocks
            continue
        replica = rig[ME]
        key, heights = replica.state_key(), (replica.tree.height, replica.safety.highest_vote_round)
        effects = rig.step(ME, event)
        rig.drop()
        if any(isinstance(effect, Rejected) for effect in effects):
            assert replica.state_key() == key
        assert replica.tree.height >= heights[0]
        assert replica.safety.highest_vote_round >= heights[1]
        assert replica.fork().state_key() == replica.state_key()
    assert rig[ME].current_round > rig[ME].tree.high_qc.round
