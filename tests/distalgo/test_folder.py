"""Folders of runs: nobody else's, and never half-written."""

from pathlib import Path

import pytest

from diembft.distalgo.folder import merged, new_folder, write_json, write_records
from diembft.errors import InputError
from diembft.trace.records import Crashed, Record, Restarted


def test_each_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    runs = tmp_path / "deep" / "runs"
    assert new_folder(runs, "case").name == "case-1"
    assert new_folder(runs, "case").name == "case-2"
    (runs / "case-9").mkdir()
    (runs / "case-more").mkdir()
    (runs / "casework-20").mkdir()
    assert new_folder(runs, "case").name == "case-10"
    assert new_folder(runs, "casework").name == "casework-21"


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(InputError, match="runs: cannot be written: "):
        new_folder(tmp_path / "runs", "case")


def test_records_of_processes_are_merged_by_time_each_in_its_own_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    own: list[Record] = [Crashed(1.0, "a"), Restarted(1.0, "a"), Crashed(3.0, "a")]
    other: list[Record] = [Crashed(0.5, "b"), Restarted(1.0, "b"), Crashed(2.0, "b")]
    write_records(first, own)
    write_records(second, other)
    together = list(merged([first, second]))
    assert [(record.at, record.node) for record in together if isinstance(record, Crashed | Restarted)] == [
        (0.5, "b"),
        (1.0, "a"),
        (1.0, "a"),
        (1.0, "b"),
        (2.0, "b"),
        (3.0, "a"),
    ]
    assert [record for record in together if record in own] == own


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_json(path, {"passed": True})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_json(path, object())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["verdict.json"]
