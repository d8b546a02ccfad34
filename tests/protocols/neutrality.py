"""That nothing of DiemBFT stands where another protocol is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diembft.pages.page import render
from diembft.pages.prepare import prepare
from diembft.trace.files import write_trace
from diembft.trace.records import Record

WORDS = ("DiemBFT", "high_commit_qc", "commit_state_id", "last_round_tc", "exec_state_id")


def assert_neutral(trace: Sequence[Record], folder: Path) -> None:
    """Neither the trace nor its page has one of the words."""
    path = folder / "neutral.jsonl"
    write_trace(path, trace)
    for text in (path.read_text(encoding="utf-8"), render(prepare(trace))):
        assert [word for word in WORDS if word in text] == []
