"""`diembft twins replay`, `shrink` and `matrix`, as users see them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diembft.trace.files import read_trace
from diembft.trace.records import Header, Violated
from diembft.twins.campaigns.matrix import PLAN, Cell
from diembft.twins.scenarios.regressions import regression
from diembft.twins.scenarios.scenario_files import read_scenarios, write_scenarios
from diembft.twins.scenarios.text import format_scenario, parse_scenario
from tests.cli.running import diembft

ROOT = Path(__file__).parents[2]
SMALL_QUORUM = str(ROOT / "executor_configs" / "small_quorum_bug.py")
STORY = str(ROOT / "src" / "diembft" / "twins" / "scenarios" / "regressions" / "small_quorum.txt")


# --- replay


def test_a_scenario_is_told_round_by_round(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins", "replay", STORY)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[0] == "PASS violates agreement, quorum_progress, as expected"
    script = lines.index("") + 1
    assert lines[script : script + 2] == [
        "scenario small_quorum: replicas=a,b,c,d twins=d' gst=3 bugs=small_quorum",
        "  1-3: d leads a,d|b,c,d'",
    ]
    for told in (
        "Round 1: d leads a,d | b,c,d'",
        "     0.00  d  proposes d1 on genesis → a ✗ b,c,d' (partition)",
        "     0.00  d' proposes d'1 on genesis → b,c ✗ a,d (partition)",
        "     0.20  b  votes for d'1 → d' ✗ d (partition)",
        "     0.40  d  holds a certificate of d1, signed by a,d",
        "     1.00  a  commits d1 at height 1, by the certificate of round 2",
        "The end: every replica passed the last round.",
        "VIOLATED agreement: b committed the block of round 1 at height 1, a that of round 1, another one",
        "    a certificate of d'2, signed by b,d",
    ):
        assert told in lines
    assert lines[-1] == "Rounds 4 to 18 are left out: --all shows them."
    whole = diembft(capsys, "twins", "replay", STORY, "--all").out.splitlines()
    assert whole[: len(lines) - 1] == lines[:-1]
    assert "Round 18: d leads all, after the script" in whole


def test_what_holds_what_crashes_and_what_is_fetched_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = (
        "1: a leads a,b,c,d; 2: a leads a,b,d|c crash=c; 3: d leads a,b,d|c drop=d>a:proposal; "
        "4: a leads a,b,c,d restart=c; 5-11: a leads a,b,c,d"
    )
    outcome = diembft(capsys, "twins", "replay", f"scenario story: replicas=a,b,c,d; {rounds}")
    assert outcome.status == 0
    assert "c  crashes" in outcome.out
    assert "starts again with what it had persisted" in outcome.out
    assert "asks for " in outcome.out
    assert "  gives " in outcome.out
    assert "gives up on round 3, its highest certificate is of round 2" in outcome.out
    assert "holds a certificate that round 3 is given up, signed by " in outcome.out
    assert outcome.out.startswith("PASS nothing is violated, as expected\n")


def test_a_file_of_several_needs_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds 4 scenarios: choose one with --index" in diembft(capsys, "twins", "replay", SMALL_QUORUM).complaint
    outcome = diembft(capsys, "twins", "replay", SMALL_QUORUM, "--index", "1")
    assert "\nscenario progress_without_bug:" in outcome.out
    wrong = diembft(capsys, "twins", "replay", SMALL_QUORUM, "--index", "4").complaint
    assert "--index: 4" in wrong
    assert "--index" in diembft(capsys, "twins", "replay", "scenario: replicas=a,b", "--index", "0").complaint


def test_the_verdict_is_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    text = "scenario: replicas=a,b,c,d twins=c',d'; 1-3: c leads a,c,d|b,c',d'"
    outcome = diembft(capsys, "twins", "replay", text)
    assert outcome.status == 1
    assert "FAIL violates agreement, certified_uniqueness, not as expected" in outcome.out
    assert "HELD accountability: the signatures convict c, d, which is f + 1" in outcome.out
    assert diembft(capsys, "twins", "replay", text, "--expect", "violation").status == 0


def test_json_holds_the_findings_with_certificates(capsys: pytest.CaptureFixture[str]) -> None:
    told = diembft(capsys, "twins", "replay", STORY, "--json").json
    assert parse_scenario(told["scenario"]) == regression("small_quorum")
    assert told["result"]["as_expected"] is True
    agreement = told["findings"][0]
    assert (agreement["oracle"], agreement["outcome"], agreement["nodes"]) == ("agreement", "violated", ["b", "a"])
    assert len(agreement["certificates"]) == 2


def test_the_trace_names_the_command_that_replays_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trace.jsonl"
    diembft(capsys, "twins", "replay", SMALL_QUORUM, "--index", "2", "--trace", str(file))
    header, *rest = read_trace(file)
    assert isinstance(header, Header)
    assert header.replay == f"diembft twins replay {SMALL_QUORUM} --index 2"
    assert "agreement" in {record.property for record in rest if isinstance(record, Violated)}


@pytest.mark.parametrize("name", ["gap_commit", "forgets_on_restart", "stale_leader_unchecked"])
def test_traces_are_the_same_byte_for_byte_under_every_hash_seed(name: str, tmp_path: Path) -> None:
    traces = []
    for hash_seed in ("1", "2"):
        file = tmp_path / f"{hash_seed}.jsonl"
        text = format_scenario(regression(name), one_line=True)
        subprocess.run(
            [sys.executable, "-m", "diembft", "twins", "replay", text, "--trace", str(file)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        )
        traces.append(file.read_bytes())
    assert traces[0] == traces[1]
    assert len(traces[0]) > 10_000


def test_results_of_a_campaign_are_the_same_under_every_hash_seed(tmp_path: Path) -> None:
    told = []
    for hash_seed in ("1", "2"):
        file = tmp_path / f"{hash_seed}.jsonl"
        shape = ["--drops", "2", "--seed", "5", "--count", "40", "--bug", "small_quorum", "-j", "1"]
        subprocess.run(
            [sys.executable, "-m", "diembft", "twins", "run", *shape, "--results", str(file)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        )
        told.append(file.read_bytes())
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("no_such_file.jsonl", "no_such_file.jsonl: No such file"),
        ("scenario: replicas=a,b; 1: c leads a,b", "rounds[0].leader: 'c' is no replica"),
        ("scenario: replicas=a,b bugs=nobug; 1: a leads a,b", "'nobug' is none of"),
        ("scenario: replicas=a,b what", "'what' is not KEY=VALUE"),
        ("scenario: replicas=a,b model=barrier; 1: a leads a,b crash=a", ""),
    ],
)
def test_a_wrong_scenario_is_one_line(given: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins", "replay", given)
    if complaint:
        assert complaint in outcome.complaint


# --- shrink


def test_a_scenario_is_made_smaller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins", "shrink", str(ROOT / "executor_configs" / "gap_commit_bug.py"), "--index", "0")
    assert outcome.status == 0
    text, _, rest = outcome.out.partition("violates agreement: ")
    assert parse_scenario(text).rounds == regression("gap_commit").rounds
    assert "13 rounds became 6" in rest
    assert 'again: diembft twins replay "scenario with_bug:' in rest


@pytest.mark.parametrize("suffix", ["jsonl", "txt"])
def test_the_smallest_is_written_to_a_file_that_is_read_back(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"small.{suffix}"
    arguments = [SMALL_QUORUM, "--index", "2", "--oracle", "agreement", "-o", str(file)]
    outcome = diembft(capsys, "twins", "shrink", *arguments)
    (written,) = read_scenarios(file)
    assert written.rounds == regression("small_quorum").rounds
    assert f"again: diembft twins replay {file}\n" in outcome.out
    assert diembft(capsys, "twins", "replay", str(file)).status == 0


def test_shrinking_tells_programs_too(capsys: pytest.CaptureFixture[str]) -> None:
    told = diembft(capsys, "twins", "shrink", STORY, "--oracle", "quorum_progress", "--json").json
    assert (told["rounds"], told["rounds_before"], told["finding"]["oracle"]) == (1, 3, "quorum_progress")
    assert parse_scenario(told["scenario"]).replicas == ("a", "b", "c")


def test_what_is_not_violated_cannot_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complaint = diembft(capsys, "twins", "shrink", STORY, "--oracle", "durability").complaint
    assert complaint == "small_quorum: does not violate durability"
    file = tmp_path / "good.jsonl"
    write_scenarios(file, [parse_scenario("scenario good: replicas=a,b; 1: a leads a,b")])
    assert diembft(capsys, "twins", "shrink", str(file)).complaint == "good: does not violate any oracle"


# --- matrix


FEW = tuple(cell for cell in PLAN if cell.where == "regression" and cell.bugs != ("gap_commit",))


def test_the_matrix_is_a_table_with_reasons(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    never = Cell(("late_replay",), "executor", "execution", found=False, reason="nobody repeats a request")
    monkeypatch.setattr("diembft.twins.campaigns.matrix.PLAN", (*FEW, never))
    outcome = diembft(capsys, "twins", "matrix", "--quick", "-j", "1")
    assert outcome.status == 0
    assert outcome.out.splitlines()[0].split() == ["bug", "where", "oracle", "rounds", "scenarios", "states", "seeds"]
    assert "late_replay, executor: nobody repeats a request" in outcome.out
    assert f"PASS {len(FEW) + 1} of {len(FEW) + 1} cells as expected" in outcome.out


def test_a_bug_that_nothing_sees_any_more_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("diembft.twins.campaigns.matrix.PLAN", (Cell(("late_replay",), "executor", "execution"), *FEW))
    outcome = diembft(capsys, "twins", "matrix", "--quick", "-j", "1", "--row", "late_replay")
    assert outcome.status == 1
    assert "nothing !" in outcome.out
    assert "FAIL 0 of 1 cells as expected" in outcome.out
    told = diembft(capsys, "twins", "matrix", "--quick", "-j", "1", "--row", "late_replay", "--json")
    assert (told.status, told.json["passed"]) == (1, False)
    assert [row["bug"] for row in told.json["rows"]] == ["late_replay"]
