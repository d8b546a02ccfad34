"""The one kind of error that a user's wrong input raises, and the checks that raise it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msgspec import Struct


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
        raise InputError(f"{what}: {value!r} {right}")


def require_type(value: object, kind: type, what: str, made_by: str = "") -> None:
    """Raise InputError if an argument is of another type; `made_by` says how one gets such a value."""
    if not isinstance(value, kind):
        hint = f" ({made_by})" if made_by else ""
        raise InputError(f"{what}: {value!r} is no {kind.__name__}{hint}")


def require_one_of(value: Any, choices: Collection[str], what: str) -> None:
    """Raise InputError if a name is none of these."""
    if value not in choices:
        raise InputError(f"{what}: {value!r} is none of {', '.join(choices)}")


def require_types(value: Struct) -> None:
    """Raise InputError if a field of a value is of another type than it is declared with.

    For values that users make; what is made in great numbers is checked where it comes in.
    """
    import msgspec  # not by the module: pyDistAlgo's adapter imports it where nothing is installed
    from msgspec import structs

    kind = type(value)
    for field in structs.fields(kind):
        given = getattr(value, field.name)
        try:
            msgspec.convert(given, field.type)
        except msgspec.ValidationError as error:
            raise InputError(f"{kind.__name__}.{field.name}: {given!r}: {error}") from None
