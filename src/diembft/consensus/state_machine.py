"""The interface of a replicated state machine, as the protocol sees it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from diembft.messages.types import Block, Reply, Request


class Execution(NamedTuple):
    """The outcome of executing a block.

    `ledger` is the new state, immutable, sharing structure with the old one; `root` is a digest that equal histories
    share; `results` are the replies to the block's requests in their order, None where a request was a duplicate within
    the chain (its first execution has the reply), or is of a kind that is not executed.
    """

    ledger: Any
    root: bytes
    results: tuple[Reply | None, ...]


class StateMachine(Protocol):
    """A deterministic state machine over immutable states.

    Which (client, session, number) was executed belongs to the state, as a bounded window per session.
    """

    def genesis(self) -> Any:
        """The state before the first block."""
        ...

    def execute(self, ledger: Any, block: Block) -> Execution:
        """The state after the block's requests, executed in their order; duplicates are no-ops."""
        ...

    def answer(self, ledger: Any, request: Request) -> Reply | None:
        """The reply to a request that was executed (from the window of results) or is too old; None if it may be
        executed."""
        ...
