"""DiemBFT for exhaustion: the real core, its states between two steps, and their keys."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from typing_extensions import override

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.effects import Checkpoint, Persist, SafetyRecord
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.faults.registry import plant
from diembft.messages.types import QC, TC, Block, Message, ProposalMsg, SyncInfo, TimeoutMsg, VoteMsg, round_of
from diembft.protocols.cast import Cast
from diembft.protocols.diembft.canonical import NO_ROUND, BlockRegistry, NodeFacts, Rules, summary, tc_high
from diembft.protocols.diembft.concrete import rebuild
from diembft.protocols.diembft.system import CHAIN_ID, DiemBftSystem
from diembft.protocols.interface import NOBODY, Exploring
from diembft.protocols.state_keys import StateKeys
from diembft.protocols.states import Kept, NodeState, Rebuilt, Step, Summary

UNBOUNDED = 1 << 15
"""For limits of the core that no model shall meet."""


class Durable(NamedTuple):
    """What a node has persisted."""

    record: SafetyRecord | None
    blocks: tuple[Block, ...]
    committed: tuple[bytes, ...]
    checkpoint: Checkpoint | None


NOTHING_DURABLE = Durable(None, (), (), None)


class DiemBftExploring(Exploring):
    """Steps the real core, and says what it sends, commits and keeps."""

    crashes = True

    @override
    def system(self, cast: Cast, bugs: tuple[str, ...]) -> DiemBftSystem:
        config = Config(
            n=cast.n,
            chain_id=CHAIN_ID,
            rest=False,
            timer_growth=1.0,
            max_rounds_ahead=UNBOUNDED,
            max_pending_blocks=UNBOUNDED,
            sync_batch=UNBOUNDED,
        )
        return DiemBftSystem(cast, plant(bugs), config.delta_s, config=config)

    @override
    def keys(self, system: DiemBftSystem, bugs: tuple[str, ...], *, crashes: bool) -> DiemBftKeys:
        return DiemBftKeys(system, crashes=crashes)

    @override
    def order(self, message: Message, proposers: Mapping[bytes, int]) -> tuple[int, ...]:
        kind = _KIND_ORDER[type(message)]
        match message:
            case VoteMsg():
                info = message.vote_info
                return (kind, info.round, proposers.get(info.id, NOBODY), _qc(message.high_commit_qc))
            case TimeoutMsg():
                high_qc = _qc(message.tmo_info.high_qc)
                tc = message.last_round_tc
                return (kind, message.tmo_info.round, -high_qc, _qc(message.high_commit_qc), tc_high(tc))
            case SyncInfo():
                commit = _qc(message.high_commit_qc)
                return (kind, message.round, -_qc(message.high_qc), commit, tc_high(message.last_round_tc))
            case _:
                return (kind, round_of(message))

    @override
    def root(self, replica: Replica) -> Block:
        return replica.tree.root.block

    @override
    def has_committed(self, replica: Replica, block: bytes) -> bool:
        return block in replica.tree.committed

    @override
    def certificates(self, replica: Replica) -> Sequence[QC | TC]:
        tc = replica.pacemaker.last_round_tc
        return (replica.tree.high_qc,) if tc is None else (replica.tree.high_qc, tc)

    @override
    def has_own(self, replica: Replica, vote: VoteMsg) -> bool:
        return replica.me in replica.tree.bucket(vote)

    @override
    def progress(self, replica: Replica) -> Hashable:
        tree = replica.tree
        return (tree.high_qc.vote_info.id, tree.height, len(tree.nodes))

    @override
    def persisted(self, durable: Durable | None, effect: Persist, replica: Replica) -> Durable:
        _, blocks, committed, checkpoint = durable or NOTHING_DURABLE
        return Durable(
            effect.record, blocks + effect.blocks, committed + effect.committed, effect.checkpoint or checkpoint
        )

    @override
    def recovered(self, durable: Durable | None) -> Recovered:
        record, blocks, durably_committed, checkpoint = durable or NOTHING_DURABLE
        committed = set(durably_committed)
        return Recovered(
            record,
            tuple([block for block in blocks if block.id in committed]),
            checkpoint,
            tuple([block for block in blocks if block.id not in committed]),
        )


_KIND_ORDER: Mapping[type, int] = {ProposalMsg: 0, VoteMsg: 1, TimeoutMsg: 2, SyncInfo: 3}


def _qc(qc: QC) -> int:
    return qc.vote_info.round


class DiemBftKeys(StateKeys):
    """The keys of DiemBFT's states; what goes into them is in `canonical`."""

    def __init__(self, system: DiemBftSystem, *, crashes: bool) -> None:
        self.system = system
        self.rules = Rules(crashes, system.node(0).verifier.commit_rule)
        self._certified: set[bytes] = set()
        self._registry = BlockRegistry()

    @override
    def settle(self, replica: Replica, *, settles: bool) -> None:
        tree = replica.tree
        tree.votes.clear()
        if settles:
            replica.pacemaker.timeouts.clear()
        self._certified.add(tree.high_qc.vote_info.id)
        self._certified.add(tree.high_commit_qc.vote_info.id)

    @override
    def raw(self, round_: int, state: NodeState) -> Hashable:
        """Dead are (docs/exhaustion.md) votes and timeouts that were delivered, who signed a certificate,
        blocks of earlier rounds that nobody certified, whom it asked for blocks.
        """
        replica: Replica = state.replica
        tree, safety, pacemaker = replica.tree, replica.safety, replica.pacemaker
        if not self.rules.crashes:
            self._forget_dead(tree, max(round_, pacemaker.current_round))
        return (
            replica.mempool.state_key(),
            pacemaker.current_round,
            safety.highest_vote_round,
            tree.high_qc.vote_info.id,
            tree.high_commit_qc.vote_info.id,
            tree.root.block.id,
            frozenset(tree.nodes),
            pacemaker.last_round_tc and pacemaker.last_round_tc.round,
            tc_high(pacemaker.tc_for(tree.high_qc)),
            tuple([message.block.id for message in replica.proposals.values()]),
            tuple([_kept_key(kept) for kept in state.kept]),
            safety.voted_id if safety.highest_vote_round >= pacemaker.current_round else None,
            (state.durable, safety.state_key(), replica.last_sent) if self.rules.crashes else None,
            state.signed if self.rules.crashes else state.signed.since(round_ - 1),
        )

    def _forget_dead(self, tree: BlockTree, latest: int) -> None:
        """Take away the blocks of rounds before `latest` that nobody certified, here or in any state met so far.

        It does not do to leave them out of the tuple alone: equal tuples become one node, for good, and what nobody
        has certified so far may be certified in another state, by then at a node that has the block and at one that
        has not. So a node has no such block any more: should it need one, it asks for it, as one would that never
        had it.
        """
        nodes, certified = tree.nodes, self._certified
        living = {tree.root.block.id}
        for id_, node in nodes.items():
            if node.block.round >= latest or id_ in certified:
                while id_ in nodes and id_ not in living:
                    living.add(id_)
                    id_ = nodes[id_].block.qc.vote_info.id
        for id_ in [id_ for id_ in nodes if id_ not in living]:
            del nodes[id_]

    @override
    def exact(self, state: NodeState) -> Hashable:
        replica: Replica = state.replica
        return (replica.mempool.state_key(), replica.state_key(), state.kept, state.durable, state.signed)

    @override
    def facts(self, state: NodeState) -> NodeFacts:
        return self._registry.facts(state, crashes=self.rules.crashes)

    @override
    def look(self, facts: NodeFacts, round_: int) -> tuple[int, ...]:
        return (
            round_ - facts.round,
            round_ - facts.high_qc_round,
            round_ - facts.high_commit_round,
            round_ - facts.root_round,
            facts.voted,
            facts.tc_high != NO_ROUND,
        )

    @override
    def summary(self, nodes: Sequence[NodeFacts], step: Step) -> Summary | None:
        return summary(self.system.cast, self.rules, self._registry, nodes, step)

    @override
    def rebuild(self, summary: Summary, leader: int) -> Rebuilt | None:
        return rebuild(self.system, self.rules, summary, leader)


def _kept_key(kept: Kept) -> Hashable:
    message = kept.message
    if isinstance(message, ProposalMsg):
        return (message.block.id, tc_high(message.last_round_tc), message.high_commit_qc.vote_info.id)
    if isinstance(message, TimeoutMsg):
        info = message.tmo_info
        return (
            info.round,
            info.high_qc.vote_info.id,
            tc_high(message.last_round_tc),
            message.high_commit_qc.vote_info.id,
        )
    return (kept.to, message)
