"""Timers in virtual time, re-armed lazily.

A replica starts its round timer anew in every round, and nearly none ever fires. So each timer has a deadline, which is
cheap to move, and at most one current entry in the event heap, which looks at the deadline when its time comes.
"""

from __future__ import annotations

from heapq import heappush
from math import inf
from typing import Any, TypeAlias

Entry: TypeAlias = tuple[float, int, int, Any, int]
"""(time, order, target, what, number): an event to come. Entries are sorted by time, then by order."""

TIMER = -1
"""The target of an entry that is a timer; `what` is its slot."""

AFTER_DELIVERIES = 1 << 60
"""Added to the order of timers: at equal times deliveries precede them."""


class Timers:
    """A number of timers, each in its slot."""

    __slots__ = ("_armed", "_deadlines", "_details", "_heap")

    def __init__(self, slots: int, heap: list[Entry]) -> None:
        self._heap = heap
        self._deadlines = [inf] * slots
        self._armed = [inf] * slots
        self._details = [0] * slots

    def start(self, slot: int, at_s: float, detail: int) -> None:
        """Let the timer fire at this time; a running one is replaced. `detail` is handed back by `take`."""
        self._deadlines[slot] = at_s
        self._details[slot] = detail
        if at_s < self._armed[slot]:
            self._armed[slot] = at_s
            heappush(self._heap, (at_s, AFTER_DELIVERIES + slot, TIMER, slot, 0))

    def cancel(self, slot: int) -> None:
        """The timer must not fire."""
        self._deadlines[slot] = inf

    def take(self, slot: int) -> int:
        """The timer fires: it no longer runs. What it was started with."""
        self._deadlines[slot] = inf
        return self._details[slot]

    def expired(self, slot: int, now_s: float) -> bool:
        """Whether the timer has run out (and not fired)."""
        return self._deadlines[slot] <= now_s

    def came_due(self, slot: int, now_s: float) -> bool:
        """An entry of this timer reached its time: whether the timer has run out, rather than having been moved."""
        if self._armed[slot] != now_s:
            return False  # an entry that an earlier deadline has replaced
        self._armed[slot] = inf
        deadline = self._deadlines[slot]
        if deadline <= now_s:
            return True
        if deadline < inf:
            self._armed[slot] = deadline
            heappush(self._heap, (deadline, AFTER_DELIVERIES + slot, TIMER, slot, 0))
        return False
