"""Drawing without replacement from a range of any size, by numbering the draws.

``Shuffle(total, seed)`` is a permutation of 0 .. total - 1 that is computed one place at a time: draw i is
``shuffle[i]``. No two draws are equal, nothing is stored, and draw i is the same wherever and in whatever order it
is computed; so a sample can be cut into ranges, resumed and spread over machines.

It is a Feistel network on pairs (x, y) with moduli a and b, a * b just above ``total``, whose round function is
BLAKE2b keyed with the seed; numbers that fall outside the range walk on until they are inside.
"""

from collections.abc import Iterator
from hashlib import blake2b
from math import isqrt

_ROUNDS = 4
_SMALL_ROUNDS = 12
_SMALL = 1 << 16
"""Below this total four rounds mix too few values to look uniform."""


class Shuffle:
    """A pseudo-random permutation of ``range(total)``, fixed by ``total`` and ``seed``."""

    def __init__(self, total: int, seed: int | str) -> None:
        assert total > 0, "because there must be something to draw"
        self.total = total
        self._a = isqrt(total - 1) + 1
        self._b = -(-total // self._a)
        self._width = (max(self._a, self._b).bit_length() + 7) // 8
        key = blake2b(f"{seed}/{total}".encode(), digest_size=32).digest()
        digest_size = min(64, self._width + 8)  # 8 bytes more than the modulus: no visible bias
        self._keyed = [
            blake2b(key=key, digest_size=digest_size, salt=number.to_bytes(1, "big"))
            for number in range(_SMALL_ROUNDS if total < _SMALL else _ROUNDS)
        ]

    def __iter__(self) -> Iterator[int]:
        return map(self.__getitem__, range(self.total))

    def __getitem__(self, index: int) -> int:
        """Draw number ``index``, from 0."""
        if not 0 <= index < self.total:
            raise IndexError(index)
        while True:
            index = self._step(index)
            if index < self.total:
                return index

    def _step(self, index: int) -> int:
        a, b, width = self._a, self._b, self._width
        x, y = divmod(index, b)
        for number, keyed in enumerate(self._keyed):
            mix = keyed.copy()
            mix.update((x if number & 1 else y).to_bytes(width, "big"))
            mixed = int.from_bytes(mix.digest(), "big")
            if number & 1:
                y = (y + mixed) % b
            else:
                x = (x + mixed) % a
        return x * b + y
