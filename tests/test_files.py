"""Files that appear only when they are whole."""

from pathlib import Path

import pytest

from diembft.files import replacing


def test_the_file_appears_when_it_is_whole_under_its_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    path.write_text("before")
    with replacing(path) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
        assert partial.suffix == ".svg"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.write_text("before")

    def fail_half_way() -> None:
        with replacing(path) as partial:
            partial.write_text("aft")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "results" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="results"), replacing(tmp_path / "results") as partial:
        partial.write_text("after")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "results") as partial:
        partial.write_text("after")
