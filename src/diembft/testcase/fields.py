"""A field of a test configuration that is being read: where it stands, for errors, and the checks that any may need."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeGuard

from msgspec import Struct

from diembft.errors import InputError
from diembft.testcase.wording import shown

_REPLICA_NAME = re.compile(r"replica(0|[1-9][0-9]*)")


class Field(Struct, frozen=True):
    """One field of a file."""

    source: str
    field: str

    def within(self, name: str) -> "Field":
        """The field `name` of this one."""
        return Field(self.source, f"{self.field}.{name}" if self.field else name)

    def entry(self, key: object) -> "Field":
        """The entry under `key` of this list or mapping."""
        return Field(self.source, f"{self.field}[{shown(key)}]")

    def fail(self, wanted: str, value: object) -> NoReturn:
        """Complain: `wanted` says what the field must be."""
        raise InputError(f"{self.source}: {self.field}: must be {wanted}, not {shown(value)}")

    def integer(self, value: object, *, low: int, high: int) -> int:
        """A whole number within bounds, which count as within."""
        if not is_integer(value) or not low <= value <= high:
            self.fail(f"a whole number from {low} to {high}", value)
        return value

    def not_negative(self, value: object) -> float:
        """A number that is at least 0."""
        if not is_number(value) or value < 0:
            self.fail("a number, not negative", value)
        return float(value)

    def positive(self, value: object) -> float:
        """A number above 0."""
        if not is_number(value) or value <= 0:
            self.fail("a number above 0", value)
        return float(value)

    def items(self, value: object, wanted: str) -> Iterable[tuple["Field", object]]:
        """The items of a list or tuple, each with the place where it stands."""
        if not is_sequence(value):
            self.fail(wanted, value)
        return [(self.entry(index), item) for index, item in enumerate(value)]


def is_integer(value: object) -> TypeGuard[int]:
    """Whether this is a whole number; a truth value is none, though Python counts it as one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether this is a finite number that a float can hold."""
    if isinstance(value, float):
        return math.isfinite(value)
    return is_integer(value) and abs(value) < 1 << 1023


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """Whether this is a list or a tuple, and not one Workload or Failure where a list of them is wanted."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and not hasattr(value, "_fields")


def replica_of(value: object, n: int) -> int | None:
    """The index of a replica that is named `'replica2'` or given as 2; None if there is no such replica."""
    if isinstance(value, str):
        match = _REPLICA_NAME.fullmatch(value)
        # Longer digits than any valid index are not converted: Python refuses some thousands of them.
        value = int(match[1]) if match and len(match[1]) < 10 else None
    return value if is_integer(value) and 0 <= value < n else None


def replicas_in_words(n: int) -> str:
    """How replicas are called, for errors."""
    return "'replica0' (or 0)" if n == 1 else f"one of 'replica0' to 'replica{n - 1}' (or 0 to {n - 1})"
