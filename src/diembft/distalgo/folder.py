"""The folder of a run: a log and a ledger for each replica, the trace of the whole, the verdict.

    runs/faulty_dropouts-1/
        replica0.log        what the replica did, by the wall clock; errors of DistAlgo too
        replica0.ledger     what it committed, one block a line
        client0.log         the same for each process that runs clients
        trace.jsonl         the record of the run (`diembft check`, `diembft view`)
        verdict.json        the verdict and the figures

The ledgers of correct replicas are equal, byte for byte, as far as both go.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from diembft.errors import InputError
from diembft.files import replacing
from diembft.trace.records import Committed, Header, Record

RUNS: Final = Path("runs")
"""Where the folders of runs are made, unless said otherwise."""

_MOST_RUNS: Final = 1_000_000

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def new_folder(runs: Path, name: str) -> Path:
    """A new folder `runs/NAME-1`, or -2, ...: whatever else makes one at the same time, it is nobody else's.

    Raises InputError if none can be made.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for number in range(_first_free(runs, name), _MOST_RUNS):
            folder = runs / f"{name}-{number}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise InputError(f"{runs}: cannot be written: {error.strerror}") from None
    raise InputError(f"{runs}: there are too many runs of {name}")


def _first_free(runs: Path, name: str) -> int:
    numbers = [path.name.rpartition("-")[2] for path in runs.glob(f"{name}-*")]
    return 1 + max([int(number) for number in numbers if number.isdecimal()], default=0)


class LedgerLine(msgspec.Struct, frozen=True):
    """A committed block, as it stands in a ledger file. Ids are in hexadecimal digits."""

    height: int
    round: int
    author: int
    block: str
    state: str
    executed: tuple[tuple[str, int], ...]
    """(client, number) of the requests that took effect."""


class Ledger:
    """The ledger file of one replica. Lines appear in it whole, as soon as the block is committed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)

    def append(self, record: Committed) -> None:
        """Add a block."""
        block = record.block
        state = (record.state or b"").hex()
        executed = tuple([(client, number) for client, number, _ in record.executed or ()])
        line = LedgerLine(record.height, block.round, block.author, block.id.hex(), state, executed)
        self._file.write(_encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()


def read_ledger(path: Path) -> list[LedgerLine]:
    """The blocks in a ledger file, oldest first."""
    decoder = msgspec.json.Decoder(LedgerLine)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write what one process recorded; the file appears only when it is whole."""
    _write(path, b"".join([_encoder.encode(record) + b"\n" for record in records]))


def merged(paths: Sequence[Path]) -> Iterator[Record]:
    """The records of several processes of one machine, in order of time; each process's in its own order."""
    return heapq.merge(*[_records(path) for path in paths], key=_at)


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        for line in lines:
            yield _decoder.decode(line)


def _at(record: Record) -> float:
    assert not isinstance(record, Header), "because a process writes none"
    return record.at


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; the file appears only when it is whole."""
    _write(path, msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n")


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(data)
