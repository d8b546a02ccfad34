"""`diembft run`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from diembft.trace.files import read_trace
from diembft.trace.records import Ended, Header
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]

CASE = """from config import *
config = Config(4, 1, [Workload(WorkloadType.retransmit, 2, 1, {timeout})], 0.05{seed})
failure_config = FailureConfig([Failure("_", "_", MsgType.Vote, "_", 0.1)]{failure_seed})
"""


def case(folder: Path, timeout: float = 60, seed: str = ", 1", failure_seed: str = ", 2") -> str:
    path = folder / "case.da"
    path.write_text(CASE.format(timeout=timeout, seed=seed, failure_seed=failure_seed))
    return str(path)


def test_a_case_that_holds_passes(capsys: Capture) -> None:
    status, out, err = diembft(capsys, "run", "faulty_dropouts")
    assert (status, err) == (0, "")
    verdict, heading, figures = out.splitlines()
    assert verdict == "PASS faulty_dropouts"
    assert " ".join(heading.split()) == "rounds commits timeouts messages dropped virtual s real s"
    assert len(figures.split()) == 7


NEVER = """from config import *
config = Config(4, 1, [Workload(WorkloadType.flood, 48, 1, 20)], 0.25, 0)
FAR = range(6, 10)
failure_config = FailureConfig([
    Failure("_", 0, MsgType.Wildcard, FAR, 1), Failure(1, "_", MsgType.Vote, "_", 1, FailType.MsgLoss)], 0)
"""
NEVER_STRUCK = "never struck: Failure('_', 0, MsgType.Wildcard, range(6, 10), 1)"
BLOCKS_OF_FOUR = ("--block-size", "4")


def test_a_rule_that_never_struck_is_said(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "never.da"
    file.write_text(NEVER)
    status, out, _ = diembft(capsys, "run", str(file))
    assert status == 0
    assert out.startswith("PASS never\n")
    assert out.splitlines()[3:] == [NEVER_STRUCK]
    (run,) = diembft(capsys, "run", str(file), "--json").json["runs"]
    assert [rule["struck"] > 0 for rule in run["rules"]] == [False, True]
    assert run["rules"][1]["rule"] == "Failure(1, '_', MsgType.Vote, '_', 1, FailType.MsgLoss)"
    assert run["remarks"] == [NEVER_STRUCK]
    status, out, _ = diembft(capsys, "run", str(file), "--runs", "2", "--jobs", "1")
    assert (status, out.splitlines()[-2:]) == (0, [NEVER_STRUCK, "2 of 2 runs passed"])
    assert NEVER_STRUCK not in diembft(capsys, "run", str(file), *BLOCKS_OF_FOUR).out


def test_a_case_without_workloads_says_so_and_fails(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "idle.da"
    file.write_text("from config import *\nconfig = Config(4, 1, [], 0.05, 1)\nfailure_config = FailureConfig([], 1)\n")
    status, out, _ = diembft(capsys, "run", str(file))
    assert status == 1
    assert out.startswith("FAIL idle\n")
    assert out.splitlines()[3:] == [
        "nothing_executed: no workload and no block: nothing was executed, and so nothing was judged",
        "no workloads: no client sent a request",
        f"again: diembft run {file}",
    ]


def test_the_network_and_the_blocks_can_be_changed(capsys: Capture, tmp_path: Path) -> None:
    file = case(tmp_path)
    plain = diembft(capsys, "run", file, "--json").json["runs"][0]
    slow = diembft(capsys, "run", file, "--latency", "0.04-0.05", *BLOCKS_OF_FOUR, "--json").json["runs"][0]
    assert slow["figures"]["virtual_s"] > plain["figures"]["virtual_s"] + 0.2
    assert slow["replay"] == f"diembft run {file} --latency 0.04-0.05 --block-size 4"
    again = diembft(capsys, *shlex.split(slow["replay"])[1:], "--json").json["runs"][0]
    assert again["figures"] == slow["figures"]


def test_a_case_in_a_folder_of_cases_has_the_folder_in_its_name(capsys: Capture) -> None:
    status, out, err = diembft(capsys, "run", "format/arguments")
    assert (status, err) == (0, "")
    assert out.startswith("PASS arguments\n")


def test_a_case_that_does_not_hold_fails_and_says_why(capsys: Capture) -> None:
    status, out, err = diembft(capsys, "run", "must_fail/two_silent")
    assert (status, err) == (1, "")
    assert out.startswith("FAIL two_silent\n")
    assert "workload_timeout: workload 0 (retransmit): client0 completed 0 of 2 requests" in out
    assert out.endswith("again: diembft run must_fail/two_silent\n")


def test_a_file_is_run_like_a_name(capsys: Capture, tmp_path: Path) -> None:
    status, out, _ = diembft(capsys, "run", case(tmp_path))
    assert status == 0
    assert out.startswith("PASS case\n")


def test_an_expected_failure_is_said(capsys: Capture, tmp_path: Path) -> None:
    file = case(tmp_path, timeout=0.001)
    with open(file, "a") as text:
        text.write("expect_failure = 'workload_timeout'\n")
    status, out, _ = diembft(capsys, "run", file)
    assert status == 0
    assert out.startswith("PASS case, expected to fail with workload_timeout\n")


def test_as_json(capsys: Capture) -> None:
    outcome = diembft(capsys, "run", "must_fail/two_silent", "--json")
    assert outcome.status == 1
    assert outcome.json["case"] == "two_silent"
    assert outcome.json["passed"] is False
    (run,) = outcome.json["runs"]
    assert run["verdict"]["passed"] is False
    assert [reason["kind"] for reason in run["verdict"]["reasons"]] == ["workload_timeout", "exactly_once"]
    assert run["figures"]["commits"] == 0
    assert (run["seed"], run["failure_seed"], run["replay"]) == (43, 43, "diembft run must_fail/two_silent")


def test_the_same_seeds_give_the_same_run(capsys: Capture, tmp_path: Path) -> None:
    def figures(*seeds: str) -> object:
        (run,) = diembft(capsys, "run", case(tmp_path), *seeds, "--json").json["runs"]
        return run["figures"]

    assert figures() == figures("--seed", "1", "--failure-seed", "2") != figures("--seed", "1")
    assert figures("--seed", "7") == figures("--seed", "7")
    assert figures("--seed", "7") != figures("--seed", "8")
    assert figures("--seed", "0.5") == figures("--seed", "5e-1")


@pytest.mark.parametrize(
    ("seed", "failure_seed", "drawn"),
    [("", "", ["seed", "failure_seed"]), ("", ", 2", ["seed"]), (", 1", "", ["failure_seed"])],
)
def test_drawn_seeds_are_told_and_the_command_that_is_told_repeats_the_run(
    capsys: Capture, tmp_path: Path, seed: str, failure_seed: str, drawn: list[str]
) -> None:
    file = case(tmp_path, seed=seed, failure_seed=failure_seed)
    (run,) = diembft(capsys, "run", file, "--json").json["runs"]
    assert run["drawn_seeds"] == drawn
    again = shlex.split(run["replay"])
    (repeated,) = diembft(capsys, *again[1:], "--json").json["runs"]
    for field in ("figures", "verdict", "seed", "failure_seed"):
        assert repeated[field] == run[field]
    told = diembft(capsys, "run", file).out
    assert "again: diembft run " in told


def test_runs_take_seeds_that_follow_one_another(capsys: Capture) -> None:
    outcome = diembft(capsys, "run", "message_loss", "--runs", "4", "--seed", "10", "--json", "--jobs", "2")
    runs = outcome.json["runs"]
    assert [run["seed"] for run in runs] == [run["failure_seed"] for run in runs] == [10, 11, 12, 13]
    assert [run["replay"] for run in runs] == [f"diembft run message_loss --seed {seed}" for seed in range(10, 14)]
    alone = diembft(capsys, "run", "message_loss", "--seed", "12", "--json").json["runs"][0]
    assert runs[2]["figures"] == alone["figures"]


def test_runs_without_a_seed_begin_with_that_of_the_case(capsys: Capture, tmp_path: Path) -> None:
    runs = diembft(capsys, "run", case(tmp_path), "--runs", "2", "--jobs", "1", "--json").json["runs"]
    assert [run["seed"] for run in runs] == [1, 2]


def test_runs_are_shown_as_a_table(capsys: Capture) -> None:
    status, out, _ = diembft(capsys, "run", "must_fail/two_silent", "--runs", "2", "--jobs", "1")
    assert status == 1
    assert out.splitlines()[1].split()[:2] == ["43", "FAIL"]
    assert "FAIL two_silent, seed 44" in out
    assert "  again: diembft run must_fail/two_silent --seed 44" in out
    assert out.endswith("0 of 2 runs passed\n")


def test_signatures_can_be_real(capsys: Capture, tmp_path: Path) -> None:
    file = case(tmp_path)
    symbolic = diembft(capsys, "run", file, "--json").json["runs"][0]
    real = diembft(capsys, "run", file, "--crypto", "ed25519", "--json").json["runs"][0]
    assert real["figures"] == symbolic["figures"]
    assert real["replay"] == f"diembft run {file} --crypto ed25519"


def test_a_trace_is_written_and_names_the_command(capsys: Capture, tmp_path: Path) -> None:
    file, trace = case(tmp_path), tmp_path / "trace.jsonl"
    assert diembft(capsys, "run", file, "--trace", str(trace), "--seed", "5").status == 0
    records = list(read_trace(trace))
    assert isinstance(records[0], Header)
    assert records[0].replay == f"diembft run {file} --seed 5"
    assert isinstance(records[-1], Ended)
    first = trace.read_bytes()
    diembft(capsys, "run", file, "--trace", str(trace), "--seed", "5")
    assert trace.read_bytes() == first


def test_a_page_is_written(capsys: Capture, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert diembft(capsys, "run", case(tmp_path), "--html", str(page)).status == 0
    assert page.read_text().lstrip().lower().startswith("<!doctype html")


def test_a_bug_can_be_planted(capsys: Capture) -> None:
    status, out, _ = diembft(capsys, "run", "flood", "--bug", "small_quorum")
    assert status == 0
    assert out.startswith("PASS flood, violated as expected\n")
    assert "certificates: " in out
    assert out.endswith("again: diembft run flood --bug small_quorum\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "NAME_OR_FILE"),
        (["nowhere"], "nowhere"),
        (["nowhere.da"], "nowhere.da"),
        (["folder.da"], "folder.da"),
        (["case.da", "--seed", "x"], "'x'"),
        (["case.da", "--seed", "inf"], "'inf'"),
        (["case.da", "--seed"], "--seed"),
        (["case.da", "--failure-seed", "nan"], "'nan'"),
        (["case.da", "--runs", "0"], "--runs"),
        (["case.da", "--runs", "2.5"], "2.5"),
        (["case.da", "--jobs", "0"], "--jobs"),
        (["case.da", "--latency", "fast"], "--latency: must be seconds"),
        (["case.da", "--latency", "-0.1"], "'-0.1'"),
        (["case.da", "--block-size", "0"], "--block-size: must be a whole number from 1 to 5000, not '0'"),
        (["case.da", "--crypto", "rsa"], "rsa"),
        (["case.da", "--trace", "nowhere/trace"], "nowhere"),
        (["case.da", "--trace", "folder.da"], "folder.da"),
        (["case.da", "--trace", "trace", "--runs", "2"], "--trace"),
        (["case.da", "--html", "trace", "--runs", "2"], "--html"),
        (["case.da", "--html", "nowhere/page"], "nowhere"),
        (["case.da", "--bug", "nothing"], "nothing"),
        (["case.da", "--rnus", "2"], "--rnus"),
        (["case.da", "more"], "more"),
        (["broken.da"], "broken.da, line 1"),
        (["wrong.da"], "config.num_replicas"),
    ],
)
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    case(tmp_path)
    (tmp_path / "folder.da").mkdir()
    (tmp_path / "broken.da").write_text("config = (")
    (tmp_path / "wrong.da").write_text(CASE.replace("4, 1", "0, 1").format(timeout=1, seed="", failure_seed=""))
    assert named in diembft(capsys, "run", *arguments).complaint
    assert not (tmp_path / "trace").exists()


def test_a_trace_that_does_not_fit_on_the_disk_costs_no_verdict(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diembft.trace.files.replacing", full)
    status, out, err = diembft(capsys, "run", case(tmp_path), "--trace", str(tmp_path / "trace"))
    assert out.startswith("PASS")
    assert (status, err) == (3, f"diembft: {tmp_path / 'trace'}: cannot be written: No space left on device\n")
