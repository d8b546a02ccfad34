"""The stored transcripts are what happens. `python -m tests.consensus.transcripts` writes them anew."""

from __future__ import annotations

import pytest

from tests.consensus.transcripts import GOLDEN, TRANSCRIPTS, one_request


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript(name: str) -> None:
    assert TRANSCRIPTS[name]() == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_real_signatures_change_nothing() -> None:
    assert one_request("ed25519") == one_request("symbolic")


def test_no_transcript_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(TRANSCRIPTS)
