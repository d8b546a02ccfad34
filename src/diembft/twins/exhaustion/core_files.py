"""Which files a core is: all that a protocol's module and the exploration import, and what those import.

They are found in the sources, imports inside functions too, so that a new module cannot be forgotten. `LEFT_OUT` says
what does not count although it is imported, and why: docs/cores.md. Each protocol has files of its own, so that a
change of one leaves the others alone.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from diembft.protocols.by_name import BUILT_IN
from diembft.twins.exhaustion.by_file import ByFile
from diembft.twins.exhaustion.core_tokens import token_digest

PACKAGE: Final = "diembft"

SOURCE: Final = Path(__file__).parents[2]
"""The folder of the package whose modules run."""

EXPLORATION: Final = ("engine", "expansion", "search", "walks")
"""Where the exploration begins, in this room."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "faults/bugs/": "a core with a planted bug is never a recorded one",
    "faults/actors/": "no scenario of Twins has a Byzantine actor",
    "trace/records.py": "is written when something happened",
    "trace/header.py": "is written before anything happens",
    "trace/files.py": "is written when all has happened",
    "host/recording.py": "writes down what happened",
    "protocols/default_showing.py": "shows what happened",
    "protocols/diembft/showing.py": "shows what happened",
    "pages/": "shows what happened",
    "cli/": "asks, and prints",
    "errors.py": "says what a user did wrong",
    "files.py": "writes files",
    "twins/exhaustion/cores.py": "says which core it is, and decides no scenario; so do the next ones",
    "twins/exhaustion/by_file.py": "as above",
    "twins/exhaustion/core_files.py": "as above",
    "twins/exhaustion/core_records.py": "as above",
    "twins/exhaustion/core_tokens.py": "as above",
    "twins/exhaustion/fresh_code.py": "as above",
    "twins/exhaustion/live_code.py": "as above",
    "twins/exhaustion/live_objects.py": "as above",
}
"""Files, and folders, that cannot change what a scenario comes to, and why."""

NOT_FOLLOWED: Final[Mapping[tuple[str, str], str]] = {
    ("host/outlet.py", "consensus/effects.py"): (
        "it tells DiemBFT's effects from others, for drivers; DiemBFT imports them itself, and no other protocol does"
    ),
}
"""Imports, by which file of which, that drag in what does not run for the protocol's sake, and why."""

DIGITS: Final = 12
"""Of a file's digest, where it is written down to find the file that differs."""


class CoreFiles(NamedTuple):
    """The files of a core, each below the root, sorted, with the digest of its tokens; and one of them all."""

    digest: str
    files: dict[str, str]


def core_files(protocol: str, root: Path = SOURCE) -> CoreFiles:
    """The files of a protocol that comes with the tester, by its short name.

    Raises OSError if the sources are not at hand, and SyntaxError if they are no Python.
    """
    digests = {file: _token_digest(root / file) for file in files_of(protocol, root)}
    whole = blake2b(f"{protocol}\n".encode(), digest_size=16)
    for file, digest in digests.items():
        whole.update(f"{file}\n".encode() + digest)
    return CoreFiles(whole.hexdigest(), {file: digest.hex()[:DIGITS] for file, digest in digests.items()})


def files_of(protocol: str, root: Path = SOURCE) -> tuple[str, ...]:
    """Which files those are."""
    modules = {module_of(file): file for file in _files_below(root)}
    module, _, _ = BUILT_IN[protocol].partition(":")
    begins = [module, *[f"{PACKAGE}.twins.exhaustion.{name}" for name in EXPLORATION]]
    waiting = [modules[name] for name in begins if name in modules]
    found: set[str] = set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [
                imported
                for imported in _imported(root / file, module_of(file), modules)
                if not left_out(imported) and (file, imported) not in NOT_FOLLOWED
            ]
    return tuple(sorted(found))


def left_out(file: str) -> bool:
    """Whether a file does not count."""
    return any(file == entry or (entry.endswith("/") and file.startswith(entry)) for entry in LEFT_OUT)


def module_of(file: str) -> str:
    """The name of the module in a file below the root."""
    parts = file.removesuffix(".py").split("/")
    return ".".join([PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def _files_below(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".py"):
                yield Path(folder, name).relative_to(root).as_posix()


# --- imports

_Import = tuple[int, str, str]
"""From how many packages up (0: absolute), from which module, which name ("" for the module itself)."""


def _imported(path: Path, module: str, modules: Mapping[str, str]) -> Iterator[str]:
    """The files of the package that a module imports from. That is the `__init__.py` of a package if a name is taken
    from it; where it is merely passed, what it does to other modules is seen in those."""
    packages = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for level, base, name in _imports(path):
        above = packages[: len(packages) - level + 1] if level else []
        whole = ".".join([*above, *([base] if base else [])])
        found = modules.get(f"{whole}.{name}") or modules.get(whole)
        if found is not None:
            yield found


def _imports_in(path: Path) -> tuple[_Import, ...]:
    return tuple(dict.fromkeys(_statements([ast.parse(path.read_bytes())])))


def _statements(nodes: Iterable[ast.AST]) -> Iterator[_Import]:
    """What is imported when the program runs, in functions too."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from [(0, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            yield from [(node.level, node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _statements(node.orelse)
        elif not isinstance(node, ast.expr):
            yield from _statements(ast.iter_child_nodes(node))


_imports: Final = ByFile(_imports_in)
_token_digest: Final = ByFile(lambda path: token_digest(path.read_text(encoding="utf-8")))
