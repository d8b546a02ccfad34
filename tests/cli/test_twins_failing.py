"""Cores whose steps raise, or never end: a finding of the commands, with its scenario, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.twins.exhaustion import expansion
from diembft.twins.runs import steps, watchdog
from tests.cli.running import Outcome, diembft
from tests.twins.edits import FAILING, fail

SCENARIO = (
    "scenario story: replicas=a,b,c,d twins=a' gst=2\n"
    "  1: a leads a,b,c,d,a'\n  2: b leads a,b,c,d,a'\n  3-9: d leads a,b,c,d,a'\n"
)

DETAILS = {
    "raises": "KeyError: 7 (edits.py:",
    "never_ends": "takes longer than 0.3 s (edits.py:",
    "has_many_effects": "a step has 20,00",
    "cannot_start": "ValueError: what was expected (edits.py:",
    "answers_answers": "messages do not end: a phase of round ",
}


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watchdog, "MAX_SECONDS", 0.3)
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.05)
    watchdog.forget()
    monkeypatch.setattr(expansion, "_engines", {})  # they remember what another core came to
    monkeypatch.chdir(tmp_path)


def assert_told(outcome: Outcome, name: str) -> None:
    assert outcome.status == 1
    assert DETAILS[name] in outcome.out
    assert "again: diembft twins replay " in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


@pytest.mark.parametrize("name", [name for name in FAILING if name != "answers_answers"])
def test_run_tells_of_it_and_how_to_see_it(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("story.txt").write_text(SCENARIO)
    fail(monkeypatch, name)
    outcome = diembft(capsys, "twins", "run", "story.txt", "-j", "1", "--html", "page.html")
    assert_told(outcome, name)
    assert "scenario 0 story: crash: " in outcome.out
    assert "1 violated (1 failed)" in outcome.out
    assert DETAILS[name].split("(")[0] in Path("page.html").read_text()
    again = diembft(capsys, "twins", "replay", "story.txt")
    assert again.status == 1
    assert "VIOLATED crash: " in again.out
    assert "The end: a node failed" in again.out


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("model", ["barrier", "lazy"])
def test_explore_finds_it_and_its_scenario_is_confirmed(
    name: str, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "answers_answers":
        monkeypatch.setattr(steps, "MAX_EFFECTS", 200)
    fail(monkeypatch, name)
    outcome = diembft(capsys, "twins", "explore", "--quorum-filter", "--model", model, "-j", "1", "-o", "found.jsonl")
    assert_told(outcome, name)
    assert "violates crash" in outcome.out
    again = diembft(capsys, "twins", "replay", "found.jsonl", "--expect", "violation")
    assert again.status == 0
    assert "VIOLATED crash: " in again.out
