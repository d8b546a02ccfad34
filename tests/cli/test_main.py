"""The entry point: help, version, and what goes wrong before any command runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import diembft as package
from diembft.cli import main as entry
from diembft.cli import output
from diembft.errors import InputError
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]


def test_version(capsys: Capture) -> None:
    assert diembft(capsys, "--version") == (0, f"diembft {package.__version__}\n", "")


def test_help_names_every_command(capsys: Capture) -> None:
    status, out, err = diembft(capsys, "--help")
    assert (status, err) == (0, "")
    for command in entry.COMMANDS:
        assert f"  {command} " in out
    assert "Exit status" in out


@pytest.mark.parametrize("command", entry.COMMANDS)
def test_each_command_has_help(capsys: Capture, command: str) -> None:
    status, out, err = diembft(capsys, command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: diembft {command}")


def test_what_the_entry_point_needs_is_little() -> None:
    """Each command imports what it needs: the worker processes of one start with the entry point too."""
    seen = "import sys, diembft.cli.main; print([name for name in sys.modules if name.startswith('diembft.')])"
    out = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60, check=True).stdout
    cli = ["diembft.cli", "diembft.cli.output", "diembft.errors", "diembft.files", "diembft.cli.stopping"]
    assert out == f"{[*cli, 'diembft.cli.main']}\n"


def test_no_command_shows_the_help_and_is_bad_input(capsys: Capture) -> None:
    status, out, err = diembft(capsys)
    assert (status, out) == (2, "")
    assert err.startswith("Usage: diembft")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["lst"], "lst"),
        (["--hlep"], "--hlep"),
        (["list", "--jsno"], "--jsno"),
        (["list", "configs", "more"], "more"),
    ],
)
def test_what_is_unknown_is_named(capsys: Capture, arguments: list[str], named: str) -> None:
    assert named in diembft(capsys, *arguments).complaint


@pytest.fixture
def broken() -> Iterator[click.Command]:
    """A command that raises what its argument names."""

    @click.command("broken")
    @click.argument("what")
    def command(what: str) -> None:
        raise {
            "input": InputError("file.da: field:\nwrong"),
            "interrupt": KeyboardInterrupt(),
            "worker": ChildProcessError("a worker process died"),
            "bug": ZeroDivisionError("a bug"),
        }[what]

    entry.cli.add_command(command)
    yield command
    del entry.cli.commands["broken"]


@pytest.mark.usefixtures("broken")
def test_an_error_is_one_line_and_a_status(capsys: Capture) -> None:
    assert diembft(capsys, "broken", "input").complaint == "file.da: field: wrong"
    assert diembft(capsys, "broken", "interrupt") == (130, "", "\ndiembft: interrupted\n")  # after the ^C
    assert diembft(capsys, "broken", "worker") == (3, "", "diembft: a worker process died\n")
    with pytest.raises(ZeroDivisionError):
        diembft(capsys, "broken", "bug")


@pytest.mark.parametrize("command", [["-m", "diembft"], [str(Path(sys.executable).with_name("diembft"))]])
def test_the_installed_command_and_the_module_are_the_same(command: list[str]) -> None:
    started = command if command[0].endswith("diembft") else [sys.executable, *command]
    version = subprocess.run([*started, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (version.returncode, version.stdout) == (0, f"diembft {package.__version__}\n")
    wrong = subprocess.run([*started, "nothing"], capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("fuzz --time nan", "--time': 'nan' is no number of seconds"),
        ("fuzz --time inf", "--time': inf is not in the range"),
        ("fuzz --count 10000000000", "--count': 10000000000 is not in the range"),
        ("run flood --runs 100000000", "--runs': 100000000 is not in the range"),
        ("twins run --rounds 1000000000", "--rounds': 1000000000 is not in the range"),
        ("twins run --drops 1001", "drops: 1001 is not between 0 and 1,000"),
        ("twins explore --rounds 1000000000", "--depth': 1000000000 is not in the range"),
        ("twins explore --walk-seconds nan", "--walk-seconds': 'nan' is no number of seconds"),
        ("twins explore --time 1e9", "--time': 1000000000.0 is not in the range"),
        ("twins check-key --walks 10000000000", "--walks': 10000000000 is not in the range"),
        ("twins replay 'scenario: replicas=a,b,c,d; 1-1000000000: a leads a,b,c,d'", "1000000000"),
    ],
)
def test_numbers_have_bounds(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = diembft(capsys, *shlex.split(arguments))
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["run"], ["fuzz"], ["twins"], ["twins", "run"], ["twins", "explore"]])
def test_every_help_says_what_exit_statuses_mean(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert " ".join(output.STATUSES.split()) in " ".join(diembft(capsys, *words, "--help").out.split())
