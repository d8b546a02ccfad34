"""Whether the objects that run are made of the code that was compared, and of no other.

Comparing modules with their sources finds what hangs in a module. What is made while a program runs can be of other
classes still: a subclass that somebody handed in, or an attribute that stands before a method. So all objects that can
be reached from those that run are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from diembft.twins.exhaustion.core_files import PACKAGE, SOURCE, left_out
from diembft.twins.exhaustion.live_code import CONTAINERS, PLAIN, Comparison, attributes, contents

INSTALLED: Final = ("immutables", "msgspec", "nacl", "typing_extensions")
"""Packages whose objects may be met, taken on trust as the standard library is."""

BUGS: Final = "faults/bugs/"


def strange_object(roots: Iterable[Any], known: Comparison) -> str | None:
    """What of another origin can be reached from these objects, in one clause; None if there is nothing."""
    waiting = list(roots)
    seen: dict[int, Any] = {}
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, ModuleType | CodeType) or type(value) in PLAIN:
            continue
        seen[id(value)] = value  # kept, so that no other object gets its id
        strange = _strange(value, known)
        if strange is not None:
            return strange
        if not isinstance(value, type):
            waiting += _inside(value)
    return None


def _strange(value: Any, known: Comparison) -> str | None:
    kind = value if isinstance(value, type) else type(value)
    if not _is_known(kind, kind.__module__, kind.__qualname__, id(kind) in known.classes):
        return f"{kind.__qualname__} of {kind.__module__} runs, and is in no file of the core"
    if isinstance(value, FunctionType):
        is_known = id(value.__code__) in known.codes
        if not _is_known(value, value.__module__, value.__qualname__, is_known):
            return f"{value.__qualname__} of {value.__module__} runs, and is in no file of the core"
    if not isinstance(value, type):
        for name in getattr(value, "__dict__", ()):
            if isinstance(_of_class(kind, name), FunctionType):
                return f"an attribute of a {kind.__qualname__} stands before {kind.__qualname__}.{name}"
    return None


def _is_known(value: Any, module: str | None, name: str, compared: bool) -> bool:
    """Whether a class or function is of a file of the core, of one that is left out of it, or of an installed package.

    `compared`: it was met in a file of the core.
    """
    top = (module or "builtins").partition(".")[0]
    if top != PACKAGE:
        return top in sys.stdlib_module_names or top in INSTALLED
    return compared or _is_left_out(value, module or "", name)


def _is_left_out(value: Any, module: str, name: str) -> bool:
    """Whether it is what a file that does not count has under this name. A planted bug is not let pass."""
    found: Any = sys.modules.get(module)
    path = getattr(found, "__file__", None)
    if path is None or not Path(path).is_relative_to(SOURCE):
        return False
    file = Path(path).relative_to(SOURCE).as_posix()
    for part in name.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    return found is value and left_out(file) and not file.startswith(BUGS)


def _of_class(kind: type, name: str) -> Any:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _inside(value: Any) -> Iterator[Any]:
    """What a value is made of, but for its class."""
    if isinstance(value, FunctionType):
        yield from (value.__defaults__, value.__kwdefaults__)
        yield from [contents(cell) for cell in value.__closure__ or ()]
        yield from vars(value).values()
        return
    if isinstance(value, BuiltinMethodType | MethodType):
        yield value.__self__
    if isinstance(value, CONTAINERS):
        yield from value
        if isinstance(value, Mapping):
            yield from value.values()
    yield from attributes(value).values()
