"""Which code it is that an exploration decides about, and whether that code was checked.

A *core* is all the code that a protocol's states, their keys and their exploration come from; its digest stands for the
tokens of its files (`core_files`). It is *recorded* if the file of checked cores has the digest, no bug is planted, and
what runs is what the files say: docs/cores.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from tokenize import TokenError
from typing import NamedTuple

from diembft.protocols.by_name import BUILT_IN, protocol_of
from diembft.twins.exhaustion.core_files import CoreFiles, core_files
from diembft.twins.exhaustion.core_records import CheckedQuestion as CheckedQuestion
from diembft.twins.exhaustion.core_records import CoreRecord as CoreRecord
from diembft.twins.exhaustion.core_records import read_records as read_records
from diembft.twins.exhaustion.core_records import write_record as write_record
from diembft.twins.exhaustion.fresh_code import fresh_names
from diembft.twins.exhaustion.live_code import Comparison
from diembft.twins.exhaustion.live_objects import strange_object
from diembft.twins.runs.world import world_of


class Core(NamedTuple):
    """The core of a protocol, as it is in this process."""

    protocol: str
    digest: str
    """Of its files; "" if it has none that are known."""
    record: CoreRecord | None
    """None if it is not a recorded one."""
    because: str
    """Why it is not, in one clause; "" if it is."""


def core_of(protocol: str, bugs: tuple[str, ...] = (), *, records: Iterable[CoreRecord] | None = None) -> Core:
    """The core of the protocol of this name, with these bugs planted, and whether it is a recorded one: among these
    records, or, without any, among those that come with the package.

    What runs is looked at anew in every call: somebody may have changed it since.
    """
    short = _short_name(protocol)
    if short is None:
        return Core(protocol, "", None, f"protocol {protocol} is not one of ours")
    try:
        files = core_files(short)
    except (OSError, SyntaxError, TokenError) as error:
        return Core(short, "", None, f"its files cannot be read: {error}")
    if bugs:
        return Core(short, files.digest, None, f"bugs are planted: {', '.join(bugs)}")
    known = Comparison()
    record, because = recorded(short, files, read_records() if records is None else records)
    # Nodes of code that is in no record are not made: who knows what they do.
    because = _changed(files, known) or because or _strange(short, known)
    return Core(short, files.digest, None if because else record, because)


def recorded(protocol: str, files: CoreFiles, records: Iterable[CoreRecord]) -> tuple[CoreRecord | None, str]:
    """The record of this digest; if there is none, why, in one clause."""
    of_protocol = [record for record in records if record.protocol == protocol]
    for record in of_protocol:
        if record.digest == files.digest:
            return record, ""
    if not of_protocol:
        return None, "no core was recorded yet"
    return None, _told(min([_differing(record.files, files.files) for record in of_protocol], key=len))


@lru_cache(maxsize=len(BUILT_IN))
def digest_here(protocol: str) -> str:
    """What stands for the code that runs in this process: the digest of the core if that is what runs, and another one
    for each way in which it is not; "" for a protocol that is not one of ours.

    For worker processes, whose code may be of another place. Looked at once in each process.
    """
    short = _short_name(protocol)
    if short is None:
        return ""
    files = core_files(short)
    changed = _changed(files, Comparison())
    return blake2b(f"{files.digest}\n{changed}".encode(), digest_size=16).hexdigest() if changed else files.digest


def _changed(files: CoreFiles, known: Comparison) -> str:
    """The first name of a module that is not as in its file, in one clause; "" if all are."""
    for file in files.files:
        try:
            name = known.module(file)
        except Exception as error:  # of whatever was put in the place of what the module needs
            name = f"what is executed when it is imported ({type(error).__name__}: {error})"
        if name is not None:
            # What was executed anew had imported what runs, of which something is not as it should be. Once that is
            # put right it must not be remembered.
            fresh_names.forget()
            return f"{name} is not as in {file}"
    return ""


def _strange(protocol: str, known: Comparison) -> str:
    """An object that runs and is not of these files, among those that an exploration begins with; "" if all are."""
    module, _, attribute = BUILT_IN[protocol].partition(":")
    found = protocol_of(protocol)
    if found is not getattr(import_module(module), attribute):
        return f"protocol {protocol} is not {attribute} of {module}"
    world = world_of(found, 4, 1, ())
    keys = world.exploring.keys(world.system, (), crashes=False)
    return strange_object([world, keys, world.start(leader=0)], known) or ""


# --- in words


def _short_name(protocol: str) -> str | None:
    """The name of a protocol that comes with the tester, under which its core is known."""
    return protocol if protocol in BUILT_IN else next((name for name in BUILT_IN if BUILT_IN[name] == protocol), None)


def _differing(recorded: dict[str, str], files: dict[str, str]) -> list[str]:
    """Files that are not in both, or not the same."""
    return sorted([file for file in {**recorded, **files} if recorded.get(file) != files.get(file)])


def _told(files: list[str]) -> str:
    match files:
        case []:
            return "the digest differs"
        case [file]:
            return f"{file} differs"
        case [file, other]:
            return f"{file} and {other} differ"
        case [file, *others]:
            return f"{file} and {len(others)} more files differ"
    raise AssertionError(files)
