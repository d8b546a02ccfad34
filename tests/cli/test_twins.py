"""`diembft twins`: generate, run and explore, as users see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.cli.main import main

ROOT = Path(__file__).parents[2]


def test_a_file_of_the_seed_s_kind_is_executed_and_judged(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["twins", "run", str(ROOT / "executor_configs" / "conflicting_votes_bug.py"), "-j", "1"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "PASS 2 of 2 scenarios as expected, 1 violated" in printed


def test_what_is_generated_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "some.jsonl"
    shape = ["--rounds", "3", "--quorum-filter", "--count", "20", "--seed", "7"]
    assert main(["twins", "generate", str(file), *shape]) == 0
    assert "52 choices a round, 140,608 scenarios" in capsys.readouterr().out
    assert main(["twins", "run", str(file), "-j", "1"]) == 0
    of_the_file = capsys.readouterr().out
    assert main(["twins", "run", *shape, "-j", "1"]) == 0
    assert capsys.readouterr().out == of_the_file
    assert "PASS 20 of 20 scenarios as expected, 0 violated" in of_the_file


def test_a_scenario_that_must_be_violated_and_is_not_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "run", "--rounds", "1", "--count", "2", "--expect-violation", "-j", "1"]) == 1
    assert "FAIL 0 of 2 scenarios as expected" in capsys.readouterr().out


def test_exploration_says_what_it_decided(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "explore", "--quorum-filter", "--rounds", "2", "-j", "1"]) == 0
    printed = capsys.readouterr().out
    assert "No scenario of up to 2 rounds violates agreement" in printed
    assert "10,816" in printed  # 4 leaders of round 1, 52 choices in each of 2 rounds


def test_a_counterexample_executes_to_the_same_violation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.jsonl"
    options = ["--bug", "small_quorum", "--quorum-filter", "-o", str(file), "-j", "1"]
    assert main(["twins", "explore", *options]) == 0
    assert "A scenario of 1 rounds violates quorum_progress" in capsys.readouterr().out
    assert main(["twins", "run", str(file), "-j", "1"]) == 0
    assert "1 violated" in capsys.readouterr().out


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
