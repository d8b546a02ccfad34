"""Failure injection by attributes: a replica whose state a test case changes between two steps (`FailType.SetAttr`).

Such a replica is Byzantine. It is a subclass, so that the protocol knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Self

from typing_extensions import override

from diembft.consensus.block_tree import Node
from diembft.consensus.mempool import Mempool
from diembft.consensus.replica import Replica
from diembft.faults.planting import Planting
from diembft.messages.sizes import operations_bytes
from diembft.messages.types import Payload


class Tampered(Replica):
    """A replica with attributes that can be set."""

    leader_override: tuple[int, int] | None = None
    """(round, leader), if it was changed who leads."""
    duplicate_transactions: bool = False
    """Whether, as a leader, it puts requests into its blocks that the chain has already."""

    def set_attribute(self, name: str, value: int) -> None:
        """Change the state between two steps. Raises ValueError for an attribute that there is not."""
        match name:
            case "highest_vote_round":
                self.safety.highest_vote_round = value
            case "highest_qc_round":
                self.safety.highest_qc_round = value
            case "current_round" | "round":
                self.pacemaker.current_round = value
                self.pacemaker.timeouts.clear()
                self.proposals.clear()
            case "leader":
                self.leader_override = (self.current_round, value)
            case "duplicate_transactions":
                self.duplicate_transactions = bool(value)
            case _:
                raise ValueError(f"no attribute {name!r}")

    @override
    def leader(self, round_: int) -> int:
        if self.leader_override is not None and self.leader_override[0] == round_:
            return self.leader_override[1]
        return super().leader(round_)

    @override
    def vote_collector(self, round_: int) -> int:
        if self.leader_override is not None and self.leader_override[0] == round_ + 1:
            return self.leader_override[1]
        return super().vote_collector(round_)

    @override
    def process_new_round_event(self) -> None:
        if not self.duplicate_transactions:
            super().process_new_round_event()
            return
        own = self.mempool
        committed = [block.payload for block in self.tree.committed.values() if block.payload]
        self.mempool = RepeatingMempool(own, committed[-1] if committed else ())
        super().process_new_round_event()
        self.mempool = own

    @override
    def fork(self) -> Self:
        copy = super().fork()
        copy.leader_override = self.leader_override
        copy.duplicate_transactions = self.duplicate_transactions
        return copy

    @override
    def state_key(self) -> Hashable:
        return (super().state_key(), self.leader_override, self.duplicate_transactions)


class RepeatingMempool(Mempool):
    """The same requests as another mempool, which it shares; to a block it gives some first that the chain has."""

    __slots__ = ("_committed",)

    def __init__(self, own: Mempool, committed: Payload) -> None:
        self._config = own._config
        self._waiting = own._waiting
        self._per_client = own._per_client
        self._committed = committed

    @override
    def select(self, round_: int, ancestors: Iterable[Node]) -> Payload:
        """The requests of the last block before the new one that has any, committed or not; then what is right."""
        ancestors = tuple(ancestors)
        before = [node.block.payload for node in ancestors if node.block.payload]
        repeated = before[-1] if before else self._committed
        count, space = self._config.max_block_requests, self._config.max_block_bytes
        operations = self._config.max_block_operations
        payload = (*repeated, *super().select(round_, ancestors))[:count]
        # As large as a block may be: one that is larger is refused, and nobody sees the requests in it.
        while sum(map(operations_bytes, payload)) > space or sum([len(one.operations) for one in payload]) > operations:
            payload = payload[:-1]
        return payload


def tampered(bugs: Planting) -> type[Tampered]:
    """The class of replicas with these bugs whose attributes can be set."""
    return bugs.mixed(Tampered)
