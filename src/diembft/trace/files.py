"""Traces on disk: JSON Lines, one record a line, the header first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from diembft.errors import InputError, require_type
from diembft.files import reading, replacing, without_mark, writing
from diembft.trace.header import ALWAYS_WRITTEN
from diembft.trace.records import FORMAT, VERSION, Header, Record

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class _Version(Struct):
    """What every version of the schema has in its header; None: it is not there."""

    type: str = ""
    format: str | None = None
    version: int | None = None


_version_decoder = msgspec.json.Decoder(_Version)


def write_trace(path: str | Path, records: Iterable[Record]) -> None:
    """Write a trace; the same records give the same bytes.

    The file appears only when it is whole; what was there before is replaced. Raises InputError if it cannot be
    written, and NotWritten if the disk is full.
    """
    path = Path(path)
    with writing(path), replacing(path) as partial, partial.open("wb") as out:
        for record in records:
            out.write(_encoder.encode(record))
            out.write(b"\n")


def read_trace(path: str | Path) -> Iterator[Record]:
    """The records of a trace, checked against the schema. Raises InputError, naming file and line.

    >>> from diembft import Settings, read_trace, simulate
    >>> from diembft.trace.files import write_trace
    >>> write_trace("run.jsonl", simulate(Settings(requests=1, trace=True)).trace)
    >>> header, *records = read_trace("run.jsonl")
    >>> header.n, len(records) > 10
    (4, True)
    """
    require_type(path, (str, Path), "read_trace")
    return _read(Path(path))


def _read(path: Path) -> Iterator[Record]:
    try:
        with reading(path) as lines:
            yield from records_of(lines, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{str(path)!r}: cannot be read: no file has a name with a null character") from None


def records_of(lines: Iterable[bytes], path: Path) -> Iterator[Record]:
    """The records of a trace whose lines were read from `path`. Raises InputError, naming file and line."""
    number = 0
    for number, line in enumerate(lines, 1):
        yield _decoded(path, number, without_mark(line) if number == 1 else line)
    if number == 0:
        raise InputError(f"{path}: the trace is empty")


def _decoded(path: Path, number: int, line: bytes) -> Record:
    if number == 1:
        _check_version(path, line)
    try:
        record: Record = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: line {number}: not a trace record: {error}") from None
    if (number == 1) != isinstance(record, Header):
        raise InputError(f"{path}: line {number}: a trace has one header, in its first line")
    return record


def _check_version(path: Path, line: bytes) -> None:
    """Raises InputError if this header is of another version or says none; what is no header at all passes here."""
    try:
        found = _version_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if found.type != "header":
        return
    for field in ALWAYS_WRITTEN:
        if getattr(found, field) is None:
            raise InputError(f"{path}: line 1: the header has no field {field!r}")
    if found.format != FORMAT:
        raise InputError(f"{path}: line 1: format {found.format!r}, expected {FORMAT!r}")
    if found.version != VERSION:
        older = found.version is not None and found.version < VERSION
        what = "run it again" if older else "it needs a newer diembft"
        raise InputError(f"{path}: a trace of version {found.version}; this is version {VERSION}: {what}")
