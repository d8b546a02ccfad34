"""What is expected of runs: that the system holds, or that something is violated.

Without a word from the user it follows from what is planted: where a bug is planted, something is to be violated, and
elsewhere all must hold.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, TypeAlias

Expect: TypeAlias = Literal["violation", "none"]
"""What the option `--expect` says."""

EXPECT: Final[tuple[Expect, ...]] = ("violation", "none")

NOT_VIOLATED: Final = "nothing is violated, and something should be"
"""Why what was expected to be violated fails."""


def none_violated(count: int) -> str:
    """The same of a sample or a search."""
    return f"none of {count:,} scenarios is violated, and one at least should be"


def expects_violation(expect: Expect | None, bugs: Collection[str]) -> bool:
    """Whether a violation is expected where these bugs are planted; None: nothing was said."""
    return bool(bugs) if expect is None else expect == "violation"
