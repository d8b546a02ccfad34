"""The file of checked cores: which code was checked, by which questions, and how thoroughly.

What a record needs, docs/exhaustion.md says. A record is of one protocol and one digest; the digests of its files are
there to say which of them differ from those that run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from diembft.errors import InputError
from diembft.files import replacing

CHECKED_CORES: Final = Path(__file__).with_name("checked_cores.json")
"""Comes with the package."""


class CheckedQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question that was decided for a core, and what it was checked by. No difference was found."""

    model: str
    options: dict[str, bool | int]
    """Of the question, what is not as by default, by the names of its fields."""
    states: int
    """Distinct by their keys."""
    rounds: int
    ended: str
    """How the search ended."""
    walks: int
    steps: int
    """Of all walks together, unreduced."""
    seeds: tuple[int, ...]
    brute_force_rounds: int
    brute_force_states: int
    pairs: int


class CoreRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A core that was checked."""

    protocol: str
    digest: str
    """Of all files together: 32 hex characters."""
    files: dict[str, str]
    """Of each file below the package, the digest of its tokens: 12 hex characters."""
    questions: tuple[CheckedQuestion, ...]
    python: str
    """The version under which it was checked."""


def read_records(path: Path = CHECKED_CORES) -> tuple[CoreRecord, ...]:
    """All records. Raises InputError if the file is not as it was written."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[CoreRecord, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: {error}") from None


def write_record(record: CoreRecord, *, keep: bool = False, path: Path = CHECKED_CORES) -> None:
    """Add a record, in the place of those of its protocol, or, with `keep`, beside those of other digests."""
    others = [
        other
        for other in read_records(path)
        if other.protocol != record.protocol or (keep and other.digest != record.digest)
    ]
    _write([*others, record], path)


def _write(records: Iterable[CoreRecord], path: Path) -> None:
    """Sorted, and a field a line, so that a change is seen as what it is."""
    in_order = sorted(records, key=lambda record: (record.protocol, record.digest))
    text = msgspec.json.format(msgspec.json.encode(in_order, order="sorted"), indent=2)
    with replacing(path) as partial:
        partial.write_bytes(text + b"\n")
