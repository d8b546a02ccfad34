"""The parts of a replica that a Twins scenario supplies: who leads, and what is proposed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from typing_extensions import override

from diembft.client.requests import session_of, signed_request
from diembft.consensus.block_tree import BlockTree, Node
from diembft.consensus.config import Config
from diembft.consensus.effects import Reason
from diembft.consensus.leader_election import LeaderElection
from diembft.consensus.mempool import Mempool
from diembft.consensus.state_machine import Execution, StateMachine
from diembft.crypto.interface import Signer
from diembft.crypto.symbolic import client_signer
from diembft.messages.digests import Digests
from diembft.messages.types import Block, Payload, Reply, Request
from diembft.protocols.interface import Leaders


class ScriptedLeaders(LeaderElection):
    """Leaders by script, which all copies share."""

    __slots__ = ("leaders",)

    def __init__(self, config: Config, leaders: Leaders) -> None:
        super().__init__(config)
        self.leaders = leaders

    def fork(self) -> ScriptedLeaders:
        """The script is shared."""
        return self

    def leader(self, round_: int, tree: BlockTree) -> int:
        """The scripted leader."""
        return self.leaders.leader(round_)


class MarkerPayload(Mempool):
    """There is always something to propose: one marker named by (node, round). Requests are not taken."""

    __slots__ = ("_digests", "_node", "_session", "_signer")

    def __init__(self, config: Config, node: str, signer: Signer | None = None) -> None:
        super().__init__(config)
        self._node = node
        self._session = session_of(node)
        self._signer = signer or client_signer(node)
        self._digests = Digests(config.chain_id, config.epoch)

    def fork(self) -> MarkerPayload:
        """There is no state."""
        return self

    def state_key(self) -> Hashable:
        """There is no state."""
        return self._node

    def refusal(self, request: Request) -> Reason | None:
        """Nothing is taken."""
        return Reason.FULL

    def select(self, round_: int, ancestors: Iterable[Node]) -> Payload:
        """The marker."""
        return (signed_request(self._signer, self._digests, self._node, self._session, round_, (b"",)),)

    def forget(self, payload: Payload) -> None:
        """Nothing was kept."""


class MarkerMachine(StateMachine):
    """A state machine without state: markers have no effect beyond the block that they are in."""

    @override
    def genesis(self) -> Any:
        return None

    @override
    def execute(self, ledger: Any, block: Block) -> Execution:
        return Execution(None, b"", ())

    @override
    def answer(self, ledger: Any, request: Request) -> Reply | None:
        return None
