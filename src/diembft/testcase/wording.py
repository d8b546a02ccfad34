"""How what a user wrote is shown: on one line, whatever it is, and a single value never longer than a line."""

import reprlib
from enum import Enum
from typing import Any, NamedTuple

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60

_NO_REPR: Any = object.__repr__


def shown(value: object) -> str:
    """A short one-line form of any value, for error messages."""
    return one_line(_SHORT.repr(value))


def one_line(text: str) -> str:
    """`text` with its line breaks and runs of blanks made into single blanks."""
    return " ".join(text.split())


def call(value: NamedTuple) -> str:
    """A named tuple as a file makes it, on one line and without what may be left out: `Config(4, 1, [], 0.05)`."""
    words: list[str] = []
    by_position = True
    for field, given in zip(value._fields, value, strict=True):
        if field in value._field_defaults and given == value._field_defaults[field]:
            by_position = False
        else:
            words.append(_argument(given) if by_position else f"{field}={_argument(given)}")
    return f"{type(value).__name__}({', '.join(words)})"


def _argument(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if type(value).__repr__ is _NO_REPR:  # which names an address, and so differs from run to run
        return f"{type(value).__name__}()"
    return shown(value)
