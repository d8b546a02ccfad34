"""Traces on disk: JSON Lines, one record a line, the header first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from diembft.errors import InputError
from diembft.trace.records import FORMAT, VERSION, Header, Record

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def write_trace(path: Path, records: Iterable[Record]) -> None:
    """Write a trace; the same records give the same bytes.

    The file appears only when it is whole; what was there before is replaced. Raises InputError if it cannot be
    written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        try:
            with partial.open("wb") as out:
                for record in records:
                    out.write(_encoder.encode(record))
                    out.write(b"\n")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def read_trace(path: Path) -> Iterator[Record]:
    """The records of a trace, checked against the schema. Raises InputError, naming file and line.

    >>> from pathlib import Path
    >>> from diembft import Settings, read_trace, simulate
    >>> from diembft.trace.files import write_trace
    >>> write_trace(Path("run.jsonl"), simulate(Settings(requests=1, trace=True)).trace)
    >>> header, *records = read_trace(Path("run.jsonl"))
    >>> header.n, len(records) > 10
    (4, True)
    """
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield _decoded(path, number, line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if number == 0:
        raise InputError(f"{path}: the trace is empty")


def _decoded(path: Path, number: int, line: bytes) -> Record:
    try:
        record: Record = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: line {number}: not a trace record: {error}") from None
    if (number == 1) != isinstance(record, Header):
        raise InputError(f"{path}: line {number}: a trace has one header, in its first line")
    if isinstance(record, Header) and (record.format, record.version) != (FORMAT, VERSION):
        raise InputError(
            f"{path}: line 1: format {record.format!r} version {record.version}, expected {FORMAT!r} version {VERSION}"
        )
    return record
