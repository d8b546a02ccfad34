"""Finds a test configuration by name or file, executes it, and hands back the validated test case.

A configuration is plain Python in all but its suffix. It says `from config import *`, wherever it lies.
"""

import ast
import difflib
import random
from collections.abc import Callable
from itertools import chain, takewhile
from pathlib import Path

from diembft.errors import InputError, require_callable, require_type
from diembft.testcase import types
from diembft.testcase.case import TestCase
from diembft.testcase.user_file import execute
from diembft.testcase.validate import normalise
from diembft.testcase.wording import one_line

CONFIGS = Path("configs")
"""Where a name is looked up first, relative to the current folder."""
SHIPPED = Path(__file__).with_name("configs")
"""Where a name is looked up next: the copy of the project's cases that an installed package has."""
SUFFIXES = (".da", ".py")
MUST_FAIL = "must_fail"
"""The folder, below that of the cases, of those whose failing is the point; they are run by name only."""


def load(name_or_file: str | Path, *, draw_seed: Callable[[], int] | None = None) -> TestCase:
    """The test case of a name (`faulty_dropouts`, `format/rounds`) or of a file (`FILE.da`, `FILE.py`).

    The optional variable `expect_failure` of a file names the kind of failure that the case must show to pass.
    `draw_seed` draws each seed that the file leaves out (by default from the system's entropy; the case
    says which were drawn). Raises InputError for all that is wrong with the name, the file or what it says.

    >>> from diembft import load_case
    >>> case = load_case("faulty_dropouts")
    >>> case.name, case.num_replicas
    ('faulty_dropouts', 4)
    """
    require_type(name_or_file, (str, Path), "load_case")
    require_callable(draw_seed, "load_case: draw_seed")
    path = find(str(name_or_file))
    file = execute(path, {"config": types})
    for variable in ("config", "failure_config"):
        if variable not in file.variables:
            raise InputError(f"{path}: the variable {variable} is missing")
    return normalise(
        file.variables["config"],
        file.variables["failure_config"],
        name=path.stem,
        source=str(path),
        draw_seed=draw_seed or _entropy,
        description=_description(file.text, file.tree),
        expect_failure=file.variables.get("expect_failure"),
    )


def case_files(folder: Path) -> tuple[Path, ...]:
    """The configurations in a folder and below it, but for `must_fail`: sorted by name, those of a folder itself first.

    Raises InputError if a folder cannot be read.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda path: (path.stem, path.suffix))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from error
    files = [path for path in entries if path.suffix in SUFFIXES and path.is_file()]
    below = [path for path in entries if path.is_dir() and path.name != MUST_FAIL and not path.name.startswith(".")]
    return (*files, *chain.from_iterable(map(case_files, below)))


def name_in(folder: Path, file: Path) -> str:
    """The name of a configuration below the folder of all cases, as `load` takes it: `format/rounds`."""
    return file.relative_to(folder).with_suffix("").as_posix()


def default_folder() -> Path:
    """The folder of all cases: `configs/` under the current folder, else the shipped one."""
    return CONFIGS if CONFIGS.is_dir() else SHIPPED


def find(name_or_file: str) -> Path:
    """The file that a name or file name means. Raises InputError if there is none."""
    given = Path(name_or_file)
    if given.suffix in SUFFIXES:
        candidates = [given]
    else:
        candidates = [folder / f"{name_or_file}{suffix}" for folder in (CONFIGS, SHIPPED) for suffix in SUFFIXES]
    for candidate in candidates:
        if _is_file(candidate):
            return candidate
    if given.suffix in SUFFIXES:
        raise InputError(f"{given}: there is no such file")
    if _is_file(given):
        raise InputError(f"{given}: a test configuration is a file that ends in .da or .py")
    raise InputError(f"{name_or_file!r}: there is no such test case in {CONFIGS}/{_similar(name_or_file)}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a null character
        return False


def _similar(name: str) -> str:
    folder = default_folder()
    known = [name_in(folder, path) for path in case_files(folder)] if folder.is_dir() else []
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _description(text: str, tree: ast.Module) -> str:
    """The first paragraph of the docstring, or else of the first comment, on one line; or the empty string."""
    described = ast.get_docstring(tree)
    if described is None:
        lines = text.lstrip().splitlines()
        described = "\n".join(line.lstrip("#!").strip() for line in takewhile(_is_comment, lines))
    return one_line(described.strip().split("\n\n")[0])


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def _entropy() -> int:
    return random.SystemRandom().randrange(1 << 32)
