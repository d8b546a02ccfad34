"""What a search takes for true: the keys that there are, and of each key the keys that its states lead to.

It is a conjecture as long as nobody knows whether the key is right: states of one key may behave differently, and the
search followed one of them. Walks compare (`walks`).

Keys are digests of 16 bytes, numbered as they are met, level by level, and followed in that order; a successor takes
four bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

DIGEST_BYTES = 16

NOBODY_LEFT = bytes(DIGEST_BYTES)
"""In the place of a key: no node is in the next round, so that nothing can follow. It is no state of its own."""

_NOBODY_LEFT = 0xFFFF_FFFF


class Conjecture:
    """The keys of a search and what follows them."""

    def __init__(self, keys: Iterable[bytes] = (), initial: int = 0, successors: Iterable[bytes] = ()) -> None:
        self._numbers = {key: number for number, key in enumerate(keys)}
        self.initial = initial
        """How many initial states there are: these have the first numbers."""
        self.successors = list(successors)
        """Of each key that was followed, in their order, the numbers of its successors."""

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, key: bytes) -> bool:
        return key in self._numbers

    @property
    def keys(self) -> list[bytes]:
        """All keys in their order."""
        return list(self._numbers)

    def add(self, key: bytes) -> bool:
        """Note a key; whether it is new."""
        number = len(self._numbers)
        return self._numbers.setdefault(key, number) == number

    def begin(self) -> None:
        """The keys so far are those of the initial states."""
        self.initial = len(self._numbers)

    def follow(self, successors: Iterable[bytes]) -> None:
        """All that the next key leads to, which must have been noted."""
        numbers = [_NOBODY_LEFT if after == NOBODY_LEFT else self._numbers[after] for after in successors]
        self.successors.append(array("I", sorted(set(numbers))).tobytes())

    def cut(self, keys: int, followed: int) -> None:
        """Take back all but so many keys, and all but what follows so many of them."""
        del self.successors[followed:]
        while len(self._numbers) > keys:
            self._numbers.popitem()

    def begins(self, key: bytes) -> bool:
        """Whether it is the key of an initial state."""
        return self._numbers.get(key, self.initial) < self.initial

    def leads(self, before: bytes, after: bytes) -> bool | None:
        """Whether the states of one key lead to the other; None if the first was not followed."""
        number = self._numbers.get(before)
        if number is None or number >= len(self.successors):
            return None
        found = _NOBODY_LEFT if after == NOBODY_LEFT else self._numbers.get(after)
        return found is not None and found in memoryview(self.successors[number]).cast("I")
