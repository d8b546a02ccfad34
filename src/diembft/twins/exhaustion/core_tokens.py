"""A digest of what a source file says, whatever its layout.

Comments, blank lines, the width of indents, how lines are broken inside of brackets, and strings that stand alone
(docstrings, of whatever) do not count; everything else does. The digest is the same under every version of Python:
from 3.12 on `tokenize` takes strings like f"{one}" apart, which are put together again here.

This module imports the standard library alone, so that any Python can execute it by itself.
"""

from __future__ import annotations

import token
import tokenize
from collections.abc import Iterator
from hashlib import blake2b
from io import StringIO

LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
"""What does not count."""

STRUCTURE = {tokenize.INDENT: "\1", tokenize.DEDENT: "\2"}
"""What counts, and not how it is written. No token of a program is one of these characters, or the next."""

END_OF_LINE = "\n"

_OF_FORMATTED = ("FSTRING", "TSTRING")
STARTS = {getattr(token, f"{kind}_START") for kind in _OF_FORMATTED if hasattr(token, f"{kind}_START")}
ENDS = {getattr(token, f"{kind}_END") for kind in _OF_FORMATTED if hasattr(token, f"{kind}_END")}
"""Between them a formatted string is in pieces, some of which are such strings; older Pythons leave it whole."""


def token_digest(source: str) -> bytes:
    """16 bytes that stand for the tokens of a source, whose lines end in newlines alone.

    Raises SyntaxError, or tokenize.TokenError, for what is no Python.
    """
    text = "\0".join(counted(source))
    return blake2b(text.encode(), digest_size=16).digest()


def counted(source: str) -> Iterator[str]:
    """The tokens that count."""
    line: list[str] = []
    says_something = False
    for kind, text in _whole_strings(source):
        if kind in STRUCTURE:
            yield STRUCTURE[kind]
        elif kind == tokenize.NEWLINE:
            if says_something:
                yield from line
                yield END_OF_LINE
            line, says_something = [], False
        else:
            line.append(text)
            says_something = says_something or kind != tokenize.STRING or _is_formatted(text)


def _is_formatted(string: str) -> bool:
    """Whether a string is computed, so that it does something even where it stands alone."""
    prefix = string[: min(string.find(quote) for quote in "'\"" if quote in string)].lower()
    return "f" in prefix or "t" in prefix


def _whole_strings(source: str) -> Iterator[tuple[int, str]]:
    """Kind and text of each token but layout; a formatted string is one token, as it is written."""
    lines = StringIO(source).readlines()
    open_: list[tuple[int, int]] = []
    """Where the formatted strings began that are not at their end."""
    for kind, text, start, end, _ in tokenize.generate_tokens(StringIO(source).readline):
        if kind in STARTS:
            open_.append(start)
        elif kind in ENDS:
            began = open_.pop()
            if not open_:
                yield tokenize.STRING, _between(lines, began, end)
        elif not open_ and kind not in LAYOUT:
            yield kind, text


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one place to another; rows count from 1."""
    (first, from_), (last, to) = start, end
    if first == last:
        return lines[first - 1][from_:to]
    return "".join([lines[first - 1][from_:], *lines[first : last - 1], lines[last - 1][:to]])
