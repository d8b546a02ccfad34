"""A search as far as it is, on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from diembft.errors import InputError
from diembft.files import replacing
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.question import Question

FORMAT = "diembft-exploration"

VERSION = 4
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


class SearchPart(msgspec.Struct, frozen=True):
    """How much of a level that is not finished was done."""

    followed: int = 0
    """States of the frontier, in their order."""
    distinct: int = 0
    """Successors, as in SearchLevel."""
    new: int = 0
    """States of the next level."""
    visited: int = 0
    """In all; of use if `followed` is not 0."""


class SearchCheckpoint(msgspec.Struct):
    """A search, mostly in the midst of a level."""

    question: Question
    levels: list[SearchLevel]
    keys: bytes
    """The digests of all visited states, in their order."""
    successors: list[bytes]
    """Of those that were followed: see `Conjecture`."""
    frontier: list[ChoicePath]
    """The states of the last level."""
    part: SearchPart
    """What of the frontier was followed."""
    new: list[ChoicePath]
    """The states of the next level that this led to."""
    transitions: int
    seconds: float
    """How long it took until now."""
    cores: list[str]
    """What stands for the code that ran; "" for code of which nobody asked."""
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
