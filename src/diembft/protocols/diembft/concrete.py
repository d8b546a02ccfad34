"""From a summary back to a state of the real core that it stands for.

A key that is exact stands for all states that it was computed from, and for this one: the base is genesis, named
blocks get the lowest rounds that keep their order and their gaps, and there is nothing between them. Equal parts of
states thus become equal nodes, whose joint outcomes are remembered across states and levels. Where a summary cannot
be rebuilt (conflicting commits, crashes, most planted bugs), the state itself is used; that the rebuilt state behaves
as the original does is one of the checks (docs/exhaustion.md).
"""

from __future__ import annotations

from diembft.consensus.block_tree import Node
from diembft.consensus.replica import Replica
from diembft.crypto.symbolic import replica_signer
from diembft.messages.digests import Digests
from diembft.messages.types import QC, TC, Block, LedgerCommitInfo, ProposalMsg, VoteInfo
from diembft.protocols.diembft.canonical import ALL_BLOCKS, BEHIND, IN_DOUBT, IN_ROUND, OLD, Descent, Rules, View
from diembft.protocols.diembft.system import CHAIN_ID, DiemBftSystem
from diembft.protocols.interface import NOBODY
from diembft.protocols.states import ALL, NOTHING_SIGNED, Kept, NodeState, Rebuilt, Signed, Summary, VoteSigned
from diembft.trace.diembft import content_of

_DIGESTS = Digests(CHAIN_ID, 0)


class _Blocks:
    """The blocks of a summary as executed nodes: the base, then per named block those in between and itself."""

    def __init__(self, system: DiemBftSystem, genesis: Replica) -> None:
        self.system = system
        self.tree = genesis.tree
        self.verifier = genesis.verifier
        self.base = genesis.tree.root
        self.named: list[Node] = [self.base]
        self.qcs: dict[bytes, QC] = {self.base.block.id: genesis.tree.high_qc}
        self.signers = tuple(range(system.cast.quorum))

    def add(self, parent: Node, round_: int) -> Node:
        """A certified block."""
        qc = self.qcs[parent.block.id]
        block = Block(0, round_, 0, (), qc, _DIGESTS.block(0, round_, 0, (), qc))
        node = self.tree.execute(block)
        self.tree.insert(node)
        vote_info = VoteInfo(block.id, round_, parent.block.id, parent.block.round, node.state_id)
        commits = self.verifier.commit_rule(parent.block.round, round_)
        info = LedgerCommitInfo(parent.state_id if commits else None, _DIGESTS.vote_info(vote_info))
        digest = _DIGESTS.vote(info)
        signatures = tuple([(signer, replica_signer(signer).sign(digest)) for signer in self.signers])
        author_signature = replica_signer(0).sign(_DIGESTS.qc(info, signatures))
        self.qcs[block.id] = QC(vote_info, info, signatures, 0, author_signature)
        return node

    def path(self, node: Node) -> list[Node]:
        """From above the base up to this node."""
        path: list[Node] = []
        while node is not self.base:
            path.append(node)
            node = self.tree.nodes[node.block.qc.vote_info.id]
        path.reverse()
        return path

    def qc(self, rank: int) -> QC:
        """The QC of a named block."""
        return self.qcs[self.named[rank].block.id]


def rebuild(system: DiemBftSystem, rules: Rules, summary: Summary, leader: int) -> Rebuilt | None:
    """A state that the summary stands for; None if it is of a kind that is not rebuilt.

    Nodes stand in the order of the summary's entries. `leader` leads the round.
    """
    if rules.crashes:
        return None
    blocks = _Blocks(system, system.node(0))
    if not _build(blocks, summary.chains):
        return None
    age = summary.chains[-1].age if summary.chains else summary.base_age
    round_ = blocks.named[-1].block.round + (age or (3 if summary.last else 2))
    system.leaders.clear()
    system.leaders[round_] = leader
    nodes = []
    everywhere = tuple(range(1, len(blocks.named)))
    for node, entry in enumerate(summary.entries):
        behind = round_ - (2 if summary.last else 1)
        holds = everywhere if entry.view.blocks == ALL_BLOCKS else entry.view.blocks
        state = _node(system, blocks, node, entry.view, round_, behind=behind, holds=holds)
        if state is None:
            return None
        nodes.append(state)
    return Rebuilt(round_, tuple(nodes))


def _build(blocks: _Blocks, chains: tuple[Descent, ...]) -> bool:
    """Give every named block a round, in their order, each as low as its flags and the one before it allow."""
    round_ = 0
    for rank, chain in enumerate(chains, 1):
        if not chain.on_base:
            return False
        of_neighbours = rank > 1 and chain.age == 1 and chains[rank - 2].age == 2
        round_ += 1 if chain.commits or of_neighbours else 2
        parent = blocks.named[chain.below]
        if blocks.verifier.commit_rule(parent.block.round, round_) != chain.commits:
            return False  # not by these rounds
        blocks.named.append(blocks.add(parent, round_))
    return True


def _node(
    system: DiemBftSystem,
    blocks: _Blocks,
    node: int,
    view: View,
    round_: int,
    *,
    behind: int,
    holds: tuple[int, ...],
) -> NodeState | None:
    """A node; `behind` is the highest round that a node that is left behind may be in, `holds` are the ranks of the
    blocks that it has, but for what it has committed past."""
    replica = system.node(node)
    tree, pacemaker, safety = replica.tree, replica.pacemaker, replica.safety
    root = blocks.named[view.root]
    committed = blocks.path(root)
    tree.root = root
    tree.height = len(committed)
    tree.committed = {one.block.id: one.block for one in committed}
    tree.nodes = {root.block.id: root}
    if IN_DOUBT in view.blocks or view.wanted or view.incomplete or view.sent:
        return None
    needed = (view.high_qc, max(view.proposal_qc, 0))
    for rank in (*needed, *holds):
        path = blocks.path(blocks.named[rank])
        if path and path[: len(committed)] != committed[: len(path)]:
            if rank in needed:
                return None
            continue  # what conflicts with what it has committed, it has dropped
        tree.nodes.update({one.block.id: one for one in path[len(committed) :]})
    tree.high_qc = blocks.qc(view.high_qc)
    tree.high_commit_qc = blocks.qc(view.high_commit)
    if view.stage == BEHIND:
        pacemaker.current_round = tree.high_qc.vote_info.round + 1
        if pacemaker.current_round > behind:
            return None
        replica.rest.timer_round = pacemaker.current_round
        safety.highest_vote_round = pacemaker.current_round
        return NodeState(replica, (), None, NOTHING_SIGNED)
    pacemaker.current_round = round_ if view.stage == IN_ROUND else round_ - 1
    replica.rest.timer_round = pacemaker.current_round
    safety.highest_vote_round = round_ - 1
    if tree.high_qc.vote_info.round != pacemaker.current_round - 1:
        # Where the key does not say how high the QCs of its TC are, that does not matter.
        place = 2 * view.high_qc if view.tc_high == OLD else view.tc_high
        pacemaker.last_round_tc = _tc(system, blocks, place, pacemaker.current_round - 1)
    kept: list[Kept] = []
    signed = NOTHING_SIGNED
    if view.proposal_qc != OLD:
        message_tc = None if view.proposal_tc_high == OLD else _tc(system, blocks, view.proposal_tc_high, round_ - 1)
        qc, tc = blocks.qc(view.proposal_qc), message_tc
        parent = tree.nodes.get(qc.vote_info.id)
        if parent is None:
            return None
        payload = replica.mempool.select(round_, ())
        block = Block(replica.me, round_, 0, payload, qc, _DIGESTS.block(replica.me, round_, 0, payload, qc))
        own = tree.execute(block)
        high_commit = blocks.qc(view.proposal_commit)
        vote = safety.make_vote(block, tc, own.state_id, parent.state_id, high_commit)
        if vote is None:
            return None
        tree.nodes[block.id] = own
        proposal = ProposalMsg(block, tc, high_commit, safety.sign_proposal(block))
        replica.proposals[replica.me] = proposal
        kept = [Kept(ALL, proposal), Kept(NOBODY, vote)]
        signed = Signed((VoteSigned(round_, content_of(vote), qc.vote_info.round),))
    elif view.voted:
        return None
    replica._out = []
    return NodeState(replica, tuple(kept), None, signed)


def _tc(system: DiemBftSystem, blocks: _Blocks, place: int, round_: int) -> TC:
    """A TC whose highest QC stands at this place among the named blocks (even: on one; odd: above one)."""
    qc = blocks.qc(place // 2)
    qc_round = qc.vote_info.round
    digest = _DIGESTS.timeout(round_, qc_round)
    signatures = tuple([(signer, replica_signer(signer).sign(digest)) for signer in blocks.signers])
    return TC(round_, tuple([qc_round for _ in signatures]), signatures, qc)
