"""Whether two values are alike in every part, whatever their own code takes to be equal."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

_PLAIN = (bool, int, str, bytes)


def alike(one: Any, other: Any) -> bool:
    """Whether two values have the same types and the same contents, part by part; False where that cannot be seen.

    What is seen are integers, text, bytes, tuples and structs, which show all that is in them. Everything else is alike
    if it is one object. No `__eq__` is asked but that of plain values.
    """
    waiting = [(one, other)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        mine, its = waiting.pop()
        if mine is its:
            continue
        type_ = type(mine)
        if type_ is not type(its):
            return False
        if type_ in _PLAIN:
            if mine != its:
                return False
        elif (id(mine), id(its)) not in seen:
            seen.add((id(mine), id(its)))  # chains that share blocks are looked at once
            my_parts, its_parts = _parts(mine), _parts(its)
            if my_parts is None or its_parts is None or len(my_parts) != len(its_parts):
                return False
            waiting += zip(my_parts, its_parts, strict=True)
    return True


def _parts(value: Any) -> tuple[Any, ...] | None:
    """All that is in a value; None if that cannot be seen."""
    if type(value) is tuple:
        return value
    if not isinstance(value, Struct) or hasattr(value, "__dict__"):
        return None
    return tuple([getattr(value, name) for name in value.__struct_fields__])
