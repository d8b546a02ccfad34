"""When signers are enough: quorums, and sets that include a correct validator."""

from __future__ import annotations

from diembft.consensus.config import Config


class Quorums:
    """The two thresholds. Counts are of *distinct* validators."""

    __slots__ = ("at_least_one_correct", "quorum")

    def __init__(self, config: Config) -> None:
        self.quorum = config.quorum
        self.at_least_one_correct = config.at_least_one_correct

    def is_quorum(self, signers: int) -> bool:
        """Whether so many distinct signers make a certificate (report: 2f + 1; here n - f, for any n)."""
        return signers >= self.quorum

    def includes_correct(self, signers: int) -> bool:
        """Whether so many distinct signers include a correct one (f + 1)."""
        return signers >= self.at_least_one_correct

    def distinct(self, signers: tuple[int, ...]) -> int:
        """How many signers a certificate's list counts for: none at all if somebody stands in it twice.

        A seam: a planted bug counts messages instead (`faults/bugs/count_messages.py`).
        """
        return len(signers) if len(frozenset(signers)) == len(signers) else 0
