"""`diembft list`."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.cli.things import THINGS
from diembft.faults.registry import ACTORS, BUGS
from diembft.judge.traces import PROPERTIES
from diembft.protocols.by_name import BUILT_IN, protocol_of
from diembft.simulation.drawing import TWIN
from diembft.twins.runs.models import MODELS
from diembft.twins.runs.oracles import ORACLES
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]

CASE = '''"""Shows {}."""
from config import *
config = Config(5, 1, [Workload(WorkloadType.flood, 3, 2)], 0.1)
failure_config = FailureConfig([Failure("_", "_", MsgType.Vote, "_", 0.1)])
{}
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "must_fail").mkdir()
    (tmp_path / "one.da").write_text(CASE.format("[red]one[/red]", ""))
    (tmp_path / "must_fail" / "two.da").write_text(CASE.format("two", "expect_failure = 'agreement'"))
    (tmp_path / "notes.txt").write_text("no case")
    return tmp_path


def test_every_case_is_listed_with_what_it_shows(
    capsys: Capture, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # long names would leave no room for all columns
    status, out, err = diembft(capsys, "list", ".")
    assert (status, err) == (0, "")
    assert "flood 2x3" in out
    assert "Shows [red]one[/red]." in out
    assert "Shows two." in out


def test_as_json(capsys: Capture, folder: Path) -> None:
    listed = diembft(capsys, "list", str(folder), "--json").json
    assert listed == [
        {
            "name": str(folder / name),
            "description": description,
            "num_replicas": 5,
            "failures": 1,
            "workloads": ["flood 2x3"],
            "expect_failure": expected,
        }
        for name, description, expected in [
            ("one.da", "Shows [red]one[/red].", None),
            ("must_fail/two.da", "Shows two.", "agreement"),
        ]
    ]


def test_by_default_the_names_are_what_run_takes(
    capsys: Capture, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename(folder.parent / "configs")
    monkeypatch.chdir(folder.parent)
    assert [case["name"] for case in diembft(capsys, "list", "--json").json] == ["one", "must_fail/two"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("bugs", [*BUGS, *protocol_of("hotstuff").bugs, *protocol_of("fast-hotstuff").bugs]),
        ("oracles", list(dict.fromkeys([*ORACLES, *PROPERTIES]))),
        ("protocols", list(BUILT_IN)),
        ("models", ["timed", *MODELS]),
        ("actors", sorted([*ACTORS, TWIN])),
    ],
)
def test_each_thing_has_one_line(capsys: Capture, kind: str, names: list[str]) -> None:
    status, out, err = diembft(capsys, "list", f"--{kind}")
    assert (status, err) == (0, "")
    heading, *lines = out.splitlines()
    assert heading.startswith(kind.removesuffix("s"))
    assert [line.split()[0] for line in lines] == names
    listed = diembft(capsys, "list", f"--{kind}", "--json").json[kind]
    assert [thing["name"] for thing in listed] == names
    for thing, line in zip(listed, lines, strict=True):
        assert thing["description"]
        assert line.rstrip().endswith(thing["description"])


def test_every_kind_can_be_listed_at_once_and_there_is_no_other(capsys: Capture) -> None:
    asked = [f"--{kind}" for kind in THINGS]
    assert list(diembft(capsys, "list", *asked, "--json").json) == sorted(THINGS)
    headings = [line.split()[0] for line in diembft(capsys, "list", *asked).out.splitlines() if "what it is" in line]
    assert headings == [kind.removesuffix("s") for kind in THINGS]


def test_cases_of_a_folder_and_things_are_two_questions(capsys: Capture, folder: Path) -> None:
    assert "leave it out with --bugs" in diembft(capsys, "list", str(folder), "--bugs").complaint


def test_a_missing_folder_is_bad_input(capsys: Capture, tmp_path: Path) -> None:
    assert "nowhere" in diembft(capsys, "list", str(tmp_path / "nowhere")).complaint


def test_a_broken_case_is_bad_input(capsys: Capture, folder: Path) -> None:
    (folder / "broken.da").write_text("config = (")
    assert "broken.da" in diembft(capsys, "list", str(folder)).complaint
