"""The same events give the same effects, under any PYTHONHASHSEED; different inputs differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.consensus import chaos

SEEDS = ("1", "2", "3", "4")


def digests(hash_seed: str) -> list[str]:
    """In a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "tests.consensus.chaos", *SEEDS]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=120, check=True)
    return run.stdout.split()


def test_the_same_events_give_the_same_effects_under_any_hash_seed() -> None:
    first = digests("0")
    assert len(first) == len(SEEDS)
    for hash_seed in ("1", "4242"):
        assert digests(hash_seed) == first
    assert [chaos.digest(int(seed)) for seed in SEEDS] == first, "and in this process"


def test_different_inputs_differ() -> None:
    assert len({chaos.digest(seed) for seed in range(8)}) == 8


def test_the_runs_do_something() -> None:
    told = b"".join(told for seed in SEEDS for told in chaos.run(int(seed)))
    for kind in (b"Commit", b"Persist", b"Broadcast", b"Equivocation", b"SetTimer", b"Started", b"TimerFired"):
        assert told.count(kind) > 10, kind
