"""`diembft twins run` and `generate`, option by option."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from diembft.cli.twins import described
from diembft.twins.campaigns.campaign import CampaignProgress
from diembft.twins.campaigns.results_file import read_results
from diembft.twins.scenarios.scenario_files import read_scenarios
from tests.cli.running import diembft

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "executor_configs"
SHIPPED = sorted(CONFIGS.glob("*.py"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_case_is_violated_with_its_bug_and_holds_without_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = diembft(capsys, "twins", "run", str(path), "-j", "1", "--json")
    scenarios = read_scenarios(path)
    assert outcome.status == 0
    assert outcome.json["passed"] is True
    assert outcome.json["scenarios"] == outcome.json["as_expected"] == len(scenarios)
    assert outcome.json["violated"] == sum(1 for scenario in scenarios if scenario.bugs)


@pytest.mark.parametrize(
    ("stem", "oracles"),
    [
        ("conflicting_votes_bug", {"certified_uniqueness", "honest_vote_once"}),
        ("small_quorum_bug", {"agreement", "quorum_progress", "liveness_bound"}),
        ("vote_leader_current_round", {"liveness_bound"}),
        ("rotating_quorums", {"commit_order", "execution"}),
        ("rotating_double_vote", {"quorum_progress"}),
        ("syncmanager_bug", {"commit_order", "execution"}),
        ("selected_scenario", {"certified_uniqueness", "honest_vote_once"}),
        ("gap_commit_bug", {"agreement", "liveness_commit", "liveness_bound"}),
        ("one_chain_commit_bug", {"agreement", "liveness_commit", "liveness_bound"}),
        ("forgets_on_restart_bug", {"honest_vote_once", "durability"}),
        ("no_timeout_lock_bug", {"honest_vote_once"}),
        ("no_vote_lock_bug", {"certified_uniqueness", "honest_vote_once"}),
    ],
)
def test_the_oracles_that_see_the_shipped_bugs(
    stem: str, oracles: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = diembft(capsys, "twins", "run", str(CONFIGS / f"{stem}.py"), "-j", "1", "--json")
    assert set(outcome.json["oracles"]) == oracles


def test_too_many_twins_must_fail_and_expected_to_it_passes(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(CONFIGS / "must_fail" / "too_many_twins.py")
    failed = diembft(capsys, "twins", "run", file, "-j", "1")
    assert failed.status == 1
    assert "FAIL 0 of 1 scenarios as expected, 1 violated" in failed.out
    assert f"again: diembft twins replay {file}\n" in failed.out
    assert diembft(capsys, "twins", "run", file, "-j", "1", "--expect", "violation").status == 0


def test_a_range_is_the_same_wherever_it_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--rounds", "3", "--quorum-filter"]
    whole, parts = tmp_path / "whole.jsonl", [tmp_path / "one.jsonl", tmp_path / "two.jsonl.zst"]
    diembft(capsys, "twins", "generate", str(whole), *shape, "--from", "100", "--count", "30")
    diembft(capsys, "twins", "generate", str(parts[0]), *shape, "--from", "100", "--count", "13")
    diembft(capsys, "twins", "generate", str(parts[1]), *shape, "--from", "113", "--count", "17")
    scenarios = [scenario.rounds for scenario in read_scenarios(whole)]
    assert len(scenarios) == 30
    assert [scenario.rounds for part in parts for scenario in read_scenarios(part)] == scenarios


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ([], 4 * 16),
        (["--quorum-filter"], 4 * 13),
        (["--sets", "3"], 4 * 41),
        (["--sets", "3", "--exactly"], 4 * 25),
        (["--leaders", "twins"], 16),
        (["--leaders", "correct"], 3 * 16),
        (["--replicas", "3", "--faulty", "0"], 3 * 4),
        (["--quorum-filter", "--model", "two-phase"], 2704 * 4 // 4),
    ],
)
def test_the_count_is_told_before_anything_is_generated(
    options: list[str], choices: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = diembft(capsys, "twins", "generate", str(tmp_path / "x.jsonl"), "--rounds", "2", "--count", "3", *options)
    assert outcome.status == 0
    assert f"{choices:,} choices a round, {choices**2:,} scenarios" in outcome.out


def test_samples_and_canonical_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = ["--rounds", "2", "--count", "50", "--seed", "3"]
    files = [tmp_path / "one.jsonl", tmp_path / "again.jsonl", tmp_path / "canonical.jsonl"]
    diembft(capsys, "twins", "generate", str(files[0]), *sample)
    diembft(capsys, "twins", "generate", str(files[1]), *sample)
    diembft(capsys, "twins", "generate", str(files[2]), *sample, "--canonical")
    assert files[0].read_bytes() == files[1].read_bytes()
    drawn, canonical = ([s.rounds for s in read_scenarios(file)] for file in (files[0], files[2]))
    assert len(set(drawn)) == 50
    assert 0 < len(canonical) < 50
    assert set(canonical) <= set(drawn)


def test_bugs_drops_and_delay_reach_the_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.jsonl"
    diembft(
        capsys, "twins", "generate", str(file), "--drops", "2", "--bug", "gap_commit", "--seed", "1", "--count", "9"
    )
    scenarios = read_scenarios(file)
    assert all(scenario.bugs == ("gap_commit",) for scenario in scenarios)
    assert any(len(round_.exceptions) == 2 for scenario in scenarios for round_ in scenario.rounds)
    shape = ["--rounds", "2", "--count", "30", "--seed", "1", "-j", "1", "--json"]
    dropped = diembft(capsys, "twins", "run", *shape).json
    delayed = diembft(capsys, "twins", "run", *shape, "--undelivered", "delay").json
    assert dropped["endings"] == delayed["endings"]  # without a quorum nobody leaves a round in either
    assert dropped["passed"]
    assert delayed["passed"]


def test_ed25519_gives_the_same_results(capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--rounds", "2", "--count", "5", "--seed", "1", "-j", "1", "--json"]
    one = diembft(capsys, "twins", "run", *shape).json
    other = diembft(capsys, "twins", "run", *shape, "--crypto", "ed25519").json
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_results_are_a_line_for_each_and_are_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.jsonl"
    shape = ["--rounds", "2", "--quorum-filter", "--count", "25", "-j", "1", "--results", str(results)]
    first = diembft(capsys, "twins", "run", *shape)
    assert first.status == 0
    assert [result.index for result in read_results(results)] == list(range(25))
    before = results.read_bytes()
    second = diembft(capsys, "twins", "run", *shape)
    assert results.read_bytes() == before
    assert second.out.partition(" in ")[0] == first.out.partition(" in ")[0]


def test_what_is_not_as_expected_is_named_with_the_command_that_replays_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "two.jsonl")
    diembft(capsys, "twins", "generate", file, "--rounds", "1", "--from", "7", "--count", "1")
    outcome = diembft(capsys, "twins", "run", file, "--expect", "violation", "-j", "1")
    assert outcome.status == 1
    assert "scenario 0 two#0: nothing was violated, unexpectedly" in outcome.out
    assert f"again: diembft twins replay {file} --expect violation\n" in outcome.out


def test_progress_tells_the_rate_and_an_estimate() -> None:
    told = described(CampaignProgress(done=100, total=400, violated=3, unexpected=1, rate=50.0, remaining_s=6.0))
    assert told == "3 violated, 1 not as expected, 50 a second, 0:00:06 left"
    assert described(CampaignProgress(0, 400, 0, 0, 0.0, None)) == "0 violated, 0 a second"


def test_distalgo_takes_files_alone(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins", "run", "--runtime", "distalgo", "--count", "1")
    assert "needs a file of scenarios" in outcome.complaint


def of_two(round_: str, more: str = "") -> str:
    return (
        f"from testconfig import *\ntest_cases = [TestConfig(['a', 'b'], [], [Round({round_})], 1, 0, 'x', 3, 0{more})]"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("test_cases = [", "syntax error"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("x = 1", "test_cases: is not defined"),
        ("from testconfig import *\ntest_cases = [TestConfig(['a','b'], [], [], 1, 0, 'x', 3, -1)]", "gst: -1"),
        (of_two("'z', [['a', 'b']]"), "rounds[0].leader: 'z' is no replica"),
        (of_two("'a', [['a']]"), "partition: 'b' is in no set"),
        (of_two("'a', [['a', 'b']]", ", {'nobug'}"), "bugs: 'nobug' is none of"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_field(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text, encoding="utf-8")
    told = diembft(capsys, "twins", "run", str(file), "-j", "1").complaint
    assert complaint in told
    assert "wrong.py" in told


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rounds", "-1"], "--rounds"),
        (["--faulty", "5"], "faulty: 5 is not between 0 and 4"),
        (["--sets", "5", "--exactly", "--quorum-filter"], "sets: no partition into 5 sets has a quorum"),
        (["--leaders", "twins", "--faulty", "0"], "leaders: 'twins'"),
        (["--replicas", "1", "--faulty", "0", "--sets", "1", "--count", "1"], "a single validator"),
        ([str(SHIPPED[0]), "--seed", "1"], "--seed: describes a space"),
        (["--results", "/no/such/folder/x.jsonl"], "/no/such/folder"),
        (["--replicas", "26", "--faulty", "8", "--rounds", "1000"], "--rounds: the space has a number of scenarios of"),
        (["--dask", "tcp://127.0.0.1:1", "--count", "1"], "--dask: no scheduler at 'tcp://127.0.0.1:1'"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diembft.twins.campaigns.workers.CONNECT_S", 0.5)
    assert complaint in diembft(capsys, "twins", "run", *options, "-j", "1").complaint


BUGGY = ("--rounds", "2", "--bug", "small_quorum", "-j", "1")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--seed", "1", "--count", "30", *BUGGY], 0, 'again: diembft twins replay "scenario rank-'),
        (["--seed", "1", "--count", "30", *BUGGY, "--expect", "none"], 1, "FAIL "),
        (["--rounds", "1", "--count", "3", "-j", "1", "--expect", "none"], 0, "PASS 3 of 3"),
        (["--rounds", "1", "--count", "3", "-j", "1", "--expect", "violation"], 1, "none of 3 scenarios is violated"),
    ],
)
def test_of_a_sample_one_violation_is_expected_at_least(
    capsys: pytest.CaptureFixture[str], options: list[str], status: int, said: str
) -> None:
    outcome = diembft(capsys, "twins", "run", *options)
    assert outcome.status == status
    assert said in outcome.out


def test_a_range_without_scenarios_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beyond = ["--rounds", "1", "--from", str(10**23), "--count", "10"]
    outcome = diembft(capsys, "twins", "run", *beyond)
    assert outcome.status == 1
    assert "no scenario was executed: the space has 64, numbered from 0, and --from is 100,000," in outcome.out
    assert "FAIL 0 of 0" in outcome.out
    assert diembft(capsys, "twins", "run", *beyond, "--json").json["shortfall"] == "no scenario was executed"
    file = tmp_path / "none.jsonl"
    outcome = diembft(capsys, "twins", "generate", str(file), *beyond)
    assert outcome.status == 2
    assert outcome.err.startswith("diembft: --from: no scenario to write: the space has 64")
    assert not file.exists()


def test_what_is_stuck_is_explained_and_what_was_judged_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--count", "10", "--seed", "1", "-j", "1"]
    told = diembft(capsys, "twins", "run", *options, "--json").json
    stuck = told["endings"]["stuck"]
    assert stuck > 0
    assert told["judged"]["agreement"] == 10
    assert told["judged"]["liveness_bound"] == 10 - stuck
    outcome = diembft(capsys, "twins", "run", *options)
    assert f"\n{stuck} stuck: no replica leaves its round any more" in outcome.out
    assert "--quorum-filter" in outcome.out


def test_a_part_of_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "five.jsonl")
    diembft(capsys, "twins", "generate", file, "--rounds", "2", "--count", "5")
    assert diembft(capsys, "twins", "run", file, "--from", "3", "--json", "-j", "1").json["scenarios"] == 2
    options = ["--from", "1", "--count", "2", "--expect", "violation", "-j", "1"]
    outcome = diembft(capsys, "twins", "run", file, *options)
    assert "scenario 0 five#1: nothing was violated" in outcome.out
    assert "again: diembft twins replay \"scenario five#1: replicas=a,b,c,d twins=a' gst=" in outcome.out
    beyond = diembft(capsys, "twins", "run", file, "--from", "5")
    assert beyond.status == 2
    assert beyond.err == f"diembft: --from: 5, but {file} holds 5 scenarios, counted from 0\n"


STANDARD_INPUTS = {
    "text": "scenario it: replicas=a,b,c,d twins=a' gst=1; 1-7: b leads a,b,c,d,a'\n",
    "with a mark": "\ufeffscenario it: replicas=a,b,c,d twins=a' gst=1; 1-7: b leads a,b,c,d,a'\n",
    "the seed's": '["a", "b", "c", "d"]\n["a\'"]\n[]\n[["b", [["a", "b", "c", "d", "a\'"]], []]]\n',
}


@pytest.mark.parametrize("kind", STANDARD_INPUTS)
def test_scenarios_come_from_standard_input(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command, said in (["run", "PASS 1 of 1"], ["replay", "PASS nothing is violated"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(STANDARD_INPUTS[kind].encode())))
        outcome = diembft(capsys, "twins", command, "-")
        assert outcome.status == 0, outcome.err
        assert said in outcome.out


def test_a_mark_of_an_editor_does_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "marked.txt"
    file.write_text(STANDARD_INPUTS["with a mark"], encoding="utf-8")
    assert diembft(capsys, "twins", "replay", str(file)).status == 0
    trace = tmp_path / "trace.jsonl"
    diembft(capsys, "twins", "replay", str(file), "--trace", str(trace))
    trace.write_bytes(b"\xef\xbb\xbf" + trace.read_bytes())
    assert diembft(capsys, "check", str(trace)).status == 0


@pytest.mark.parametrize("command", ["run", "generate"])
def test_lazy_is_refused_with_the_reason(command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [str(tmp_path / "x.jsonl")] if command == "generate" else []
    outcome = diembft(capsys, "twins", command, *words, "--model", "lazy")
    assert outcome.status == 2
    assert "lazy is for `diembft twins explore`" in outcome.err
    assert outcome.err.count("\n") == 1


def test_no_folder_is_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outcome = diembft(capsys, "twins", "generate", str(tmp_path / "new" / "x.jsonl"))
    assert outcome.status == 2
    assert "new' does not exist" in outcome.err
    assert not (tmp_path / "new").exists()


def test_fewer_nodes_than_sets_by_default_are_one_set(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins", "run", "--replicas", "1", "--faulty", "0")
    assert outcome.err == "diembft: replicas: a alone: a single validator never waits for anybody\n"


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, "twins")
    assert outcome.status == 2
    assert outcome.err.startswith("Usage: diembft twins [OPTIONS]")
    assert "\n  Exit status: 0 as expected," in outcome.err
