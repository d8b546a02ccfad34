"""What is computed from a file is computed again only when the file has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class ByFile(Generic[T]):
    """A function of a file's contents that remembers its last answer for each file."""

    def __init__(self, compute: Callable[[Path], T]) -> None:
        self._compute = compute
        self._known: dict[Path, tuple[tuple[int, int], T]] = {}

    def __call__(self, path: Path) -> T:
        """Computed, or remembered if time and size of the file are what they were. Raises OSError if there is none."""
        status = path.stat()
        version = (status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known[0] != version:
            known = self._known[path] = (version, self._compute(path))
        return known[1]

    def forget(self) -> None:
        """Compute everything anew."""
        self._known.clear()
