"""Votes go to the leader of the round they belong to, not to that of the next."""

from __future__ import annotations

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.leader_election import LeaderElection


class VoteLeaderCurrentRound(LeaderElection):
    """The leader of a round collects its votes."""

    __slots__ = ()

    def vote_collector(self, round_: int, tree: BlockTree) -> int:
        """See LeaderElection; one round too early."""
        return self.leader(round_, tree)
