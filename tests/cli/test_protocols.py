"""`--protocol` on the commands of `diembft twins`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from diembft.cli.main import main
from diembft.twins.scenarios.scenario_files import read_scenarios

ROOT = Path(__file__).parents[2]
GAP = str(ROOT / "executor_configs" / "gap_commit_bug.py")
TOY = "toy_protocol:STREAMLET"


@pytest.fixture(autouse=True)
def in_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")


def test_a_file_of_scenarios_is_executed_with_another_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "run", GAP, "--protocol", "fast-hotstuff", "-j", "1"]) == 0
    assert "PASS 2 of 2 scenarios as expected, 1 violated" in capsys.readouterr().out


def test_what_is_printed_replays_it_with_that_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "run", GAP, "--protocol", "fast-hotstuff", "--expect", "violation", "-j", "1"]) == 1
    printed = capsys.readouterr().out
    command = next(line for line in printed.splitlines() if "again: " in line).partition("again: ")[2]
    assert "protocol=fast-hotstuff" in command
    assert main(shlex.split(command)[1:]) == 1
    assert "nothing is violated, not as expected" in capsys.readouterr().out


def test_a_sample_is_generated_executed_replayed_and_minimised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, small = str(tmp_path / "toy.jsonl"), str(tmp_path / "small.jsonl")
    shape = ["--protocol", TOY, "--bug", "any_chain", "--rounds", "7", "--count", "60", "--seed", "1"]
    assert main(["twins", "generate", file, *shape]) == 0
    assert {scenario.protocol for scenario in read_scenarios(Path(file))} == {TOY}
    assert main(["twins", "shrink", file, "--index", "50", "--oracle", "agreement", "-o", small]) == 0
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert main(["twins", "replay", small, "--html", str(page)]) == 0
    assert "PASS violates agreement" in capsys.readouterr().out
    assert page.stat().st_size > 100_000


def test_exploration_and_the_check_of_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = str(tmp_path / "found.jsonl")
    shape = ["--protocol", TOY, "--faulty", "0", "--quorum-filter"]
    assert main(["twins", "explore", *shape, "--rounds", "3", "--walk-seconds", "0.5", "-j", "1"]) == 0
    assert "The search followed 3 rounds" in capsys.readouterr().out
    assert main(["twins", "explore", *shape, "--bug", "any_chain", "-o", found, "-j", "1"]) == 0
    capsys.readouterr()
    assert main(["twins", "replay", found]) == 0
    assert "violates agreement" in capsys.readouterr().out
    checked = ["--brute-rounds", "2", "--walks", "2", "--pairs", "0", "--rounds", "3"]
    assert main(["twins", "check-key", *shape, *checked]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["run", "--protocol", "nope"],
            "protocol: 'nope' is none of diembft, hotstuff, fast-hotstuff, nor",
        ),
        (["run", "--protocol", "hotstuff", "--bug", "gap_commit"], "--bug: 'gap_commit' is none of those of hotstuff"),
        (
            ["run", "--protocol", "hotstuff", "--crypto", "ed25519", "--count", "1"],
            "crypto: hotstuff has no",
        ),
        (["run", GAP, "--protocol", "fast-hotstuff", "--runtime", "distalgo"], "distalgo: with_bug: runs diembft, not"),
        (["explore", "--protocol", "hotstuff", "--crashes"], "crash: nodes of protocol hotstuff keep nothing"),
        (["check-key", "--protocol", "hotstuff", "--wrong-key", "ages"], "--wrong-key: is about the key of diembft"),
    ],
)
def test_what_a_protocol_has_not_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["twins", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
