"""What `install` does to a Python, seen from programs that call it; each runs in a Python of its own."""

import base64
import hashlib
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from diembft.distalgo.runtime import adapter, repairs
from diembft.distalgo.runtime.launch import ProgramRun, launch
from tests.distalgo.examples import ROOT, package_folder

PROGRAM = """\
config(channel is fifo)
class P(process):
    def setup(): pass
    def run(): output('here')
def main():
    p = new(P, [])
    start(p)
"""


def script(code: str, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> ProgramRun:
    return launch([*arguments], front=["-c", code], timeout_s=30, cwd=cwd, env=env)


def require_success(outcome: ProgramRun) -> str:
    assert outcome.status == 0, outcome.stderr
    assert outcome.left == ()
    return outcome.stdout


def test_every_adaptation_and_repair_says_why() -> None:
    names = [adaptation.name for adaptation in adapter.ADAPTATIONS]
    assert len(set(names)) == len(names) == 7
    assert all(len(adaptation.reason) > 40 for adaptation in adapter.ADAPTATIONS)
    assert all(len(repair.fault) > 40 for repair in repairs.REPAIRS)


def test_installed_adaptations_are_the_needed_ones() -> None:
    code = (
        "from diembft.distalgo.runtime.adapter import install\n"
        "print(*install(), sep='\\n'); assert install() == install()"
    )
    applied = require_success(script(code)).splitlines()
    expected = [adaptation.name for adaptation in adapter.ADAPTATIONS]
    if sys.version_info < (3, 12):
        expected.remove("fork warning")
    assert sorted(applied) == sorted(expected)


OLD_PYTHON = """
# A pyDistAlgo that takes this Python, and is newer than the one whose faults are known.
import sys, pathlib
package = pathlib.Path(sys.argv[1])
check = package / "importer" / "__init__.py"
check.write_text(check.read_text().replace("PythonVersion.minor == 7", "PythonVersion.minor >= 7"))
common = package / "common.py"
common.write_text(common.read_text().replace("PATCH_VERSION = 0", "PATCH_VERSION = 1"))
sys.path.insert(0, str(package.parent))
from diembft.distalgo.runtime.adapter import install
print(install())
import da
from da.common import WaitableQueue
assert da.__version__ == "1.1.1"
assert WaitableQueue.pop.__module__ == "da.common"
"""


def test_what_is_not_needed_is_not_done(tmp_path: Path) -> None:
    shutil.copytree(package_folder(), tmp_path / "da")
    applied = require_success(script(OLD_PYTHON, str(tmp_path / "da"), cwd=tmp_path))
    allowed = ["import locks", *(["fork warning"] if sys.version_info >= (3, 12) else [])]
    assert applied.strip() == repr(tuple(allowed))


def test_nothing_of_the_package_is_changed(tmp_path: Path) -> None:
    code = """
from diembft.distalgo.runtime.adapter import install
install()
import da, da.importer
print(da.__file__, da.importer.__file__)
"""
    files = require_success(script(code, cwd=ROOT)).split()
    assert [Path(file).parent for file in files] == [package_folder(), package_folder() / "importer"]

    for file in distribution("pyDistAlgo").files or ():
        if file.hash is not None and file.suffix == ".py":
            digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, file


def test_files_beside_imported_modules_are_seen(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("X = 1\n")
    (tmp_path / "program.da").write_text(PROGRAM)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import plain
from diembft.distalgo.runtime.adapter import install
install()
import da
da.common.GlobalOptions = {"compiler_args": da.compiler.ui.parse_compiler_args([]), "no_log": True}
import program
print(program.P.__mro__[1].__name__)
"""
    assert require_success(script(code, str(tmp_path))) == "DistProcess\n"


def test_warnings_of_others_are_kept() -> None:
    code = """
import warnings
from diembft.distalgo.runtime.adapter import install
install()
warnings.warn_explicit("old", DeprecationWarning, "da/sim.py", 1, module="da.sim")
warnings.warn_explicit("old", DeprecationWarning, "data.py", 1, module="data")
"""
    outcome = script(code)
    require_success(outcome)
    assert "data.py" in outcome.stderr
    assert "da/sim.py" not in outcome.stderr


# The cache of compiled files


def compiled(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("__pycache__/*.pyc"))


def test_compiled_files_belong_to_this_adapter(tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(PROGRAM)
    writing = {"PYTHONDONTWRITEBYTECODE": ""}  # set where the tests are to leave no caches
    first = launch([program], timeout_s=30, env=writing)
    second = launch([program], timeout_s=30, env=writing)
    assert (first.status, second.status) == (0, 0)
    assert "compiled with 0 errors" in first.stderr
    assert "compiled with" not in second.stderr
    assert "here" in second.stderr
    assert compiled(tmp_path) == [f"program.{sys.implementation.cache_tag}.da-1.1.0.{adapter.cache_tag()}.pyc"]


def test_a_changed_adapter_compiles_again(tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(PROGRAM)
    shutil.copytree(ROOT / "src" / "diembft" / "distalgo", tmp_path / "src" / "diembft" / "distalgo")
    for name in ("__init__.py", "errors.py", "files.py"):
        shutil.copy(ROOT / "src" / "diembft" / name, tmp_path / "src" / "diembft")
    changed = tmp_path / "src" / "diembft" / "distalgo" / "runtime" / "ast37.py"
    env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(tmp_path / "src")}
    assert launch([program], timeout_s=30, env=env).status == 0
    changed.write_text(changed.read_text() + "# changed\n")
    again = launch([program], timeout_s=30, env=env)
    assert "compiled with 0 errors" in again.stderr
    assert len(compiled(tmp_path)) == 2


# What goes wrong


def hide_package(folder: Path) -> dict[str, str]:
    """An environment in which pyDistAlgo is not to be found: a Python that sees this project alone."""
    (folder / "sitecustomize.py").write_text(
        "import sys\nsys.path[:] = [entry for entry in sys.path if 'site-packages' not in entry]\n"
    )
    return {"PYTHONPATH": f"{folder}:{ROOT / 'src'}"}


@pytest.mark.parametrize("front", [["-m", "diembft.distalgo"], ["-m", "da"]])
def test_missing_package_is_one_line_and_status_2(front: list[str], tmp_path: Path) -> None:
    outcome = launch(["program.da"], front=front, timeout_s=30, cwd=ROOT, env=hide_package(tmp_path))
    assert outcome.status == 2
    assert len(outcome.stderr.splitlines()) == 1
    assert "pyDistAlgo is not installed" in outcome.stderr
    assert "pip install pyDistAlgo==1.1.0" in outcome.stderr


def test_an_unknown_python_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 99, 0, 'final', 0)\n")
    outcome = launch(["program.da"], timeout_s=30, env={"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"})
    assert outcome.status == 2
    assert outcome.stderr == (
        "diembft.distalgo: pyDistAlgo is adapted to Python 3.11 to 3.13, and this is Python 3.99.0\n"
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("if (x := 1): pass", "Assignment expressions are only supported in Python 3.8 and greater"),
        ("def f(:", "invalid syntax"),
    ],
)
def test_a_wrong_program_is_named_with_the_reason(source: str, reason: str, tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(f"\n{source}\n")
    outcome = launch([program], timeout_s=30)
    assert outcome.status == 1
    assert f"{program}:2:" in outcome.stderr
    assert reason in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_importing_a_name_as_another_compiles(tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text("from os import path as other, sep\ndef main():\n    print(other.basename('a/b'), sep)\n")
    outcome = launch(["--no-log", program], timeout_s=30)
    assert require_success(outcome) == "b /\n"


# The command of the project's root


def test_the_verbatim_command_works_from_the_root(tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(PROGRAM)
    outcome = launch(["--message-buffer-size", "80000", program], front=["-m", "da"], timeout_s=30, cwd=ROOT)
    require_success(outcome)
    assert "OUTPUT: here" in outcome.stderr


def test_the_root_serves_imports_too() -> None:
    code = "import da, da.sim; print(da.__file__, da._adaptations)"
    printed = require_success(script(code, cwd=ROOT))
    assert printed.startswith(str(package_folder() / "__init__.py"))
    assert "syntax tree" in printed


def test_the_root_lets_a_program_see_the_error(tmp_path: Path) -> None:
    code = """
try:
    import da
except ImportError as error:
    print(type(error).__name__)
"""
    assert require_success(script(code, cwd=ROOT, env=hide_package(tmp_path))) == "MissingDistAlgo\n"


def test_elsewhere_the_installed_package_is_as_ever(tmp_path: Path) -> None:
    code = "import importlib.util; print(importlib.util.find_spec('da').origin)"
    assert require_success(script(code, cwd=tmp_path)).strip() == str(package_folder() / "__init__.py")


def test_the_command_of_the_module_is_not_led_astray_by_the_root(tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(PROGRAM)
    assert "OUTPUT: here" in launch([program], timeout_s=30, cwd=ROOT).stderr
