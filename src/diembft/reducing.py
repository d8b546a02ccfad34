"""Values made as small as they get, by trying: what all that shrinks shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

Value = TypeVar("Value")
Reduction: TypeAlias = Callable[[Value], Iterator[Value]]
"""What smaller values come of one, of one kind, the most promising first."""


def reduced(value: Value, reductions: Sequence[Reduction[Value]], accept: Callable[[Value], bool]) -> Value:
    """The value from which no reduction leads to one that is accepted.

    Each kind is tried until nothing of it goes any more, again from each value that is accepted; then from the first
    kind on. It ends if every reduction makes its values smaller by some measure that cannot fall for ever.
    """
    shrank = True
    while shrank:
        shrank = False
        for reduction in reductions:
            while (smaller := next(filter(accept, reduction(value)), None)) is not None:
                value, shrank = smaller, True
            if shrank:
                break
    return value


def runs(count: int, longest: int) -> Iterator[tuple[int, int]]:
    """Which things in a row, of `count` things, to leave out: from the first number up to the second.

    Long rows come first, and of one length the last row.
    """
    length = longest
    while length >= 1:
        for start in range(count - length, -1, -1):
            yield start, start + length
        length //= 2
