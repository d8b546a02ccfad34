"""`diembft check-protocol`, and what the other commands say of a protocol with mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diembft.cli.main import main
from diembft.twins.runs import contract, watchdog
from tests.protocols.broken_toys import AS_IT_IS, SOURCE, write

ALL = "1: a leads a,b,c,d,a'"
SEVEN = "gst=1; 1-7: a leads"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(watchdog, "MAX_SECONDS", 0.3)
    return tmp_path


def changed(folder: Path, name: str, before: str, after: str) -> str:
    """The toy with a change that shows in some scenarios only."""
    text = SOURCE.read_text(encoding="utf-8")
    assert text.count(before) == 1
    text = text.replace(before, after).replace("toy_protocol:STREAMLET", f"{name}:STREAMLET")
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return f"{name}:STREAMLET"


def test_all_rules_hold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-protocol", write(folder, AS_IT_IS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"PASS {rule}" for rule in contract.RULES]


def test_what_does_not_hold_is_told_below_its_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-protocol", write(folder, "fork_shares_state")]) == 1
    lines = capsys.readouterr().out.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("FAIL forks: "))
    assert lines[place + 1].startswith("  fork: a has other effects at ")
    assert sum(line.startswith("PASS") for line in lines) == len(contract.RULES) - 1


def test_what_could_not_be_checked_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-protocol", write(folder, "constructor_raises")]) == 1
    printed = capsys.readouterr().out
    assert "FAIL nodes: " in printed
    assert "not checked: steps, effects, " in printed


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-protocol", write(folder, "chain_is_text"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is False
    assert told["flaws"] == [{"rule": "protocol", "what": "chain: '3' is no number of blocks, 1 or more"}]


@pytest.mark.parametrize("name", ["raises_on_import", "is_no_python", "is_another_object"])
def test_what_cannot_be_found_is_bad_input(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-protocol", write(folder, name)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["twins", "run", "--count", "2", "-j", "1", "--protocol", "NAME"],
        ["twins", "generate", "some.jsonl", "--count", "2", "--protocol", "NAME"],
        ["twins", "explore", "--rounds", "1", "-j", "1", "--protocol", "NAME"],
        ["twins", "check-key", "--protocol", "NAME"],
        ["twins", "replay", f"scenario: replicas=a,b,c,d twins=a' gst=1 protocol=NAME; {ALL}"],
        ["twins", "shrink", f"scenario: replicas=a,b,c,d twins=a' gst=1 protocol=NAME; {ALL}"],
        ["twins", "replay", "FILE"],
        ["twins", "run", "FILE"],
    ],
    ids=lambda words: " ".join(words[1:2] + words[-1:])[:24],
)
@pytest.mark.parametrize("mistake", ["kinds_lacks_an_entry", "random_in_a_block", "raises_on_import"])
def test_each_command_says_it_before_it_begins(
    mistake: str, command: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    name = write(folder, mistake)
    file = folder / "scenario.txt"
    file.write_text(f"scenario: replicas=a,b,c,d twins=a' gst=1 protocol={name}; {ALL}".replace("; ", "\n  "))
    words = [word.replace("NAME", name).replace("FILE", str(file)) for word in command]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert name in printed.err
    assert not printed.out


FIVE = ["--replicas", "5", "--faulty", "0", "--count", "3", "--seed", "1", "-j", "1"]


def test_a_node_that_cannot_be_made_is_a_finding_with_its_scenario(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = changed(folder, "for_four", "        self.quorum = n", "        assert n == 4, n\n        self.quorum = n")
    assert main(["twins", "run", "--protocol", name, *FIVE]) == 1
    printed = capsys.readouterr().out
    assert "crash: a: AssertionError: 5 (for_four.py:92 in __init__, for_four.py:236 in node) at its making" in printed
    assert "again: diembft twins replay 'scenario rank-" in printed
    assert "protocol=for_four:STREAMLET" in printed


READS = "        return [(block.marker, block.round, None)]"


def test_what_a_reading_raises_later_is_one_line_with_its_scenario(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = changed(folder, "reads_four", READS, f"        assert block.marker != 'e'\n{READS}")
    for jobs in ("1", "2"):
        assert main(["twins", "run", "--protocol", name, *FIVE[:-1], jobs]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "protocol: reads_four:STREAMLET: AssertionError (reads_four.py:" in error
        assert "; in scenario rank-" in error
        assert "again: diembft twins replay 'scenario rank-" in error


def test_so_it_is_when_one_scenario_is_replayed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = changed(folder, "reads_me", READS, f"        assert block.marker != 'e'\n{READS}")
    assert main(["twins", "replay", f"scenario: replicas=a,b,c,d,e gst=1 protocol={name}; 1-5: e leads a,b,c,d,e"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "protocol: reads_me:STREAMLET: AssertionError (reads_me.py:" in error
