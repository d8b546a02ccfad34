"""Files that appear only when they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when the block ends; if that fails, nothing has changed.

    Its name ends as `path` does, for programs that go by that. Raises OSError, as writing does.
    """
    partial = path.with_name(f"{path.name}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
