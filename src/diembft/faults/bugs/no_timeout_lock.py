"""A timeout does not raise `highest_vote_round`: its round may still be voted in."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.safety import Safety


class NoTimeoutLock(Safety):
    """Gives up on a round and forgets that it did."""

    __slots__ = ()

    @override
    def stop_voting(self, round_: int) -> None:
        """Nothing is excluded."""
