"""A replica may vote again in the round it last voted in, for another block."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.safety import Safety


class ConflictingVotes(Safety):
    """A round that was voted in is open as long as it was not timed out in."""

    __slots__ = ()

    @override
    def above_last_vote(self, round_: int) -> bool:
        """Wrong for the round of the last vote."""
        return super().above_last_vote(round_) or (round_ == self.highest_vote_round and self.voted_id is not None)
