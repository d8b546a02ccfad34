"""Which of many names an expression means: words with `and`, `or`, `not` and parentheses, as `pytest -k` takes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from diembft.errors import InputError

Means: TypeAlias = Callable[[str], bool]
"""Whether a name is meant."""

MOST_WORDS = 100
"""Of an expression."""

_WORD = re.compile(r"[()]|[^\s()]+")
_OPERATORS = ("and", "or", "not", "(", ")")


def expression(text: str) -> Means:
    """What an expression means: a word stands for all names that have it in them, in small or in large letters.

    Raises InputError if it is none.

    >>> means = expression("loss or (lost and not sync)")
    >>> [name for name in ("lost_votes", "lost_sync", "message_loss", "flood") if means(name)]
    ['lost_votes', 'message_loss']
    """
    words: list[str] = _WORD.findall(text)
    if len(words) > MOST_WORDS:
        raise _wrong(text, f"has more than {MOST_WORDS} words")
    reading = _Reading(text, words)
    means = reading.either()
    if reading.left:
        raise _wrong(text, f"{reading.left[0]!r} is where 'and', 'or' or the end would be right")
    return means


def _wrong(text: str, what: str) -> InputError:
    return InputError(f"-k: {text[:200]!r}: {what}")


class _Reading:
    """What is left to read of an expression. `not` binds closest, then `and`, then `or`."""

    def __init__(self, text: str, words: list[str]) -> None:
        self._text = text
        self.left = words

    def _next_is(self, word: str) -> bool:
        """Take this word, if it comes next."""
        if self.left[:1] != [word]:
            return False
        self.left = self.left[1:]
        return True

    def either(self) -> Means:
        """Read what `or` stands between."""
        parts = [self.both()]
        while self._next_is("or"):
            parts.append(self.both())
        return lambda name: any(means(name) for means in parts)

    def both(self) -> Means:
        """Read what `and` stands between."""
        parts = [self.one()]
        while self._next_is("and"):
            parts.append(self.one())
        return lambda name: all(means(name) for means in parts)

    def one(self) -> Means:
        """Read a word, or what is in parentheses, or what `not` stands before."""
        if self._next_is("not"):
            denied = self.one()
            return lambda name: not denied(name)
        if self._next_is("("):
            means = self.either()
            if not self._next_is(")"):
                raise _wrong(self._text, "a parenthesis is not closed")
            return means
        if not self.left or self.left[0] in _OPERATORS:
            found = repr(self.left[0]) if self.left else "the end"
            raise _wrong(self._text, f"{found} is where a word would be right")
        word, *self.left = self.left
        return lambda name: word.lower() in name.lower()
