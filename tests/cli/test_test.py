"""`diembft test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.testcase.loader import case_files, default_folder
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]

CASE = """from config import *
config = Config({n}, 0, [Workload(WorkloadType.flood, 2, 1, {timeout})], 0.05, 1)
failure_config = FailureConfig([], 1)
"""


def write(path: Path, n: int = 4, timeout: float = 60) -> None:
    path.write_text(CASE.format(n=n, timeout=timeout))


def test_all_cases_of_the_project_pass(capsys: Capture) -> None:
    outcome = diembft(capsys, "test", "--json", "--jobs", "2")
    failed = {run["replay"]: run["verdict"]["reasons"] for run in outcome.json["runs"] if not run["verdict"]["passed"]}
    assert failed == {}
    assert (outcome.status, outcome.json["passed"]) == (0, True)
    assert [run["verdict"]["case"] for run in outcome.json["runs"]] == [
        path.stem for path in case_files(default_folder())
    ]


def test_the_summary_has_a_line_for_each_case_and_one_for_all(capsys: Capture, tmp_path: Path) -> None:
    write(tmp_path / "second.da", n=1)
    write(tmp_path / "first.da")
    (tmp_path / "must_fail").mkdir()
    write(tmp_path / "must_fail" / "third.da", timeout=0.001)
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "fourth.da")
    status, out, err = diembft(capsys, "test", str(tmp_path), "--jobs", "1")
    assert (status, err) == (0, "")
    heading, first, second, fourth, summary = out.splitlines()
    assert " ".join(heading.split()) == "case verdict rounds commits timeouts messages dropped virtual s real s"
    assert first.split()[:2] == ["first", "PASS"]
    assert second.split()[:2] == ["second", "PASS"]
    assert fourth.split()[:2] == ["a/fourth", "PASS"]
    assert summary.startswith("3 of 3 cases passed in ")


def test_what_was_not_exercised_is_said_of_each_case(capsys: Capture, tmp_path: Path) -> None:
    write(tmp_path / "good.da")
    never = 'Failure("_", 0, MsgType.Vote, 10**6, 1)'
    (tmp_path / "never.da").write_text(CASE.replace("[], 1", f"[{never}], 1").format(n=4, timeout=60))
    status, out, _ = diembft(capsys, "test", str(tmp_path), "--jobs", "1")
    assert status == 0
    assert out.splitlines()[-2] == "never: never struck: Failure('_', 0, MsgType.Vote, 1000000, 1)"


def test_the_network_can_be_changed_for_all(capsys: Capture, tmp_path: Path) -> None:
    write(tmp_path / "a.da")
    write(tmp_path / "b.da")
    options = ["--latency", "2", "--block-size", "1", "--jobs", "1", "--json"]
    runs = diembft(capsys, "test", str(tmp_path), *options).json["runs"]
    assert [run["figures"]["virtual_s"] > 8 for run in runs] == [True, True]
    assert runs[0]["replay"] == f"diembft run {tmp_path / 'a.da'} --latency 2.0 --block-size 1"


def test_one_failure_fails_all_and_is_explained(capsys: Capture, tmp_path: Path) -> None:
    write(tmp_path / "good.da")
    write(tmp_path / "bad.da", timeout=0.001)
    status, out, _ = diembft(capsys, "test", str(tmp_path), "--jobs", "2")
    assert status == 1
    assert "\nFAIL bad\n  workload_timeout: " in out
    assert f"  again: diembft run {tmp_path / 'bad.da'}\n" in out
    assert "\n1 of 2 cases passed" in out


def test_nothing_runs_if_anything_is_wrong_with_a_case(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.da")
    (tmp_path / "b.da").write_text("config = 1")
    monkeypatch.setattr("diembft.cli.case_runs.run_case", lambda *_, **__: pytest.fail("a case was run"))
    assert "b.da: the variable failure_config is missing" in diembft(capsys, "test", str(tmp_path), "-j", "1").complaint


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "nowhere"),
        (["file"], "file"),
        (["empty"], "empty: there are no test cases"),
        (["--crypto", "none"], "none"),
        (["--jobs", "many"], "many"),
        (["empty", "file"], "file"),
    ],
)
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert named in diembft(capsys, "test", *arguments).complaint
