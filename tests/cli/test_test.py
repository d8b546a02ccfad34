"""`diembft test`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from diembft.cli.failed_cases import places
from diembft.testcase.loader import case_files, default_folder
from diembft.trace.files import read_trace
from diembft.trace.records import Header
from tests.cli.running import Outcome, diembft

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


def test_one_failure_fails_all_and_is_explained(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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


def verdicts(outcome: Outcome) -> list[str]:
    return [run["verdict"]["case"] for run in outcome.json["runs"]]


def test_cases_are_named_as_the_list_has_them(capsys: Capture, tmp_path: Path) -> None:
    for name in ("lost.da", "Loss.py", "a/lost_votes.da", "must_fail/late.da"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
    folder = str(tmp_path)

    def ran(*arguments: str) -> list[str]:
        return verdicts(diembft(capsys, "test", folder, *arguments, "--json", "--jobs", "1"))

    assert ran() == ["Loss", "lost", "lost_votes"]
    assert ran("lost", "a/lost_votes", "must_fail/late", "lost") == ["lost", "lost_votes", "late"]
    listed = diembft(capsys, "list", folder, "--json").json
    assert ran(*[case["name"] for case in listed]) == ["Loss", "lost", "lost_votes", "late"]
    assert ran("-k", "los") == ["Loss", "lost", "lost_votes"]
    assert ran("-k", "loss or votes") == ["Loss", "lost_votes"]
    assert ran("-k", "lost and not a/") == ["lost"]
    assert ran("lost", "Loss", "-k", "not loss") == ["lost"]


def test_cases_of_the_project_and_files_can_be_named(capsys: Capture, tmp_path: Path) -> None:
    write(tmp_path / "mine.da")
    names = ("lost_votes", "format/rounds", str(tmp_path / "mine.da"))
    outcome = diembft(capsys, "test", *names, "--json", "--jobs", "1")
    assert (outcome.status, verdicts(outcome)) == (0, ["lost_votes", "rounds", "mine"])
    assert diembft(capsys, "test", *names, "--jobs", "1").out.splitlines()[2].startswith("format/rounds ")


def test_no_more_are_started_after_the_first_failure_if_so_asked(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "c", "d"):
        write(tmp_path / f"{name}.da")
    write(tmp_path / "b.da", timeout=0.001)
    outcome = diembft(capsys, "test", ".", "-x", "--jobs", "1", "--json")
    assert (outcome.status, verdicts(outcome), outcome.json["not_run"]) == (1, ["a", "b"], ["c", "d"])
    out = diembft(capsys, "test", ".", "--exitfirst", "--jobs", "1").out
    assert "\n1 of 2 cases passed in " in out
    assert " s; 2 more were not run after the first failure\n" in out
    assert verdicts(diembft(capsys, "test", ".", "--jobs", "1", "--json")) == ["a", "b", "c", "d"]


def test_what_failed_leaves_its_trace_and_its_page(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases" / "a").mkdir(parents=True)
    write(tmp_path / "cases" / "good.da")
    assert diembft(capsys, "test", "cases", "--jobs", "1").status == 0
    assert not Path("failed-cases").exists()
    write(tmp_path / "cases" / "bad.da", timeout=0.001)
    write(tmp_path / "cases" / "a" / "worse.da", timeout=0.001)
    out = diembft(capsys, "test", "cases", "--jobs", "1").out
    assert out.endswith(
        "failed-cases/bad.html, failed-cases/bad.jsonl: show bad\n"
        "failed-cases/a/worse.html, failed-cases/a/worse.jsonl: show a/worse\n"
    )
    for name in ("bad", "a/worse"):
        header, *_ = read_trace(f"failed-cases/{name}.jsonl")
        assert isinstance(header, Header)
        assert header.replay == f"diembft run cases/{name}.da"
        assert Path(f"failed-cases/{name}.html").read_text().lstrip().lower().startswith("<!doctype html")
    outcome = diembft(capsys, "test", "cases", "bad", "--failed", "else/where", "--jobs", "1", "--json")
    (files,) = outcome.json["failed"]
    assert files == {"name": "bad", "trace": "else/where/bad.jsonl", "html": "else/where/bad.html"}
    assert Path(files["trace"]).is_file()
    assert Path(files["html"]).is_file()


def test_the_files_of_failures_lie_in_the_folder_and_no_two_are_one() -> None:
    files = places(Path("out"), ["a", "/tmp/a.da", "../a", "a"])
    assert [file.html for file in files] == [
        "out/a.html",
        "out/tmp/a.da.html",
        "out/a-again.html",
        "out/a-again-again.html",
    ]


def test_a_failure_with_drawn_seeds_is_shown_as_it_was(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drawn.da").write_text(CASE.format(n=4, timeout=0.001).replace("0.05, 1)", "0.05)"))
    (run,) = diembft(capsys, "test", ".", "--jobs", "1", "--json").json["runs"]
    assert run["drawn_seeds"]
    header, *_ = read_trace("failed-cases/drawn.jsonl")
    assert isinstance(header, Header)
    assert header.replay == run["replay"]


ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
"""Of each element of JUnit's XML that is written."""


def test_results_as_junit_xml(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "c"):
        write(tmp_path / f"{name}.da")
    write(tmp_path / "b<&.da", timeout=0.001)
    assert diembft(capsys, "test", ".", "-x", "--jobs", "1", "--junitxml", "results.xml").status == 1
    top = ElementTree.parse("results.xml").getroot()
    assert all(set(element.attrib) == ATTRIBUTES[element.tag] for element in top.iter())
    (suite,) = top
    assert (top.tag, suite.tag, [case.tag for case in suite]) == ("testsuites", "testsuite", ["testcase"] * 3)
    for counted in (top, suite):
        assert [counted.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "0", "1"]
        assert float(counted.get("time", "")) > 0
    assert [case.get("name") for case in suite] == ["a", "b<&", "c"]
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure", "system-out"], ["skipped"]]
    failure = suite[1][0]
    assert failure.get("type") == "workload_timeout"
    assert str(failure.get("message")).startswith("workload_timeout: workload 0 (flood): ")
    assert str(failure.text).startswith(str(failure.get("message")))
    assert suite[1][1].text == "again: diembft run 'b<&.da'"


def test_xml_has_no_characters_that_xml_has_not(capsys: Capture, tmp_path: Path) -> None:
    write(tmp_path / "a\x01b.da")
    assert (
        diembft(capsys, "test", str(tmp_path), "--jobs", "1", "--junitxml", str(tmp_path / "results.xml")).status == 0
    )
    (case,) = ElementTree.parse(tmp_path / "results.xml").getroot()[0]
    assert case.get("name") == "a?b"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "nowhere"),
        (["file"], "file"),
        (["empty"], "empty: there are no test cases"),
        (["--crypto", "none"], "none"),
        (["--jobs", "many"], "many"),
        (["empty", "file"], "'file': there is no such test case in empty"),
        (["empty", "-k", "x"], "empty: there are no test cases"),
        ([""], "there is no such test case"),
        (["cases", "on"], "'on': there is no such test case in cases; did you mean 'one'?"),
        (["cases", "one", "two.da"], "'two.da': there is no such test case in cases"),
        (["cases", "-k", "zzz"], "-k: 'zzz' selects no case of 1"),
        (["cases", "one", "-k", "votes"], "-k: 'votes' selects no case of 1"),
        (["cases/one.da", "-k", "votes"], "-k: 'votes' selects no case of 1"),
        (["cases", "-k", "a and"], "-k: 'a and': the end is where a word would be right"),
        (["cases", "--junitxml", "nowhere/file"], "nowhere"),
        (["cases", "--junitxml", "empty"], "directory"),
        (["--failed", "file"], "file"),
        (["cases", "--failed", "/dev/null"], "--failed: /dev/null: is no folder"),
    ],
)
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "cases").mkdir()
    write(tmp_path / "cases" / "one.da")
    assert named in diembft(capsys, "test", *arguments).complaint
