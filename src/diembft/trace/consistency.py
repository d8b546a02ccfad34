"""Whether a trace is one: what its records say of the run as a whole fits together, whatever protocol ran.

A trace that comes from elsewhere (`check`) is held against this before it is judged: what nobody can have seen so would
make any verdict on it worthless. Drivers of this project are not asked, record by record, while they run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from diembft.errors import InputError, require
from diembft.trace.header import Header
from diembft.trace.records import Delivered, Partitioned, Record, Replied, Sent, Submitted

_NAMING = ("node", "client", "peer", "to")
"""The fields of records that name nodes or clients."""


def check_header(header: Header) -> None:
    """Raises InputError if this is no run that somebody can have seen."""
    names = [node.name for node in header.nodes]
    require(bool(names), "nodes", [], "are none: somebody must have run")
    for what, named in (("nodes", names), ("clients", list(header.clients))):
        for name, times in Counter(named).items():
            require(times == 1, what, name, "is named twice")
    for node in header.nodes:
        require(0 <= node.replica < header.n, f"nodes: {node.name}: replica", node.replica, f"is none of {header.n}")
    n, quorum = header.n, header.quorum
    f = (n - 1) // 3
    require(quorum <= n, "quorum", quorum, f"is more than there are replicas, {n}")
    require(2 * quorum - n > f, "quorum", quorum, f"of {n} is too few: two of them need not share a correct replica")
    ran = len({node.replica for node in header.nodes})
    require(ran >= n - f, "nodes", ran, f"replicas run, of {n}; all but f = {f} must be named")


class Consistency:
    """Takes the records of a trace in their order, after its header."""

    def __init__(self, header: Header) -> None:
        check_header(header)
        self._nodes = {node.name for node in header.nodes}
        self._known = {*self._nodes, *header.clients}
        self._at = float("-inf")
        self._numbers: set[int] = set()
        self._fields: dict[type, list[str]] = {}

    def take(self, record: Record) -> None:
        """Raises InputError if a record contradicts those before it."""
        if isinstance(record, Header):
            raise InputError("a trace has one header, its first record")
        at = record.at
        if not at >= self._at:
            raise InputError(f"at: {at:g} s after {self._at:g} s, and records stand in the order of time")
        self._at = at
        kind = type(record)
        fields = self._fields.get(kind)
        if fields is None:
            fields = self._fields[kind] = [field for field in _NAMING if field in kind.__struct_fields__]
        for field in fields:
            self._check_names(record, field, getattr(record, field))
        if kind is Sent:
            self._note_number(record.number)  # type: ignore[union-attr]
        elif isinstance(record, Submitted | Replied):
            if record.message:
                self._note_number(record.message)
        elif isinstance(record, Partitioned):
            for members in record.sets:
                self._check_names(record, "sets", members)

    def _check_names(self, record: Record, field: str, value: Any) -> None:
        if isinstance(value, int):
            return  # `peer` of a record that means a replica
        # A client may get a reply, and so be where something is delivered.
        known = self._nodes if field in ("node", "sets") and not isinstance(record, Delivered) else self._known
        for name in (value,) if isinstance(value, str) else value:
            if name not in known:
                what = "node" if known is self._nodes else "node or client"
                raise InputError(f"the trace names {name!r}, which is no {what} of its header")

    def _note_number(self, number: int) -> None:
        if number in self._numbers:
            raise InputError(f"message {number} is sent twice, and its number must name it")
        self._numbers.add(number)
