"""Block tree: pending blocks above the last commit, the two high QCs, and the votes (report, section 3.2).

Every pending block descends from the last committed block, the root, and has been executed: speculation and commit
of the ledger happen here. A block whose parent is missing is not kept; sync brings its ancestors first.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from msgspec import Struct

from diembft.consensus.config import Config
from diembft.consensus.genesis import Genesis
from diembft.consensus.quorums import Quorums
from diembft.consensus.state_machine import StateMachine
from diembft.messages.digests import Digests
from diembft.messages.types import QC, Block, LedgerCommitInfo, Reply, Request, VoteMsg

MAX_VOTES_OF_ONE_AUTHOR = 2
"""How many different votes of one author in one round are kept: the second is evidence, more prove nothing new."""

RequestKey = tuple[str, bytes, int]
"""What identifies a request: its client, session and number."""

NO_KEYS: frozenset[RequestKey] = frozenset()


def key_of(request: Request) -> RequestKey:
    """What identifies a request."""
    return request.client, request.session, request.number


class Node(Struct, frozen=True, gc=False):
    """An executed block."""

    block: Block
    state_id: bytes
    ledger: Any
    """The state of the ledger after the block."""
    results: tuple[Reply | None, ...]
    request_keys: frozenset[RequestKey]
    """Of the block's requests."""
    work_round: int
    """The round of the last non-empty block up to this one, 0 if there is none."""
    commit_round: int
    """The round of the last block that is committed by a QC inside the chain up to this block."""


class BlockTree:
    """The blocks and certificates that one replica holds."""

    __slots__ = (
        "_config",
        "_digests",
        "_genesis_id",
        "_kept_commits",
        "_machine",
        "_quorums",
        "committed",
        "height",
        "high_commit_qc",
        "high_qc",
        "nodes",
        "root",
        "votes",
    )

    def __init__(
        self, config: Config, digests: Digests, genesis: Genesis, machine: StateMachine, quorums: Quorums
    ) -> None:
        self._config = config
        self._digests = digests
        self._machine = machine
        self._quorums = quorums
        self._genesis_id = genesis.block.id
        self._kept_commits = config.kept_commits
        self.high_qc = genesis.qc
        self.high_commit_qc = genesis.qc
        self.root = Node(genesis.block, genesis.state_id, machine.genesis(), (), NO_KEYS, 0, 0)
        self.height = 0
        """The number of committed blocks after genesis."""
        self.nodes: dict[bytes, Node] = {genesis.block.id: self.root}
        """The root and what is pending above it, parents before children."""
        self.committed: dict[bytes, Block] = {}
        """The last committed blocks, oldest first, without genesis; as many as leader reputation and answers to peers
        need."""
        self.votes: dict[int, dict[LedgerCommitInfo, dict[int, VoteMsg]]] = {}
        """By round, by what was voted for, by signer."""

    def fork(self) -> BlockTree:
        """An independent copy that shares blocks and ledger states."""
        copy = object.__new__(type(self))
        copy._config = self._config
        copy._digests = self._digests
        copy._machine = self._machine
        copy._quorums = self._quorums
        copy._genesis_id = self._genesis_id
        copy._kept_commits = self._kept_commits
        copy.high_qc = self.high_qc
        copy.high_commit_qc = self.high_commit_qc
        copy.root = self.root
        copy.height = self.height
        copy.nodes = self.nodes.copy()
        copy.committed = self.committed.copy()
        copy.votes = {
            round_: {info: votes.copy() for info, votes in buckets.items()} for round_, buckets in self.votes.items()
        }
        return copy

    def state_key(self) -> Hashable:
        """The whole state, exact: ids stand for blocks and for the states that follow from them."""
        return (
            self.high_qc,
            self.high_commit_qc,
            self.height,
            (self.root.work_round, self.root.commit_round),
            tuple(self.nodes),
            tuple(self.committed),
            tuple(
                (round_, tuple((info, tuple(sorted(votes.items()))) for info, votes in buckets.items()))
                for round_, buckets in sorted(self.votes.items())
            ),
        )

    # --- certificates

    def process_qc(self, qc: QC) -> bool:
        """Report, `process_qc`: two independent maxima. Returns whether either rose; commits are taken by `commit`."""
        rose = False
        round_ = qc.vote_info.round
        if round_ > self.high_qc.vote_info.round:
            self.high_qc = qc
            rose = True
        if qc.ledger_commit_info.commit_state_id is not None and round_ > self.high_commit_qc.vote_info.round:
            self.high_commit_qc = qc
            rose = True
        return rose

    def committed_by(self, qc: QC) -> tuple[bytes, int] | None:
        """Id and round of the block that this QC commits, if it commits any: the parent of the certified block."""
        if qc.ledger_commit_info.commit_state_id is None:
            return None
        return qc.vote_info.parent_id, qc.vote_info.parent_round

    def qc_of_round(self, round_: int) -> QC | None:
        """The QC of a round if it is the high QC or the one inside the block that the high QC certifies."""
        high_qc = self.high_qc
        if high_qc.vote_info.round == round_:
            return high_qc
        node = self.nodes.get(high_qc.vote_info.id)
        if node is not None and node.block.qc.vote_info.round == round_:
            return node.block.qc
        return None

    # --- blocks

    def execute(self, block: Block) -> Node:
        """The block's node: its requests executed on the speculated state of its parent, which must be held."""
        parent = self.nodes[block.qc.vote_info.id]
        outcome = self._machine.execute(parent.ledger, block)
        by_qc = self.committed_by(block.qc)
        return Node(
            block,
            self._digests.state(parent.state_id, block.id, outcome.root),
            outcome.ledger,
            outcome.results,
            frozenset(map(key_of, block.payload)) if block.payload else NO_KEYS,
            block.round if block.payload else parent.work_round,
            parent.commit_round if by_qc is None else max(parent.commit_round, by_qc[1]),
        )

    def insert(self, node: Node) -> None:
        """Keep an executed block."""
        assert node.block.qc.vote_info.id in self.nodes, "because a block is executed on a parent that is held"
        if len(self.nodes) > self._config.max_pending_blocks:
            self._forget_forks(node.block.qc.vote_info.id)
        self.nodes[node.block.id] = node

    def _forget_forks(self, parent_id: bytes) -> None:
        """Keep only the chain of the high QC and that of this block; what is certified after all is fetched again.

        These chains are as long as the protocol goes on without a commit: one certified block a round at most, which no
        single validator can make grow.
        """
        chains = (self.path(self.high_qc.vote_info.id), self.path(parent_id))
        kept = {node.block.id for chain in chains for node in chain}
        self.nodes = {id_: node for id_, node in self.nodes.items() if id_ in kept or node is self.root}

    def path(self, block_id: bytes) -> list[Node]:
        """The pending blocks from above the root up to this one, oldest first; empty if it is not pending."""
        path: list[Node] = []
        node = self.nodes.get(block_id)
        while node is not None and node is not self.root:
            path.append(node)
            node = self.nodes[node.block.qc.vote_info.id]
        path.reverse()
        return path

    def commit(self, qc: QC) -> list[Node]:
        """Commit what this QC commits and all its uncommitted ancestors, oldest first, if the blocks are held; prune.

        The walk ends at the last committed block's id, whatever gaps there are in the rounds.
        """
        target = self.committed_by(qc)
        path = [] if target is None else self.path(target[0])
        for node in path:
            self._keep_committed(node.block)
        if path:
            self.height += len(path)
            self._prune(path[-1])
        return path

    def _keep_committed(self, block: Block) -> None:
        if len(self.committed) >= self._kept_commits:
            del self.committed[next(iter(self.committed))]
        self.committed[block.id] = block

    def _prune(self, root: Node) -> None:
        """Forget all that does not descend from the new root."""
        self.root = root
        kept = {root.block.id: root}
        for block_id, node in self.nodes.items():
            if node.block.qc.vote_info.id in kept:
                kept[block_id] = node
        self.nodes = kept

    def committed_after(self, block_id: bytes) -> list[Block] | None:
        """The committed blocks at hand that follow this one, oldest first; None if it is not at hand."""
        blocks = list(self.committed.values())
        if block_id == self._genesis_id and self.height == len(blocks):
            return blocks
        if block_id not in self.committed:
            return None
        return blocks[list(self.committed).index(block_id) + 1 :]

    def restore(self, committed: tuple[Block, ...], height: int, state_id: bytes, ledger: Any) -> None:
        """Begin from the last of these durable blocks, oldest first, rather than from genesis."""
        work_round = commit_round = 0
        for block in committed:
            by_qc = self.committed_by(block.qc)
            work_round = block.round if block.payload else work_round
            commit_round = commit_round if by_qc is None else by_qc[1]
        root = committed[-1]
        self.root = Node(root, state_id, ledger, (), NO_KEYS, work_round, commit_round)
        self.height = height
        self.nodes = {root.id: self.root}
        self.committed = {block.id: block for block in committed}

    # --- votes

    def counted_as(self, vote: VoteMsg, bucket: dict[int, VoteMsg]) -> int:
        """As what a vote counts in its bucket: as its signer's, so that nobody counts twice.

        A seam: a planted bug counts messages instead (`faults/bugs/count_messages.py`).
        """
        return vote.sender

    def bucket(self, vote: VoteMsg) -> dict[int, VoteMsg]:
        """The votes that are kept for the same commit info in the same round."""
        return self.votes.get(vote.vote_info.round, {}).get(vote.ledger_commit_info, {})

    def other_votes(self, vote: VoteMsg) -> list[VoteMsg]:
        """The votes of this author in this round for something else."""
        buckets = self.votes.get(vote.vote_info.round, {})
        return [
            votes[vote.sender]
            for info, votes in buckets.items()
            if info != vote.ledger_commit_info and vote.sender in votes
        ]

    def add_vote(self, vote: VoteMsg) -> dict[int, VoteMsg]:
        """Keep a vote; the bucket that it is in."""
        buckets = self.votes.setdefault(vote.vote_info.round, {})
        bucket = buckets.setdefault(vote.ledger_commit_info, {})
        bucket[self.counted_as(vote, bucket)] = vote
        return bucket

    def forget_votes(self, below: int) -> None:
        """Drop the votes of rounds below this one."""
        if self.votes:
            for round_ in [round_ for round_ in self.votes if round_ < below]:
                del self.votes[round_]
