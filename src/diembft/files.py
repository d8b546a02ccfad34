"""Files that appear only when they are whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

STDIN: Final = Path("-")
"""Standard input, in the place of a file that is read."""

_BOM: Final = b"\xef\xbb\xbf"


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file to read bytes from, or standard input. Raises OSError, as reading does."""
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


def without_mark(data: bytes) -> bytes:
    """The beginning of a text without the mark that some editors put there."""
    return data.removeprefix(_BOM)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when the block ends; if that fails, nothing has changed.

    Its name ends as `path` does, for programs that go by that. Raises OSError, as writing does.
    """
    partial = path.with_name(f"{path.name}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
