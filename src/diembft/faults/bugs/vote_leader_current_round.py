"""Votes go to the leader of the round they belong to, not to that of the next."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.leader_election import LeaderElection


class VoteLeaderCurrentRound(LeaderElection):
    """The leader of a round collects its votes."""

    __slots__ = ()

    @override
    def vote_collector(self, round_: int, tree: BlockTree) -> int:
        """One round too early."""
        return self.leader(round_, tree)
