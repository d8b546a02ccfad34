"""A log of entries: the smallest useful application, and the one that shows the order of execution."""

from __future__ import annotations

from immutables import Map


class AppendLog:
    """The log as an `Application`: every operation is an entry; its result is its index, in decimal ASCII digits.

    The state maps the index of each entry, from 0, to the entry.
    """

    __slots__ = ()

    def genesis(self) -> Map[int, bytes]:
        """See `diembft.ledger.application.Application`."""
        return Map()

    def apply(self, state: Map[int, bytes], operation: bytes) -> tuple[Map[int, bytes], bytes]:
        """See `diembft.ledger.application.Application`."""
        index = len(state)
        return state.set(index, operation), str(index).encode()
