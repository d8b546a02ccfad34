"""The interface of an application: all that somebody writes in order to replicate a service of their own."""

from __future__ import annotations

from typing import Protocol, TypeVar

S = TypeVar("S")


class Application(Protocol[S]):
    """A deterministic service over immutable states of type `S`.

    Wrapped by `diembft.ledger.sessions.Sessions`, which executes each request of a client once, it is a replicated
    state machine.
    """

    def genesis(self) -> S:
        """The state before the first operation."""
        ...

    def apply(self, state: S, operation: bytes) -> tuple[S, bytes]:
        """The state after the operation, and its result.

        Total and deterministic: operations come from clients, so any bytes must give a result, and on every replica the
        same one (no clock, no randomness, no text of a library's error). `state` must stay as it is: forks of the chain
        share it.
        """
        ...
