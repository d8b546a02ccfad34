"""Certificates are made, and accepted, from 2f signers: two of them need not share a correct one."""

from __future__ import annotations

from diembft.consensus.config import Config
from diembft.consensus.quorums import Quorums


class SmallQuorum(Quorums):
    """2f are enough, though never fewer than two."""

    __slots__ = ()

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.quorum = min(config.quorum, max(2, 2 * config.f))
