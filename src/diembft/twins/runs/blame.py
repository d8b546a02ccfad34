"""What went wrong in the code of a protocol under test, in one line: the exception, and where it came from.

Steps, forks and the making of nodes are guarded where they are executed (`steps`), and what fails there is a finding.
All else that a protocol supplies (readings, keys, the order of messages) is called wherever it is needed; what it
raises comes up as it is, and is told apart here from what is raised by the tester itself: by the files it went through.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator

_SHOWN_CHARACTERS = 120
_SHOWN_PLACES = 2
_TESTER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_PACKAGES = tuple([sysconfig.get_paths()[scheme] + os.sep for scheme in ("purelib", "platlib")])
_REMOTE = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in (?P<name>.+)')
"""A line of the traceback that comes with an exception from another process, as text."""


def blamed(error: BaseException, protocols: Iterable[str]) -> str | None:
    """One line on an exception that went through the code of one of these protocols, given by their names; None if it
    went through none, or got from there into the tester again."""
    for protocol in protocols:
        root = _root_of(protocol)
        places = own_places(error, root) if root else []
        if places:
            return f"protocol: {protocol}: {described(error)} ({', '.join(places)})"
    return None


def described(error: BaseException) -> str:
    """The type and the text of an exception, on one line."""
    try:
        text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    except Exception:  # also the words may be those of the code under test
        text = ""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 3] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def own_places(error: BaseException, root: str = "") -> list[str]:
    """The innermost places in files below `root` that an exception went through; none if it came from the tester that
    they called. Without a root: in all that is neither the tester, nor the library of Python, nor installed."""
    if isinstance(error, SyntaxError) and error.filename and _is_own(error.filename, root):
        return [f"{os.path.basename(error.filename)}:{error.lineno}"]
    own: list[str] = []
    for file, line, name in _frames(error):
        if _is_own(file, root):
            own.append(f"{os.path.basename(file)}:{line} in {name}")
        elif file.startswith(_TESTER):
            own.clear()
    return own[: -_SHOWN_PLACES - 1 : -1]


def _frames(error: BaseException) -> Iterator[tuple[str, int, str]]:
    cause = error.__cause__
    if type(cause).__name__ == "_RemoteTraceback":
        for found in _REMOTE.finditer(str(cause)):
            yield found["file"], int(found["line"]), found["name"]
        return
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line, frame.f_code.co_name


def _is_own(file: str, root: str) -> bool:
    if file.startswith(("<", _TESTER)):
        return False
    if root.startswith(_PACKAGES):
        return file.startswith(root)
    return file.startswith(root) and not file.startswith((_STDLIB, *_PACKAGES))


def _root_of(protocol: str) -> str:
    """Where the code of a protocol lives, by its name: the folder of its module or package; of a module that is
    installed beside others, the file; "" if there is no such module."""
    package = protocol.partition(":")[0].partition(".")[0]
    file: str | None = getattr(sys.modules.get(package), "__file__", None)
    if file is None:
        return ""
    folder = os.path.dirname(os.path.abspath(file)) + os.sep
    return os.path.abspath(file) if folder in _PACKAGES else folder
