"""Tables and lines in terminals of different widths."""

from __future__ import annotations

import pytest
from rich.console import Console

from diembft.cli import output
from diembft.cli.output import Column

COLUMNS = (Column("case"), Column("n", True), Column("real s", True, spare=True), Column("what", prose=True))
ROWS = [("consecutive_faulty_leaders", "4", "12.25", "The leaders of three rounds in a row are silent.")] * 2


def at_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(output, "out", lambda: Console(width=width, force_terminal=True, color_system=None))


@pytest.mark.parametrize(("width", "shows"), [(120, True), (80, True), (60, False), (40, False)])
def test_headings_and_names_stay_in_one_piece_and_spare_columns_go(
    width: int, shows: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_width(monkeypatch, width)
    output.table(COLUMNS, ROWS)
    printed = capsys.readouterr().out
    assert ("real s" in printed) == shows
    assert printed.count("consecutive_faulty_leaders") == 2
    assert "what" in printed


def test_sentences_break_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "No scenario of any length violates agreement in model barrier"
    output.tell(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"
    at_width(monkeypatch, 20)
    output.tell(sentence)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert " ".join([line.strip() for line in lines]) == sentence
