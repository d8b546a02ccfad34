"""DistAlgo as a runtime of `diembft`: what its runs come to, and what is said when they come to nothing."""

from pathlib import Path

import pytest

from diembft.distalgo import command
from diembft.distalgo.command import run_case, run_scenarios
from diembft.distalgo.runtime.launch import ProgramRun
from diembft.errors import InputError
from diembft.testcase.loader import load
from diembft.trace.files import read_trace
from diembft.twins.scenarios.scenario_files import read_scenarios
from tests.cli.running import diembft
from tests.distalgo.test_run import quick

CONFLICTING = Path("executor_configs/conflicting_votes_bug.py").absolute()


def test_a_case_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    case = quick(tmp_path)
    trace = tmp_path / "kept.jsonl"
    outcome = diembft(capsys, "run", str(case), "--runtime", "distalgo", "--json", "--trace", str(trace))
    assert outcome.status == 0
    (run,) = outcome.json["runs"]
    assert run["verdict"]["passed"] is True
    assert run["figures"]["commits"] > 3
    assert "--runtime distalgo" in run["replay"]
    assert list(read_trace(trace)) == list(read_trace(tmp_path / "runs" / "quick-1" / "trace.jsonl"))
    assert diembft(capsys, "check", str(trace)).status == 0


def test_a_case_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    silence = ", ".join(f'Failure({replica}, "_", MsgType.Wildcard, "_", 1)' for replica in (1, 2))
    case = quick(tmp_path, timeout=1.0, failures=silence)
    outcome = diembft(capsys, "run", str(case), "--runtime", "distalgo", "--seed", "-2.5")
    assert outcome.status == 1
    lines = outcome.out.splitlines()
    assert lines[0] == "FAIL quick"
    assert lines[3].startswith("workload_timeout: ")
    assert lines[-1] == f"again: diembft run {case} --seed -2.5 --runtime distalgo --crypto ed25519"


def test_scenarios(tmp_path: Path) -> None:
    results = run_scenarios(CONFLICTING, read_scenarios(CONFLICTING), runs=tmp_path)
    assert [(result.name, bool(result.violated)) for result in results] == [("with_bug", True), ("without_bug", False)]
    (without,) = run_scenarios(CONFLICTING, read_scenarios(CONFLICTING)[1:], ["--first", "1"], runs=tmp_path)
    assert without.told == "PASS without_bug: held as expected"


def test_scenarios_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    distalgo = ["twins", "run", str(CONFLICTING), "--runtime", "distalgo"]
    outcome = diembft(capsys, *distalgo, "--json", "--undelivered", "delay", "--expect", "violation")
    assert outcome.status == 1
    assert outcome.json["passed"] is False
    assert [(result["name"], result["as_expected"]) for result in outcome.json["scenarios"]] == [
        ("with_bug", True),
        ("without_bug", False),
    ]
    both = diembft(capsys, *distalgo, "--bug", "conflicting_votes")
    assert both.status == 0
    assert "PASS without_bug: violated as expected" in both.out.splitlines()
    refused = diembft(capsys, *distalgo, "--results", "results.jsonl")
    assert refused.complaint == "--results, --dask: are for campaigns in the simulator"


@pytest.mark.parametrize(
    ("run", "error", "text"),
    [
        (
            ProgramRun(2, "", "x.da compiled with 0 errors and 0 warnings.\npyDistAlgo is not installed\n", 1, ()),
            InputError,
            "pyDis",
        ),
        (ProgramRun(None, "", "", 9, ()), ChildProcessError, "did not end in "),
        (ProgramRun(0, "PASS\n", "", 9, (7, 8)), ChildProcessError, "left 2 processes behind"),
        (
            ProgramRun(1, "FAIL quick: <Replica:a1>: run: it broke\n", "Traceback\n", 9, ()),
            ChildProcessError,
            "it broke",
        ),
        (ProgramRun(5, "", "", 9, ()), ChildProcessError, "no verdict: status 5"),
    ],
)
def test_a_run_without_a_verdict(
    run: ProgramRun, error: type[Exception], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "launch", lambda *_args, **_options: run)
    case = quick(tmp_path)
    with pytest.raises(error, match=text) as raised:
        run_case(str(case), load(str(case)), runs=tmp_path)
    assert "\n" not in str(raised.value)
    # Where nothing ran, nothing is left.
    assert len(list(tmp_path.glob("quick-*"))) == (0 if error is InputError else 1)
