"""A timeout does not raise `highest_vote_round`: its round may still be voted in."""

from __future__ import annotations

from diembft.consensus.safety import Safety


class NoTimeoutLock(Safety):
    """Gives up on a round and forgets that it did."""

    __slots__ = ()

    def stop_voting(self, round_: int) -> None:
        """See Safety; nothing is excluded."""
