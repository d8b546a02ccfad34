"""The one kind of error that a user's wrong input raises, and the checks that raise it."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msgspec import Struct

SHORTEST_S, LONGEST_S = 1e-6, 1e6
"""Of times that are not 0, in seconds: what is shorter gets lost in sums of times, for what is longer nobody waits."""

_SHOWN = 200
"""How many characters of a wrong value are shown."""


class InputError(Exception):
    """A user's wrong input: one line that names the file, the field and the value. Exit status 2.

    >>> from diembft import InputError, Settings
    >>> try:
    ...     Settings(crypto="rsa")
    ... except InputError as error:
    ...     print(error)
    Settings.crypto: 'rsa': Invalid enum value 'rsa'
    """


def require(holds: bool, what: str, value: object, right: str) -> None:
    """Raise InputError unless something holds: `what` names the field, `right` says what would be right."""
    if not holds:
        raise InputError(f"{what}: {in_one_line(value)} {right}")


def require_type(value: object, kind: type | tuple[type, ...], what: str, made_by: str = "") -> None:
    """Raise InputError if an argument is of another type; `made_by` says how one gets such a value.

    True and False are no numbers here.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        hint = f" ({made_by})" if made_by else ""
        names = " or ".join([one.__name__ for one in kinds])
        raise InputError(f"{what}: {in_one_line(value)} is no {names}{hint}")


def require_one_of(value: Any, choices: Collection[str], what: str) -> None:
    """Raise InputError if a name is none of these."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{what}: {in_one_line(value)} is none of {', '.join(choices)}")


def require_names(value: Any, what: str) -> tuple[str, ...]:
    """Several names, in whatever they came. Raises InputError if they are none, as a single string is not."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise InputError(f"{what}: {in_one_line(value)} is no collection of names")
    for name in value:
        require_type(name, str, what)
    return tuple(value)


def require_whole(value: Any, what: str, least: int, most: int | None = None) -> None:
    """Raise InputError unless something is a whole number within bounds, which count as within."""
    require_type(value, int, what)
    if most is None:
        require(value >= least, what, value, f"is less than {least}")
    else:
        require(least <= value <= most, what, value, f"is not between {least} and {most}")


def require_seconds(value: Any, what: str, *, zero: bool = False) -> None:
    """Raise InputError unless something is a length of time: from SHORTEST_S to LONGEST_S, or with `zero` none."""
    require_type(value, (int, float), what)
    right = f"is not between {SHORTEST_S:g} and {LONGEST_S:g} seconds"
    require(
        SHORTEST_S <= value <= LONGEST_S or (zero and value == 0), what, value, f"{right}, nor 0" if zero else right
    )


def require_moment(value: Any, what: str) -> None:
    """Raise InputError unless something is a time since the beginning, in seconds."""
    require_type(value, (int, float), what)
    require(0 <= value <= LONGEST_S, what, value, f"is not between 0 and {LONGEST_S:g} seconds")


def require_factor(value: Any, what: str, least: float, most: float) -> None:
    """Raise InputError unless something is a number within bounds, which count as within."""
    require_type(value, (int, float), what)
    require(least <= value <= most, what, value, f"is not between {least:g} and {most:g}")


def require_callable(value: object, what: str) -> None:
    """Raise InputError if something is there and cannot be called."""
    require(value is None or callable(value), what, value, "cannot be called")


def require_types(value: Struct) -> None:
    """Raise InputError if a field of a value is of another type than it is declared with.

    What stands for such a value becomes one, as a list does for a tuple. For values that users make; what is made in
    great numbers is checked where it comes in.
    """
    import msgspec  # not by the module: pyDistAlgo's adapter imports it where nothing is installed
    from msgspec import structs

    kind = type(value)
    for field in structs.fields(kind):
        given = getattr(value, field.name)
        try:
            right = msgspec.convert(given, field.type)
        except (msgspec.ValidationError, OverflowError, RecursionError) as error:
            raise InputError(f"{kind.__name__}.{field.name}: {in_one_line(given)}: {error}") from None
        if right is not given:
            structs.force_setattr(value, field.name, right)


def is_finite(number: float) -> bool:
    """Whether a number is one: neither infinite nor, as a whole one, beyond what is calculated with."""
    try:
        return isfinite(number)
    except OverflowError:
        return False


def in_one_line(value: object) -> str:
    """A value as an error shows it: on one line, and not longer than a few."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of what users hand in, or a whole number of too many digits
        return f"some {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
