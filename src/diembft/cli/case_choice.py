"""Which test cases a command line means: a folder, names, and an expression over names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from diembft.cli.selecting import expression
from diembft.errors import InputError
from diembft.testcase.loader import MUST_FAIL, SUFFIXES, case_files, default_folder, find, name_in


class Chosen(NamedTuple):
    """One case to run."""

    name: str
    """As it is shown."""
    given: str
    """As `diembft run` takes it."""


def chosen(arguments: Sequence[str], keyword: str | None) -> list[Chosen]:
    """The cases that `[DIR] [NAME]...` and `-k` mean, each once. Raises InputError, also if there is none."""
    folder = Path(arguments[0]) if arguments and arguments[0] and Path(arguments[0]).is_dir() else None
    names = arguments[1:] if folder is not None else arguments
    if folder is None:
        cases = [_by_name(name) for name in names] or _all_in(None)
    else:
        cases = [_in_folder(folder, name) for name in names] or _all_in(folder)
    cases = list({case.given: case for case in cases}.values())
    if keyword is None:
        return cases
    means = expression(keyword)
    meant = [case for case in cases if means(case.name)]
    if not meant:
        raise InputError(f"-k: {keyword[:200]!r} selects no case of {len(cases)} (`diembft list` has their names)")
    return meant


def _all_in(folder: Path | None) -> list[Chosen]:
    """All cases in a folder, or in that of the project."""
    top = default_folder() if folder is None else folder
    files = case_files(top)
    if not files:
        raise InputError(f"{top}: there are no test cases (files that end in .da or .py)")
    named = [(name_in(top, path), path) for path in files]
    return [Chosen(name, name if folder is None else str(path)) for name, path in named]


def _by_name(name: str) -> Chosen:
    find(name)
    return Chosen(name, name)


def _in_folder(folder: Path, name: str) -> Chosen:
    """A case of a folder: by its name below it, or by its file as `diembft list DIR` shows it."""
    below = [folder / name] if name.endswith(SUFFIXES) else [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    for path in [*below, *([Path(name)] if name.endswith(SUFFIXES) else [])]:
        if path.is_file():
            return Chosen(name, str(path))
    known = names_in(folder)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{name!r}: there is no such test case in {folder}{hint}")


def names_in(folder: Path) -> list[str]:
    """The names of all cases in a folder, those that must fail after the others. Raises InputError."""
    below = [folder, folder / MUST_FAIL] if (folder / MUST_FAIL).is_dir() else [folder]
    return [name_in(folder, path) for place in below for path in case_files(place)]
