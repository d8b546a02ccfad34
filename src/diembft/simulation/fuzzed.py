"""Files of one random run that violates something: its settings and its schedule, to be run again or changed by hand.

JSON: `format` and `version`, the planted `bugs`, `crypto`, the `property` that is violated with a sentence on it, and
the `run` with all of its settings. A file is checked before it runs: every field, and that the run keeps to what random
runs promise (see `promise`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from diembft.crypto.interface import Crypto
from diembft.errors import InputError
from diembft.faults.registry import plant
from diembft.files import replacing, without_mark, writing
from diembft.simulation.drawing import DrawnRun
from diembft.simulation.promise import problem_of
from diembft.simulation.shrinking import Case
from diembft.trace.records import Violated

FORMAT = "diembft-fuzzed"
VERSION = 1
MOST_BYTES = 10_000_000
"""Of a file: far more than a run ever takes."""


class FuzzedFile(Struct, frozen=True, kw_only=True):
    """What a file holds."""

    format: str
    version: int
    violates: str = field(name="property")
    """The property that the run violates."""
    detail: str
    """One sentence on it."""
    bugs: tuple[str, ...]
    """The planted bugs."""
    crypto: Crypto
    run: DrawnRun

    @property
    def case(self) -> Case:
        """What is to be run."""
        return Case(run=self.run, bugs=self.bugs, crypto=self.crypto)


class _Version(Struct):
    """What every version of the file has; None: it is not there."""

    format: str | None = None
    version: int | None = None


def write_case(path: Path, case: Case, violation: Violated) -> None:
    """Write a case, and what it violates. The file appears only when it is whole. Raises InputError
    or NotWritten."""
    held = FuzzedFile(
        format=FORMAT,
        version=VERSION,
        violates=violation.property,
        detail=violation.detail,
        bugs=case.bugs,
        crypto=case.crypto,
        run=case.run,
    )
    with writing(path), replacing(path) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n")


def read_case(path: Path) -> FuzzedFile:
    """Read what `write_case` wrote, or somebody changed.

    Raises InputError: one line that names the file and the field.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > MOST_BYTES:
        raise InputError(f"{path}: is longer than {MOST_BYTES:,} bytes: no run takes so much")
    try:
        read = _decoded(without_mark(text))
        plant(read.bugs)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise InputError(f"{path}: is no file of `diembft fuzz --output`: {error}") from None
    except AssertionError as error:  # a configuration that there cannot be
        raise InputError(f"{path}: run.config: no system is like this, {error}") from None
    wrong = problem_of(read.run)
    if wrong is not None:
        raise InputError(f"{path}: run.{wrong}")
    return read


def _decoded(text: bytes) -> FuzzedFile:
    found = msgspec.json.decode(text, type=_Version)
    if found.format != FORMAT:
        said = "says no format" if found.format is None else f"format: {found.format!r}"
        raise InputError(f"{said}, expected {FORMAT!r}, as `diembft fuzz --output` writes it")
    if found.version != VERSION:
        raise InputError(f"version: {found.version!r}, expected {VERSION}: another diembft wrote it")
    read = msgspec.json.decode(text, type=FuzzedFile)
    unknown = _unknown_field(msgspec.json.decode(text), msgspec.to_builtins(read), "")
    if unknown is not None:
        raise InputError(f"{unknown}: there is no such field")
    return read


def _unknown_field(given: Any, known: Any, where: str) -> str | None:
    """The first field of a file that nothing was made of: a slip, which would otherwise be passed over in silence."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            place = f"{where}.{name}" if where else name
            if name not in known:
                return place
            found = _unknown_field(value, known[name], place)
            if found is not None:
                return found
    elif isinstance(given, list):
        for number, (value, other) in enumerate(zip(given, known, strict=False)):
            found = _unknown_field(value, other, f"{where}[{number}]")
            if found is not None:
                return found
    return None
