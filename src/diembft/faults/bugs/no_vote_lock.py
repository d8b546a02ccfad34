"""`highest_vote_round` is not checked before a vote."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.safety import Safety


class NoVoteLock(Safety):
    """Votes in any round, whatever was signed in it before."""

    __slots__ = ()

    @override
    def above_last_vote(self, round_: int) -> bool:
        """Always."""
        return True
