"""Runs a user's Python file, in which some imports are answered.

A configuration says `from config import *`, wherever it lies. Such an import is answered here, for that one file:
neither `sys.path` nor `sys.modules` changes, so that no other module of that name is hidden or taken for ours.
"""

import ast
import builtins
from collections.abc import Callable, Mapping, Sequence
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from diembft.errors import InputError
from diembft.testcase.wording import one_line, shown


class Executed(NamedTuple):
    """A file that was run."""

    text: str
    tree: ast.Module
    variables: dict[str, Any]
    """Its global ones, after it ran."""


def execute(path: Path, answers: Mapping[str, ModuleType]) -> Executed:
    """Run a file; `answers` are the modules that it gets under these names, all others are as usual.

    Raises InputError if it cannot be read, is not Python, or raises something, with the line where that is known.
    """
    try:
        text = decode_source(path.read_bytes())
        tree = ast.parse(text, str(path))
        code = compile(tree, str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        near = f" at {shown(error.text.strip())}" if error.text else ""
        raise InputError(f"{path}{where}: syntax error{near}: {one_line(error.msg)}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: not readable as Python: {one_line(str(error))}") from error
    variables: dict[str, Any] = {
        "__name__": path.stem,
        "__file__": str(path),
        "__builtins__": {**vars(builtins), "__import__": _answering(answers)},
    }
    try:
        exec(code, variables)
    except (Exception, SystemExit) as error:
        line = _line_in(path, error)
        where = f", line {line}" if line else ""
        raise InputError(f"{path}{where}: {type(error).__name__}: {one_line(str(error))}") from error
    return Executed(text, tree, variables)


def _answering(answers: Mapping[str, ModuleType]) -> Callable[..., ModuleType]:
    def import_(
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        # `import package.module` is about the package.
        if name in answers and level == 0 and (fromlist or "." not in name):
            return answers[name]
        return builtins.__import__(name, globals_, locals_, fromlist, level)

    return import_


def _line_in(path: Path, error: BaseException) -> int | None:
    """The last line of the file itself that the error passed through."""
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
