"""How hard to search: DIEMBFT_EFFORT=20 makes the expensive properties try 20 times as many examples."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """So many, times the effort."""
    return int(count * float(os.environ.get("DIEMBFT_EFFORT", "1")))
