"""The seed's command for test cases, with real processes: its outcomes, what it leaves, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from diembft.distalgo.case_job import CaseOutcome, read_arguments
from diembft.distalgo.folder import read_ledger
from diembft.distalgo.runtime.launch import ADAPTED, ProgramRun, end_session, launch, wait_until_gone
from diembft.judge.traces import check
from diembft.simulation.run_case import run_case
from diembft.testcase.loader import load
from diembft.testcase.outcome import CaseReason
from diembft.testcase.workload import client_plans
from diembft.trace.files import read_trace
from diembft.trace.records import Committed, Header, Record

ROOT = Path(__file__).parents[2]
OPTIONS = ("--message-buffer-size", "80000", "--no-log")
VERBATIM = ("-m", "da")

QUICK = """
from config import *
config = Config(4, 0, [Workload(WorkloadType.retransmit, {count}, 2, {timeout})], 0.01, 1)
failure_config = FailureConfig([{failures}], 1)
"""


def test_no_names_mean_all_cases_but_those_that_must_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    asked = [plan.asked_for for plan in read_arguments([], 80_000).plans]
    assert {"faulty_dropouts", "format/arguments"} < set(asked)
    assert not any("must_fail" in name for name in asked)


def quick(folder: Path, name: str = "quick", *, count: int = 3, timeout: float = 30, failures: str = "") -> Path:
    """A case that takes about a second."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.da"
    path.write_text(QUICK.format(count=count, timeout=timeout, failures=failures))
    return path


def run(*arguments: str | Path, options: tuple[str, ...] = OPTIONS, cwd: Path = ROOT) -> ProgramRun:
    front = VERBATIM if cwd == ROOT else ADAPTED
    outcome = launch([*options, ROOT / "src" / "run.da", *arguments], timeout_s=150, front=front, cwd=cwd)
    assert outcome.in_time, outcome
    return outcome


def errors(outcome: ProgramRun) -> list[str]:
    """What stands on standard error beside pyDistAlgo's word that it has compiled something."""
    return [line for line in outcome.stderr.splitlines() if " compiled with " not in line]


def test_a_run_leaves_ledgers_logs_trace_and_verdict(tmp_path: Path) -> None:
    outcome = run(quick(tmp_path), "--runs", tmp_path / "runs")
    assert outcome.status == 0, outcome
    assert errors(outcome) == []
    first, second = outcome.stdout.splitlines()
    assert first == "PASS quick"
    assert second.endswith(f" s: {tmp_path}/runs/quick-1")
    folder = tmp_path / "runs" / "quick-1"
    replicas = [f"replica{index}" for index in range(4)]
    files = [f"{name}.{suffix}" for name in replicas for suffix in ("ledger", "log")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*files, "client0.log", "client1.log", "trace.jsonl", "verdict.json"]
    )
    ledgers = [(folder / f"{name}.ledger").read_bytes() for name in replicas]
    assert all(max(ledgers, key=len).startswith(ledger) for ledger in ledgers)
    executed = [key for line in read_ledger(folder / "replica0.ledger") for key in line.executed]
    assert sorted(executed) == [(client, number) for client in ("client0", "client1") for number in range(3)]
    for name in replicas:
        assert "committed block 1, of round " in (folder / f"{name}.log").read_text()
    records = list(read_trace(folder / "trace.jsonl"))
    header = records[0]
    assert isinstance(header, Header)
    assert (header.runtime, header.detail["crypto"]) == ("distalgo", "ed25519")
    assert list(check(records)) == []
    verdict = msgspec.json.decode((folder / "verdict.json").read_bytes(), type=CaseOutcome).verdict
    assert (verdict.case, verdict.passed) == ("quick", True)


def test_a_file_for_a_local_network_meets_its_timeouts_whatever_its_delay_bound(tmp_path: Path) -> None:
    outcome = run("format/sequential_requests", "--runs", tmp_path)
    assert outcome.status == 0
    assert outcome.stdout.splitlines()[0] == "PASS sequential_requests"


def test_options_change_the_network_and_the_blocks_and_unstruck_rules_are_said(tmp_path: Path) -> None:
    case = quick(tmp_path, failures="Failure(1, '_', MsgType.Vote, 10**6, 1), Failure(2, '_', MsgType.Vote, 2, 1)")
    outcome = run(case, "--latency", "0.001-0.002", "--block-size", "2", "--runs", tmp_path)
    assert outcome.status == 0
    assert outcome.stdout.splitlines()[0] == "PASS quick"
    assert "  never struck: Failure(1, '_', MsgType.Vote, 1000000, 1)" in outcome.stdout.splitlines()
    header = next(read_trace(tmp_path / "quick-1" / "trace.jsonl"))
    assert isinstance(header, Header)
    assert header.replay == f"diembft run {case} --runtime distalgo --latency 0.001-0.002 --block-size 2"
    rules = msgspec.json.decode((tmp_path / "quick-1" / "verdict.json").read_bytes(), type=CaseOutcome).rules
    assert [rule.struck > 0 for rule in rules] == [False, True]


def test_several_cases_one_after_the_other(tmp_path: Path) -> None:
    silence = ", ".join(f'Failure({replica}, "_", MsgType.Wildcard, "_", 1, FailType.MsgLoss)' for replica in (1, 2))
    cases = tmp_path / "configs"
    quick(cases, "b_good")
    quick(cases, "a_bad", timeout=1.0, failures=silence)
    outcome = run("--runs", tmp_path / "runs", cwd=tmp_path)  # none named: all of configs/
    assert outcome.status == 1
    verdicts = outcome.stdout.splitlines()[::2]
    assert verdicts[0].startswith("FAIL a_bad: workload_timeout: workload 0 (retransmit): client0 completed 0 of 3 ")
    assert verdicts[1] == "PASS b_good"
    outcome = run("b_good", "b_good", "--runs", tmp_path / "runs", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.stdout.splitlines()[::2] == ["PASS b_good"] * 2
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "a_bad-1",
        "b_good-1",
        "b_good-2",
        "b_good-3",
    ]


def test_logging_on_the_console_changes_nothing(tmp_path: Path) -> None:
    outcome = run(quick(tmp_path), "--runs", tmp_path, options=("--message-buffer-size", "80000"))
    assert outcome.status == 0
    assert outcome.stdout.splitlines()[0] == "PASS quick"


def test_planted_bugs_and_symbolic_signatures(tmp_path: Path) -> None:
    bugs = ["--bug", "conflicting_votes", "--crypto", "symbolic", "--seed", "7"]
    outcome = run(quick(tmp_path), *bugs, "--runs", tmp_path)
    assert outcome.status == 0  # nobody equivocates, so the bug does not show
    header = next(read_trace(tmp_path / "quick-1" / "trace.jsonl"))
    assert isinstance(header, Header)
    assert (header.detail["crypto"], header.seed) == ("symbolic", "7, failures 7")


@pytest.mark.parametrize(
    ("arguments", "options", "complaint"),
    [
        (["faulty_dropout"], OPTIONS, "did you mean 'faulty_dropouts'?"),
        (["no/such.da"], OPTIONS, "no/such.da: there is no such file"),
        (["normal_operation", "faulty_dropout"], OPTIONS, "did you mean 'faulty_dropouts'?"),
        (["normal_operation", "--bug", "none"], OPTIONS, "run.da: argument --bug: invalid choice: 'none'"),
        (["normal_operation", "--latency", "fast"], OPTIONS, "--latency: must be seconds from 0 to 1,000,000, "),
        (["normal_operation", "--block-size", "0"], OPTIONS, "--block-size: must be a whole number from 1 to 5000, "),
        (["flood", "timed", "--folder", "x"], OPTIONS, "run.da: --folder: goes with one test case"),
        (["normal_operation"], (), "--message-buffer-size: 4 replicas need "),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], options: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    outcome = run(*arguments, "--runs", tmp_path, options=options)
    assert outcome.status == 2
    assert outcome.stdout == ""
    lines = [line for line in errors(outcome) if ":INFO: " not in line]
    assert len(lines) == 1
    assert complaint in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_a_broken_case_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.da"
    path.write_text("from config import *\nconfig = Config(4, 0, [], -1, 1)\nfailure_config = FailureConfig([], 1)\n")
    outcome = run(path, "--runs", tmp_path / "runs")
    assert outcome.status == 2
    (line,) = errors(outcome)
    assert line.startswith(f"{path}: ")
    assert "transmission_delay_bound" in line


def interrupted(tmp_path: Path, signal_number: int, *, everybody: bool) -> Path:
    """Start a long run and interrupt it once it commits; the folder that it leaves."""
    case = quick(tmp_path, count=100_000, timeout=120)
    command = [sys.executable, *ADAPTED, *OPTIONS, str(ROOT / "src" / "run.da"), str(case), "--runs", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            folder = tmp_path / "quick-1"
            until = time.monotonic() + 60
            ledgers = [folder / f"replica{index}.ledger" for index in range(4)]
            while not all(ledger.is_file() and ledger.stat().st_size for ledger in ledgers):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            (os.killpg if everybody else os.kill)(process.pid, signal_number)
            assert process.wait(20) != 0
            assert wait_until_gone(process.pid, 5.0) == ()
            assert process.stdout is not None
            assert b"PASS" not in process.stdout.read()
            return folder
        finally:
            end_session(process.pid)


@pytest.mark.parametrize(
    ("signal_number", "everybody"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, False)],
)
def test_an_interrupt_leaves_no_process_and_nothing_half_written(
    signal_number: int, everybody: bool, tmp_path: Path
) -> None:
    folder = interrupted(tmp_path, signal_number, everybody=everybody)
    names = [path.name for path in folder.iterdir()]
    assert not [name for name in names if not name.endswith((".ledger", ".log"))]
    for index in range(4):
        ledger = folder / f"replica{index}.ledger"
        assert ledger.read_bytes().endswith(b"\n")
        read_ledger(ledger)


# --- the simulator and DistAlgo agree


def executed_by_the_longest(records: Iterable[Record], byzantine: tuple[int, ...]) -> list[tuple[str, int]]:
    """The requests in the longest committed chain of a correct replica, in its order."""
    chains: dict[str, list[tuple[str, int]]] = {}
    for record in records:
        if isinstance(record, Committed) and record.node not in [f"replica{index}" for index in byzantine]:
            chains.setdefault(record.node, []).extend([(name.client, name.number) for name in record.executed or ()])
    return max(chains.values(), key=len, default=[])


def kinds(reasons: tuple[CaseReason, ...]) -> list[str]:
    return sorted({reason.kind for reason in reasons})


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "flood",
        "message_loss",
        "set_attribute",
        "must_fail/two_silent",
        "must_fail/forgotten_votes",
        "must_fail/conflicting_commits",
    ],
)
def test_the_runtimes_agree(name: str, tmp_path: Path) -> None:
    case = load(name)
    simulated = run_case(case, crypto="ed25519", keep_trace=True)
    outcome = run(name, "--runs", tmp_path)
    (folder,) = tmp_path.iterdir()
    real = msgspec.json.decode((folder / "verdict.json").read_bytes(), type=CaseOutcome).verdict
    assert outcome.status == (0 if simulated.verdict.passed else 1)
    assert real.passed == simulated.verdict.passed
    assert real.byzantine == simulated.verdict.byzantine
    assert kinds(real.reasons) == kinds(simulated.verdict.reasons)
    assert outcome.stdout.splitlines()[0] == str(real)
    if "workload_timeout" not in kinds(real.reasons):
        every = sorted(
            (plan.client, number) for plan in client_plans(case.workloads, 0.0) for number in range(plan.count)
        )
        for records in (read_trace(folder / "trace.jsonl"), simulated.trace):
            assert sorted(executed_by_the_longest(records, real.byzantine)) == every
