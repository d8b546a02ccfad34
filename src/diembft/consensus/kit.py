"""The parts that a replica is made of.

Planted bugs and Byzantine actors (`diembft.faults`) replace one of them by a subclass that overrides one small
rule; the protocol itself knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.leader_election import LeaderElection
from diembft.consensus.mempool import Mempool
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.quorums import Quorums
from diembft.consensus.safety import Safety
from diembft.consensus.verification import Verifier


@dataclass(frozen=True)
class Kit:
    """The classes of a replica's parts; for leader election and mempool, anything that makes one."""

    quorums: type[Quorums] = Quorums
    verifier: type[Verifier] = Verifier
    safety: type[Safety] = Safety
    block_tree: type[BlockTree] = BlockTree
    pacemaker: type[Pacemaker] = Pacemaker
    leader_election: Callable[[Config], LeaderElection] = LeaderElection
    mempool: Callable[[Config], Mempool] = Mempool


CORRECT = Kit()
"""The protocol as specified."""
