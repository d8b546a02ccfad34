"""pyDistAlgo's own programs, unchanged: the shipped files compile, the named ones run with their known outcome.

The Python that runs the tests is tried in every run of them. The others are marked slow.
"""

from pathlib import Path

import pytest

from diembft.distalgo.runtime.launch import launch
from tests.distalgo import pythons
from tests.distalgo.examples import EXAMPLES, ROOT, Example, package_folder, require_known_outcome, run

OTHERS = [version for version in pythons.VERSIONS if version != pythons.THIS]

COMPILE_ALL = """
import sys, warnings
from diembft.distalgo.runtime.adapter import install
install()
from da.compiler import ui
for file in sys.argv[1:]:
    assert ui.dafile_to_pycode(file, ui.parse_compiler_args([])) is not None, file
print(len(sys.argv) - 1)
"""


def shipped_files() -> list[Path]:
    return sorted((package_folder() / "examples").glob("*/*.da"))


def require_all_compile(python: str, env: dict[str, str]) -> None:
    # With every warning an error: there is nothing to see for somebody who compiles a program.
    outcome = launch(
        [*shipped_files()],
        front=["-W", "error", "-c", COMPILE_ALL],
        timeout_s=60,
        python=python,
        env=env,
    )
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.split() == [str(len(shipped_files()))]
    assert outcome.stderr.count("compiled with 0 errors and 0 warnings.") == len(shipped_files())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_known_outcome(example: Example, tmp_path: Path) -> None:
    require_known_outcome(example, run(example, tmp_path))


def test_all_shipped_files_compile() -> None:
    assert len(shipped_files()) == 19
    require_all_compile(pythons.find(pythons.THIS) or "", {})


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """Another Python, and the environment in which it sees the installed pyDistAlgo, this project, and nothing else."""
    version: str = request.param
    python = pythons.find(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "da").symlink_to(package_folder())  # it is plain Python, the same for all versions
    return python, {"PYTHONPATH": f"{tmp_path / 'packages'}:{ROOT / 'src'}"}


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_known_outcome_on_another_python(example: Example, other: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    python, env = other
    outcome = run(example, tmp_path, python=python, env=env)
    require_known_outcome(example, outcome)
    assert "Warning" not in outcome.stderr


@pytest.mark.slow
def test_all_shipped_files_compile_on_another_python(other: tuple[str, dict[str, str]]) -> None:
    python, env = other
    require_all_compile(python, env)
