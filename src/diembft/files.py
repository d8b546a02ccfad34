"""Files that appear only when they are whole, and what it means if they do not."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from diembft.errors import InputError

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


_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENFILE, errno.EMFILE, errno.EPIPE}


class NotWritten(OSError):
    """The machine failed to write, as when a disk is full: one line that names the file. Exit status 3."""


def not_written(path: Path | str, error: OSError) -> InputError | NotWritten:
    """What to raise when writing a file failed: InputError if another name would do, else NotWritten."""
    problem = f"{path}: cannot be written: {error.strerror or error}"
    return NotWritten(problem) if error.errno in _OF_THE_MACHINE else InputError(problem)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises InputError or NotWritten where writing a file fails."""
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        raise not_written(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when the block ends; if that fails, nothing has changed.

    Its name ends as `path` does, for programs that go by that. A device or a pipe is itself written to; of a link, what
    it leads to is replaced. Raises OSError, as writing does.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    whole = path.resolve()
    partial = whole.with_name(f"{whole.name}.partial{whole.suffix}")
    try:
        yield partial
        partial.replace(whole)
    finally:
        partial.unlink(missing_ok=True)
