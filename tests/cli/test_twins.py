"""`diembft twins`: generate, run and explore, as users see them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from diembft.cli.main import main
from tests.cli.test_view import data_of

ROOT = Path(__file__).parents[2]


def test_a_file_of_the_seed_s_kind_is_executed_and_judged(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["twins", "run", str(ROOT / "executor_configs" / "conflicting_votes_bug.py"), "-j", "1"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "PASS 2 of 2 scenarios as expected, 1 violated" in printed


def test_bugs_in_place_of_those_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(ROOT / "executor_configs" / "conflicting_votes_bug.py")
    assert main(["twins", "run", file, "--bug", "conflicting_votes", "-j", "1"]) == 0
    assert "PASS 2 of 2 scenarios as expected, 2 violated" in capsys.readouterr().out
    assert main(["twins", "run", file, "--bug", "nothing"]) == 2
    assert "bugs: 'nothing' is none of conflicting_votes, " in capsys.readouterr().err


def test_what_is_generated_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "some.jsonl"
    shape = ["--rounds", "3", "--quorum-filter", "--count", "20", "--seed", "7"]
    assert main(["twins", "generate", str(file), *shape]) == 0
    assert "52 choices a round, 140,608 scenarios" in capsys.readouterr().out
    assert main(["twins", "run", str(file), "-j", "1"]) == 0
    of_the_file = capsys.readouterr().out.partition(" in ")[0]
    assert main(["twins", "run", *shape, "-j", "1"]) == 0
    assert capsys.readouterr().out.partition(" in ")[0] == of_the_file
    assert "PASS 20 of 20 scenarios as expected, 0 violated" in of_the_file


def test_a_scenario_that_must_be_violated_and_is_not_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "run", "--rounds", "1", "--count", "2", "--expect", "violation", "-j", "1"]) == 1
    printed = capsys.readouterr().out
    assert "none of 2 scenarios is violated, and one at least should be\nFAIL 2 of 2 scenarios as expected" in printed


def test_exploration_says_what_it_decided(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "explore", "--quorum-filter", "--rounds", "2", "-j", "1"]) == 0
    printed = capsys.readouterr().out
    assert "No scenario of up to 2 rounds violates agreement" in printed
    assert "10,816" in printed  # 4 leaders of round 1, 52 choices in each of 2 rounds


def test_a_counterexample_executes_to_the_same_violation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.jsonl"
    options = ["--bug", "small_quorum", "--quorum-filter", "-o", str(file), "-j", "1"]
    assert main(["twins", "explore", *options]) == 0
    assert "A scenario of 1 round violates quorum_progress" in capsys.readouterr().out
    assert main(["twins", "run", str(file), "-j", "1"]) == 0
    assert "1 violated" in capsys.readouterr().out


def test_the_page_of_a_counterexample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, page = tmp_path / "found.jsonl", tmp_path / "found.html"
    options = ["--bug", "small_quorum", "--quorum-filter", "-o", str(found), "--html", str(page), "-j", "1"]
    assert main(["twins", "explore", *options]) == 0
    assert f"{page}: shows the counterexample" in capsys.readouterr().out
    data = data_of(page)
    assert data["stories"][0]["property"] == "quorum_progress"
    assert data["replay"] == f"diembft twins replay {found}"
    assert_replay_gives_the_same_page(page)


def assert_replay_gives_the_same_page(page: Path) -> None:
    """What a page says of how to run it again is true."""
    again = page.with_name("again.html")
    main([*shlex.split(data_of(page)["replay"])[1:], "--html", str(again)])
    assert again.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_without_a_counterexample_there_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "found.html"
    assert main(["twins", "explore", "--quorum-filter", "--rounds", "1", "--html", str(page), "-j", "1"]) == 0
    assert f"{page}: not written, for there is no counterexample" in capsys.readouterr().out
    assert not page.exists()


@pytest.mark.parametrize(
    ("arguments", "shown", "title"),
    [
        (
            [str(ROOT / "executor_configs" / "gap_commit_bug.py")],
            "shows scenario 0 with_bug, the first that is violated",
            "Scenario with_bug, planted: gap_commit",
        ),
        (
            [str(ROOT / "executor_configs" / "gap_commit_bug.py"), "--expect", "violation"],
            "shows scenario 1 without_bug, the first that is not as expected",
            "Scenario without_bug",
        ),
        (["--rounds", "2", "--from", "7", "--count", "3"], "shows scenario 0 rank-7; it holds", "Scenario rank-7"),
        (
            ["--rounds", "2", "--bug", "small_quorum", "--count", "40", "--canonical", "--from", "30"],
            "shows scenario 0 rank-30, the first that is violated",
            "Scenario rank-30, planted: small_quorum",
        ),
        (["--rounds", "1", "--from", "9999999"], "not written, for there is no scenario", None),
    ],
)
def test_the_page_of_scenarios_shows_the_one_that_says_the_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], shown: str, title: str | None
) -> None:
    page = tmp_path / "page.html"
    main(["twins", "run", *arguments, "--html", str(page), "-j", "1"])
    assert f"{page}: {shown}" in capsys.readouterr().out
    assert (data_of(page)["title"] if page.exists() else None) == title
    if title is not None:
        assert_replay_gives_the_same_page(page)


def test_scenarios_on_distalgo_give_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ROOT / "executor_configs" / "gap_commit_bug.py"
    assert main(["twins", "run", str(file), "--runtime", "distalgo", "--html", str(tmp_path / "page.html")]) == 2
    assert "--html" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "no_such_file.py"], "no_such_file.py"),
        (["run", "--sets", "9"], "sets: 9"),
        (["generate", "x.jsonl", "--model", "wild"], "wild"),
        (["explore", "--faulty", "5"], "faulty: 5"),
        (["explore", "--faulty", "0", "--leaders", "twins"], "twins cannot lead"),
        (["explore", "--bug", "none"], "none"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert named in complaint
    assert complaint.count("\n") == 1
