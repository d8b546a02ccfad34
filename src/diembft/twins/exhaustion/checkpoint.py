"""A search between two levels, on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from diembft.errors import InputError
from diembft.files import replacing
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.question import Question

FORMAT = "diembft-exploration"

VERSION = 3
"""To be raised whenever keys change: a search must not go on among states that were told apart otherwise."""


class SearchLevel(msgspec.Struct, frozen=True):
    """One level: the states before step `round`."""

    round: int
    states: int
    """New ones."""
    visited: int
    """In all."""
    transitions: int
    """From the level before: states times choices."""
    distinct: int
    """Of these, computed: not the same by symmetry nor node for node."""
    scenarios: str
    """How many scenarios of `round - 1` rounds have been followed; a big integer."""
    seconds: float


class SearchCheckpoint(msgspec.Struct):
    """A search between two levels."""

    question: Question
    levels: list[SearchLevel]
    keys: bytes
    """The digests of all visited states, in their order."""
    successors: list[bytes]
    """Of those that were followed: see `Conjecture`."""
    frontier: list[ChoicePath]
    transitions: int
    format: str = FORMAT
    version: int = VERSION


def save(path: Path, checkpoint: SearchCheckpoint) -> None:
    """Write a checkpoint; the one before it stays until it is written."""
    with replacing(path) as partial:
        partial.write_bytes(msgspec.msgpack.encode(checkpoint))


def load(path: Path, question: Question) -> SearchCheckpoint:
    """Read a checkpoint. Raises InputError if it is none, or belongs to another question."""
    try:
        saved = msgspec.msgpack.decode(path.read_bytes(), type=SearchCheckpoint)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"{path}: not a checkpoint of an exploration: {error}") from None
    if (saved.format, saved.version) != (FORMAT, VERSION):
        raise InputError(f"{path}: checkpoint: is of version {saved.version}, and not {VERSION}: begin anew")
    if saved.question != question:
        raise InputError(f"{path}: checkpoint: belongs to another question: {saved.question}")
    return saved
