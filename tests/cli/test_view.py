"""`diembft view` and `diembft plot`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from diembft.cli.view import write_html
from diembft.trace.files import write_trace
from tests.cli.running import diembft
from tests.pages.traces import fault_free, small_quorum

LEVELS = """{"question": {"model": "barrier", "replicas": 4, "faulty": 1, "sets": 2}, "ending": "fixed point",
             "levels": [{"round": 1, "states": 5}, {"round": 2, "states": 0}]}"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    write_trace(path, fault_free(rounds=9))
    return path


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text.split('type="application/json">')[1].split("</script>")[0])
    return data


def test_a_page_of_a_trace(capsys: Capture, trace: Path) -> None:
    page = trace.with_suffix(".html")
    assert diembft(capsys, "view", str(trace), "-o", str(page)) == (0, "", "")
    assert data_of(page)["title"] == "fault-free run"


def test_a_part_of_a_trace(capsys: Capture, trace: Path) -> None:
    page = trace.with_suffix(".html")
    outcome = diembft(capsys, "view", str(trace), "-o", str(page), "--rounds", "3-5")
    assert (outcome.status, outcome.out) == (0, f"{page}: rounds 3 to 5 of 10\n")
    window = data_of(page)["window"]
    assert isinstance(window, dict)
    assert (window["first_round"], window["last_round"], window["all_rounds"]) == (3, 5, 10)


def test_one_round_of_a_trace(capsys: Capture, trace: Path) -> None:
    outcome = diembft(capsys, "view", str(trace), "-o", str(trace.with_suffix(".html")), "--rounds", "4")
    assert "rounds 4 to 4 of 10" in outcome.out


@pytest.mark.parametrize(
    ("rounds", "complaint"),
    [("9-3", "ends before it begins"), ("x", "is not a round"), ("-1", "is not a round"), ("77", "rounds 0 to 10")],
)
def test_rounds_that_make_no_sense(capsys: Capture, trace: Path, rounds: str, complaint: str) -> None:
    page = trace.with_suffix(".html")
    assert complaint in diembft(capsys, "view", str(trace), "-o", str(page), f"--rounds={rounds}").complaint
    assert not page.exists()


def test_a_file_that_is_no_trace(capsys: Capture, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"type": "nonsense"}\n')
    complaint = diembft(capsys, "view", str(wrong), "-o", str(tmp_path / "page.html")).complaint
    assert "wrong.jsonl: line 1" in complaint


def test_a_missing_trace_or_folder(capsys: Capture, trace: Path, tmp_path: Path) -> None:
    assert "does not exist" in diembft(capsys, "view", str(tmp_path / "none"), "-o", str(tmp_path / "p.html")).complaint
    assert "does not exist" in diembft(capsys, "view", str(trace), "-o", str(tmp_path / "none" / "p.html")).complaint


def test_the_page_of_a_run_in_memory(tmp_path: Path) -> None:
    write_html(tmp_path / "page.html", small_quorum())
    assert "small_quorum" in str(data_of(tmp_path / "page.html")["title"])


def test_a_plot_of_a_trace(capsys: Capture, trace: Path) -> None:
    picture = trace.with_suffix(".svg")
    assert diembft(capsys, "plot", str(trace), "-o", str(picture)) == (0, "", "")
    assert "latency (ms)" in picture.read_text(encoding="utf-8")


@pytest.mark.parametrize(("command", "suffix"), [("view", ".html"), ("plot", ".svg")])
def test_what_comes_from_standard_input(
    capsys: Capture, trace: Path, monkeypatch: pytest.MonkeyPatch, command: str, suffix: str
) -> None:
    made = []
    for number, name in enumerate([str(trace), "-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + trace.read_bytes())))
        file = trace.with_name(f"{number}{suffix}")
        assert diembft(capsys, command, name, "-o", str(file)) == (0, "", "")
        made.append(file.read_bytes())
    assert made[0] == made[1]


def test_a_plot_of_levels(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "levels.json").write_text(LEVELS)
    assert diembft(capsys, "plot", str(tmp_path / "levels.json"), "-o", str(tmp_path / "levels.png")).status == 0
    assert (tmp_path / "levels.png").stat().st_size > 1000


def test_a_plot_of_what_cannot_be_plotted(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"a": 1}')
    complaint = diembft(capsys, "plot", str(tmp_path / "other.json"), "-o", str(tmp_path / "o.svg")).complaint
    assert "other.json: expected a trace" in complaint


def test_a_plot_in_an_unknown_format(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "levels.json").write_text(LEVELS)
    assert (
        ".svg, .png" in diembft(capsys, "plot", str(tmp_path / "levels.json"), "-o", str(tmp_path / "o.gif")).complaint
    )
