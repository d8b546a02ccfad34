"""Whether what runs is what the sources say: the names of modules compared with those of their sources executed anew.

Functions are compared by their code, classes attribute by attribute, and values by what they are made of, so that a
patched method, function or constant is found wherever it hangs. What may differ is what is remembered: the contents of
a dict, list or set that begins empty, and data in private attributes of values that are not frozen.

Taken on trust are the interpreter, the standard library and the packages that are installed.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from importlib import import_module
from types import (
    BuiltinMethodType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, Final, ForwardRef, TypeAlias

from diembft.twins.exhaustion.core_files import PACKAGE, SOURCE, module_of
from diembft.twins.exhaustion.fresh_code import fresh_names

OF_MODULES: Final = frozenset(
    {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__"}
    | {"__spec__", "__warningregistry__", "__annotations__", "__annotate__", "__conditional_annotations__"}
)
"""Names in a module that importing puts there, or that say nothing of what it does."""

OF_CLASSES: Final = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__annotations__", "__annotate_func__", "__annotations_cache__"}
    | {"__firstlineno__", "__static_attributes__", "__msgspec_cache__", "__non_callable_proto_members__", "_abc_impl"}
)
"""The same of classes; some come when they are first asked for."""

OF_VALUES: Final = frozenset({"__doc__", "__msgspec_cached_hash__", "__msgspec_cache__"})
"""The same of values."""

OF_CODE: Final = (
    *("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_exceptiontable", "co_name"),
    *("co_qualname", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags"),
)
"""What a function does, but for its constants. Where it stands in the file is not compared."""

OF_STRUCTS: Final = ("__struct_fields__", "__struct_defaults__", "__struct_encode_fields__", "__struct_config__")
"""What msgspec knows of a class beyond its attributes."""

UNORDERED: Final = (set, frozenset)
CONTAINERS: Final = (dict, MappingProxyType, tuple, list, deque, *UNORDERED)
FILLED: Final = (dict, list, set, deque)
"""Containers that may begin empty and be filled."""

PLAIN: Final = (str, bytes, int, float, complex, type(None), type(...), range)
"""Compared by their value."""

Place: TypeAlias = str | None
"""Where two things differ, as it is written behind their name (".commit"); "" if they are different altogether, None
if they are alike."""

UNSET: Final = object()


class Comparison:
    """Compares modules that run with their sources. What it met of them is known to be theirs."""

    def __init__(self) -> None:
        self.classes: dict[int, type] = {}
        """The classes that run, by their ids."""
        self.codes: dict[int, CodeType] = {}
        """The code of their functions, and of what is inside those."""
        self._met: dict[tuple[int, int], tuple[Any, Any]] = {}
        """Pairs that were compared or are being compared: where they differ, it was said, or will be."""
        self._live: dict[str, Any] = {}
        self._fresh: dict[str, Any] = {}
        """The names of the module under way."""

    def module(self, file: str) -> str | None:
        """The first name in this module that is not as in its file; None if all are."""
        name = module_of(file)
        live = self._live = vars(import_module(name))
        fresh = self._fresh = fresh_names(SOURCE / file)
        for key, value in fresh.items():
            place = None if key in OF_MODULES else self.differs(live.get(key, UNSET), value)
            if place is not None:
                return _named(key, place, value)
        added = [key for key in live if key not in fresh and key not in OF_MODULES and not _is_submodule(name, key)]
        return added[0] if added else None

    def differs(self, live: Any, fresh: Any) -> Place:
        """Where what runs differs from what the source makes."""
        if live is fresh:
            return None
        pair = (id(live), id(fresh))
        if pair in self._met:
            return None
        self._met[pair] = (live, fresh)
        if isinstance(fresh, type):
            return self._class(live, fresh)
        if self.differs(type(live), type(fresh)) is not None:
            return ""
        return self._value(live, fresh)

    def _value(self, live: Any, fresh: Any) -> Place:
        """The same for two things of one type, which are no classes."""
        match fresh:
            case FunctionType():
                return self._function(live, fresh)
            case CellType():
                return self.differs(contents(live), contents(fresh))
            case BuiltinMethodType():
                return self._all([(live.__name__, fresh.__name__), (live.__self__, fresh.__self__)])
            case ForwardRef():
                return None if live.__forward_arg__ == fresh.__forward_arg__ else ""
            case ModuleType():
                return ""
        if isinstance(fresh, PLAIN):
            return None if live == fresh else ""
        place = self._container(live, fresh) if isinstance(fresh, CONTAINERS) else None
        return self._attributes(live, fresh) if place is None else place

    def _all(self, pairs: Sequence[tuple[Any, Any]]) -> Place:
        """Where any of these differ, all of them belonging to one thing."""
        return None if all(self.differs(live, fresh) is None for live, fresh in pairs) else ""

    # --- functions

    def _function(self, live: FunctionType, fresh: FunctionType) -> Place:
        self._know(live.__code__)
        if not same_code(live.__code__, fresh.__code__):
            return ""
        if fresh.__globals__ is self._fresh and live.__globals__ is not self._live:
            return ""  # the same words, about other names
        return self._all(
            [
                (live.__defaults__, fresh.__defaults__),
                (live.__kwdefaults__, fresh.__kwdefaults__),
                (live.__closure__, fresh.__closure__),
                (live.__dict__, fresh.__dict__),
            ]
        )

    def _know(self, code: CodeType) -> None:
        self.codes[id(code)] = code
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._know(constant)

    # --- classes

    def _class(self, live: Any, fresh: type) -> Place:
        if not isinstance(live, type) or _where(live) != _where(fresh):
            return ""
        self.classes[id(live)] = live
        if self._all([(type(live), type(fresh)), (live.__bases__, fresh.__bases__)]) is not None:
            return ""
        mine, its = vars(live), vars(fresh)
        for name in {**its, **mine}:
            if name in OF_CLASSES or (name not in its and _is_inherited(live, name)):
                continue
            place = self.differs(mine.get(name, UNSET), its.get(name, UNSET))
            if place is not None:
                return "." + _named(name, place, its.get(name))
        return self._struct(live, fresh)

    def _struct(self, live: type, fresh: type) -> Place:
        if not hasattr(fresh, "__struct_config__"):
            return None
        return self._all([(_settings(getattr(live, name)), _settings(getattr(fresh, name))) for name in OF_STRUCTS])

    # --- values

    def _container(self, live: Any, fresh: Any) -> Place:
        if not fresh and isinstance(fresh, FILLED):
            return None
        if len(live) != len(fresh):
            return ""
        if isinstance(fresh, UNORDERED):
            return None if live == fresh or sorted(map(repr, live)) == sorted(map(repr, fresh)) else ""
        if not isinstance(fresh, Mapping):
            return self._all(list(zip(live, fresh, strict=True)))
        if any(key not in live for key in fresh):  # keys that are classes of the module, or the like: by their order
            return self._all(list(zip([*live.keys(), *live.values()], [*fresh.keys(), *fresh.values()], strict=True)))
        return self._all([(live[key], fresh[key]) for key in fresh])

    def _attributes(self, live: Any, fresh: Any) -> Place:
        mine, its = attributes(live), attributes(fresh)
        if not its and not mine and not isinstance(fresh, CONTAINERS):
            # Of what is opaque only those can be compared that say when they are equal.
            return "" if _has_value(fresh) and live != fresh else None
        frozen = is_frozen(fresh)
        for name in {**its, **mine}:
            one, other = mine.get(name, UNSET), its.get(name, UNSET)
            if name in OF_VALUES or (not frozen and _is_private(name) and not (holds_code(one) or holds_code(other))):
                continue
            place = self.differs(one, other)
            if place is not None:
                return f".{name}{place}"
        return None


# --- what things are made of


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two functions do the same, wherever they stand."""
    return one is other or (
        all(getattr(one, name) == getattr(other, name) for name in OF_CODE)
        and _same_constant(one.co_consts, other.co_consts)
    )


def _same_constant(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False  # 1, 1.0 and True are equal
    if isinstance(one, CodeType):
        return same_code(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same_constant, one, other))
    return one == other and (isinstance(one, frozenset) or repr(one) == repr(other))  # 0.0 equals -0.0


def attributes(value: Any) -> dict[str, Any]:
    """The attributes that a value has of its own, in its `__dict__` or in slots."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, MemberDescriptorType):
                held = _held(member, value)
                if held is not UNSET:
                    found.setdefault(name, held)
    return found


def _held(member: MemberDescriptorType, value: Any) -> Any:
    try:
        return member.__get__(value)
    except AttributeError:
        return UNSET


def is_frozen(value: Any) -> bool:
    """Whether a value is not meant to change."""
    config = getattr(type(value), "__struct_config__", None) or getattr(type(value), "__dataclass_params__", None)
    return isinstance(value, tuple | Enum) or (config is not None and config.frozen)


def holds_code(value: Any) -> bool:
    """Whether a value, or one inside of it, does something: a function, a class, or an object of this package that is
    no plain value."""
    if isinstance(value, CONTAINERS):
        inside: Iterator[Any] = iter([*value, *value.values()] if isinstance(value, Mapping) else value)
        return any(map(holds_code, inside))
    ours = type(value).__module__.partition(".")[0] == PACKAGE
    return callable(value) or (ours and not is_frozen(value))


def _has_value(opaque: Any) -> bool:
    """Whether it says when it is equal to another one."""
    equal: Any = type(opaque).__eq__
    return equal is not object.__eq__


def contents(cell: CellType) -> Any:
    """What a variable of a function around this one holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def _settings(value: Any) -> Any:
    """A configuration of msgspec as a dict; all else as it is."""
    if isinstance(value, tuple):
        return value
    return {name: getattr(value, name) for name in dir(value) if not name.startswith("__")}


def _named(name: str, place: str, value: Any) -> str:
    """Where something differs below this name; of a function or property it is not said where in it."""
    return name if hasattr(value, "__get__") else name + place


def _where(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _is_inherited(kind: type, name: str) -> bool:
    """Whether an attribute is what the class had without it: `typing.Protocol` puts `__init__` so, when it is used."""
    value = vars(kind)[name]
    return next((vars(base)[name] is value for base in kind.__mro__[1:] if name in vars(base)), False) or (
        value is object.__init__
    )


def _is_submodule(package: str, name: str) -> bool:
    """Whether a name in a package is there because the module was imported."""
    return f"{package}.{name}" in sys.modules
