"""A log of entries: the smallest useful application, and the one that shows the order of execution."""

from __future__ import annotations

from immutables import Map
from typing_extensions import override

from diembft.ledger.application import Application


class AppendLog(Application[Map[int, bytes]]):
    """The log as an `Application`: every operation is an entry; its result is its index, in decimal ASCII digits.

    The state maps the index of each entry, from 0, to the entry.
    """

    __slots__ = ()

    @override
    def genesis(self) -> Map[int, bytes]:
        return Map()

    @override
    def apply(self, state: Map[int, bytes], operation: bytes) -> tuple[Map[int, bytes], bytes]:
        index = len(state)
        return state.set(index, operation), str(index).encode()
