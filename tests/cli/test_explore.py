"""`diembft twins explore` and `check-key`, as users see them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from diembft.twins.exhaustion.cores import digest_here
from tests.cli.running import diembft


def test_what_was_decided_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins", "explore", "--quorum-filter", "--depth", "2", "--json", "-j", "1")
    assert outcome.status == 0
    found = outcome.json
    assert found["ending"] == "depth limit"
    assert found["choices"] == 52
    assert found["levels"][-1]["scenarios"] == "10816"
    assert found["statement"].startswith("No scenario of up to 2 rounds violates")
    assert "Not covered" in found["statement"]


def test_a_search_goes_on_from_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["twins", "explore", "--model", "lazy", "--leaders", "twins", "-j", "1", "--checkpoint"]
    first = diembft(capsys, *options, str(tmp_path / "a"), "--rounds", "2")
    assert first.out.splitlines()[1].split()[0] == "1"
    resumed = diembft(capsys, *options, str(tmp_path / "a"))
    assert resumed.out.splitlines()[1].split()[0] == "4"  # the first level that was not decided
    fresh = diembft(capsys, *options, str(tmp_path / "b"))
    assert fresh.out.splitlines()[-1].startswith("No scenario of any length violates")
    assert resumed.out.splitlines()[-1] == fresh.out.splitlines()[-1]


def test_what_other_code_searched_is_not_said_of_the_code_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a"
    options = ["twins", "explore", "--leaders", "twins", "-j", "1", "--checkpoint", str(file)]
    diembft(capsys, *options, "--rounds", "2")
    saved = msgspec.msgpack.decode(file.read_bytes())
    assert saved["cores"] == [digest_here("diembft")]
    for cores in ([""], ["0" * 32], [*saved["cores"], "0" * 32]):
        file.write_bytes(msgspec.msgpack.encode({**saved, "cores": cores}))
        resumed = diembft(capsys, *options, "--walk-seconds", "0.1")
        assert "if its key is right here" in resumed.out
        assert "not a checked one (a worker, or the search before a checkpoint, ran other code)" in resumed.out


def test_a_counterexample_of_the_model_lazy_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.jsonl"
    options = ["--model", "lazy", "--bug", "count_messages", "-o", str(file), "-j", "1"]
    assert diembft(capsys, "twins", "explore", *options).status == 0
    assert json.loads(file.read_text().splitlines()[0])["model"] == "lazy"
    outcome = diembft(capsys, "twins", "run", str(file), "--expect", "violation", "-j", "1")
    assert outcome.status == 0
    assert "1 violated" in outcome.out


def test_a_violation_without_planted_bugs_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--faulty", "2", "--leaders", "twins", "-o", str(tmp_path / "found.jsonl"), "-j", "1"]
    outcome = diembft(capsys, "twins", "explore", *options)
    assert outcome.status == 1
    assert "A scenario of" in outcome.out


def test_that_no_violation_was_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--protocol", "hotstuff", "--quorum-filter", "--rounds", "1", "--walk-seconds", "0", "-j", "1"]
    outcome = diembft(capsys, "twins", "explore", *options, "--expect", "violation")
    assert outcome.status == 1
    assert outcome.out.endswith("\nnothing is violated, and something should be\n")


def test_the_key_passes_its_checks(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--quorum-filter", "--choices", "10", "--walks", "5", "--pairs", "4", "--rounds", "3"]
    outcome = diembft(capsys, "twins", "check-key", *options)
    assert outcome.status == 0
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == ["PASS brute force", "PASS walks", "PASS pairs"]


def test_a_wrong_key_fails_its_checks(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--quorum-filter", "--model", "lazy", "--walks", "0", "--pairs", "0", "--json", "--wrong-key", "last"]
    outcome = diembft(capsys, "twins", "check-key", *options)
    assert outcome.status == 1
    assert outcome.json[0]["differences"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["explore", "--sets", "9"], "sets: 9"),
        (["explore", "--faulty", "0", "--leaders", "twins"], "leaders: twins"),
        (["explore", "--bug", "no_such"], "no_such"),
        (["check-key", "--faulty", "7"], "faulty: 7"),
        (["explore", "--replicas", "13", "--faulty", "13", "--sets", "26"], "choices of a round: "),
        (["check-key", "--replicas", "13", "--faulty", "3", "--model", "two-phase"], "choices of a round: "),
        (["check-key", "--brute-rounds", "0", "--walks", "0", "--pairs", "0"], "nothing would be checked"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert named in diembft(capsys, "twins", *arguments).complaint
