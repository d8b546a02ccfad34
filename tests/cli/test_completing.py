"""What the Tab key offers, asked for as the shells ask: by environment variables, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diembft.faults.registry import BUGS
from diembft.protocols.by_name import BUILT_IN
from diembft.twins.runs.models import MODELS

HEAVY = ("matplotlib", "numpy", "distributed", "da", "zstandard", "diembft.distalgo.command", "hypothesis")
"""Modules that a press of the key must not wait for."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("lost_votes.da", "lost_sync.py", "flood.da", "format/rounds.da", "must_fail/two_silent.da"):
        file = tmp_path / "configs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("this is never executed")
    return tmp_path


def asked(folder: Path, instruction: str, words: str, current: str) -> str:
    """What the program prints for a shell."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([path for path in sys.path if path]),
        "_DIEMBFT_COMPLETE": instruction,
        "COMP_WORDS": words,
        "COMP_CWORD": current,
    }
    done = subprocess.run(
        [sys.executable, "-m", "diembft"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def offered(folder: Path, line: str) -> list[str]:
    """The names that bash offers for the last word of a line."""
    words = line.split(" ")
    answer = asked(folder, "bash_complete", line, str(len(words) - 1))
    return [name for kind, name in (row.split(",", 1) for row in answer.split()) if kind == "plain"]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("diembft t", ["test", "twins"]),
        ("diembft run ", ["flood", "lost_sync", "lost_votes", "format/rounds", "must_fail/two_silent"]),
        ("diembft run lo", ["lost_sync", "lost_votes"]),
        ("diembft run must", ["must_fail/two_silent"]),
        ("diembft test lost_v", ["lost_votes"]),
        ("diembft test lost_votes l", ["lost_sync"]),
        ("diembft test configs for", ["format/rounds"]),
        ("diembft test -x --junitxml f lost_v", ["lost_votes"]),
        ("diembft run flood --bug s", [bug for bug in BUGS if bug.startswith("s")]),
        ("diembft fuzz --bug ", list(BUGS)),
        ("diembft twins run --bug ", list(BUGS)),
        ("diembft twins run --protocol fast-hotstuff --bug ", ["gap_commit"]),
        ("diembft twins explore --protocol ", list(BUILT_IN)),
        ("diembft twins shrink --protocol h", ["hotstuff"]),
        ("diembft twins shrink --oracle liveness", ["liveness_commit", "liveness_bound"]),
        ("diembft twins explore --model ", list(MODELS)),
        ("diembft list --p", ["--protocols"]),
        ("diembft fuzz --sh", ["--shrink"]),
    ],
)
def test_names_are_offered(folder: Path, line: str, names: list[str]) -> None:
    assert offered(folder, line) == names


def test_files_and_folders_are_left_to_the_shell(folder: Path) -> None:
    assert asked(folder, "bash_complete", "diembft run ./my", "2") == "file,./my\n"
    assert asked(folder, "bash_complete", "diembft twins replay sam", "3") == "file,sam\n"
    assert asked(folder, "bash_complete", "diembft test conf", "2") == "dir,conf\n"


def test_where_there_are_no_cases_nothing_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "configs").write_text("no folder")
    assert offered(tmp_path, "diembft run zzz") == []
    assert offered(tmp_path, "diembft test zzz") == []


def test_zsh_and_fish_ask_and_are_told(folder: Path) -> None:
    assert asked(folder, "zsh_complete", "diembft run lo", "2").split() == [
        *["plain", "lost_sync", "_"],
        *["plain", "lost_votes", "_"],
    ]
    assert asked(folder, "fish_complete", "diembft run lo", "lo").split() == ["plain,lost_sync", "plain,lost_votes"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks(folder: Path, shell: str) -> None:
    script = asked(folder, f"{shell}_source", "", "")
    assert f"_DIEMBFT_COMPLETE={shell}_complete" in script
    assert "COMP_WORDS" in script


def test_bash_completes_by_its_script(folder: Path) -> None:
    """The script in a real bash, as after a press of the key at the end of `diembft run lo`."""
    (folder / "script").write_text(asked(folder, "bash_source", "", ""))
    program = folder / "bin" / "diembft"
    program.parent.mkdir()
    path = os.pathsep.join([path for path in sys.path if path])
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" -m diembft "$@"\n')
    program.chmod(0o755)
    lines = [
        f'PATH="{program.parent}:$PATH"; source ./script',
        "COMP_WORDS=(diembft run lo); COMP_CWORD=2; COMPREPLY=()",
        'function=$(complete -p diembft | sed "s/.*-F \\([^ ]*\\).*/\\1/")',
        '$function diembft lo run; printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["lost_sync", "lost_votes"], "")


@pytest.mark.parametrize("command", ["run", "test", "fuzz", "list", "twins"])
def test_nothing_heavy_is_imported_for_it(command: str) -> None:
    code = f"import sys; from diembft.cli.main import cli; cli.get_command(None, {command!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not set(HEAVY) & set(done.stdout.split())
