"""Commands as they are printed, to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def command_line(words: Sequence[str]) -> str:
    """The words of a command as one line that a POSIX shell reads back.

    As `shlex.join` makes it, but for words with an apostrophe, such as the names of twins: in double quotes these can
    be read by people too, where nothing in them is special.

    >>> print(command_line(["diembft", "twins", "replay", "a'|b"]))
    diembft twins replay "a'|b"
    """
    return " ".join([_quoted(word) for word in words])


def _quoted(word: str) -> str:
    if "'" in word and not any(special in word for special in '"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)
