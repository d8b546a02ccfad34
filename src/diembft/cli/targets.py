"""Files that a command will write, looked at before its work is done, rather than after it.

None may be what the command reads, nor what it writes elsewhere, nor a file of another kind that somebody named by
mistake. Devices and pipes take anything.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from enum import Enum
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import click

from diembft.errors import InputError
from diembft.files import STDIN, not_written

_HEAD_BYTES = 4096
"""How much of a file tells what it is."""

_PICTURES = {".svg": (b"<?xml", b"<svg"), ".png": (b"\x89PNG",), ".pdf": (b"%PDF",)}


class Kind(Enum):
    """What is written."""

    TRACE = "trace"
    PAGE = "page of a run"
    SCENARIOS = "file of scenarios"
    RESULTS = "file of results"
    CHECKPOINT = "checkpoint of an exploration"
    PICTURE = "picture of that format"
    FUZZED = "file of a random run"
    JUNIT = "file of results in JUnit's XML"
    FOLDER = "folder"
    """It is made when it is needed."""


class Target(NamedTuple):
    """A file that a command may write."""

    option: str
    """Its name on the command line."""
    path: Path | None
    kind: Kind


def check_targets(*targets: Target, inputs: Sequence[Path | None] = ()) -> None:
    """Raises InputError for a file that cannot or must not be written, and NotWritten if the disk is full."""
    wanted = [(option, path, kind) for option, path, kind in targets if path is not None and not _takes_anything(path)]
    for option, path, kind in targets:
        if kind is Kind.CHECKPOINT and path is not None and _takes_anything(path):
            raise InputError(f"{option}: {path}: keeps nothing that a search could go on with: name a file")
    for option, path, kind in targets:
        if path == STDIN:
            raise InputError(f"{option}: -: is what commands read: name a file, or /dev/stdout")
        if kind is Kind.FOLDER and path is not None and _takes_anything(path):
            raise InputError(f"{option}: {path}: is no folder")
    for option, path, kind in wanted:
        _check_place(option, path, kind)
        if any(given is not None and _same(path, given) for given in inputs):
            raise InputError(f"{option}: {path}: is what this command reads: name another file")
        if path.exists() and not _is_of_kind(path, kind):
            raise InputError(f"{option}: {path}: is no {kind.value}, and stays as it is: name another file")
    for (one, path, _), (other, same, _) in combinations(wanted, 2):
        if _same(path, same):
            raise InputError(f"{other}: {same}: is what {one} writes: name another file")
    for option, path, kind in wanted:
        try:
            _try(path, kind)
        except OSError as error:
            raise not_written(f"{option}: {path}", error) from error


def _takes_anything(path: Path) -> bool:
    """Whether it is a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _check_place(option: str, path: Path, kind: Kind) -> None:
    if kind is Kind.FOLDER:
        return
    folder = path.absolute().parent
    if path.is_dir():
        raise click.BadParameter(f"{str(path)!r} is a directory.", param_hint=option)
    if not folder.is_dir():
        raise click.BadParameter(f"Directory {str(folder)!r} does not exist.", param_hint=option)


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(one) == os.path.realpath(other)


def _is_of_kind(path: Path, kind: Kind) -> bool:
    """Whether a file is what will be written there anew; an empty one is anything."""
    if kind is Kind.FOLDER:
        return path.is_dir()
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if not head:
        return True
    match kind:
        case Kind.TRACE:
            return head.startswith(b'{"type":"header"')
        case Kind.PAGE:
            return head.startswith(b"<!DOCTYPE html>") and b"default-src 'none'; script-src 'sha256-" in head
        case Kind.SCENARIOS:
            return head.startswith((b'{"format":"diembft-scenarios"', b'["', b"scenario", b"\x28\xb5\x2f\xfd"))
        case Kind.RESULTS:
            return head.startswith(b'{"kind":"campaign"')
        case Kind.CHECKPOINT:
            return b"question" in head[:16]
        case Kind.PICTURE:
            return head.startswith(_PICTURES.get(path.suffix.lower(), ()))
        case Kind.FUZZED:
            return b'"diembft-fuzzed"' in head[:64]
        case Kind.JUNIT:
            return head.startswith(b"<?xml") and b"<testsuite" in head


def _try(path: Path, kind: Kind) -> None:
    """Write something and take it back: what permissions say is not all, and says nothing to root."""
    if kind is Kind.RESULTS and path.exists():
        with path.open("r+b"):
            return
    place = path.resolve()
    above = [*([place] if kind is Kind.FOLDER else []), *place.parents]
    with tempfile.TemporaryFile(dir=next(folder for folder in above if folder.exists())) as file:
        file.write(b"\n")
        file.flush()
