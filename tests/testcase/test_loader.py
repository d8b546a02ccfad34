import sys
import threading
from pathlib import Path

import pytest

from diembft.errors import InputError
from diembft.testcase import loader, types
from diembft.testcase.case import SetsAttribute
from diembft.testcase.loader import case_files, default_folder, find, load, name_in

GOOD = """
from config import *
config = Config(4, 1, [Workload(WorkloadType.flood, 2, 1)], 0.1, 5)
failure_config = FailureConfig([Failure('replica0', '_', MsgType.Vote, range(2, 7), 1.0)], 6)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a `configs/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    return tmp_path


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def error_of(name_or_file: str) -> str:
    with pytest.raises(InputError) as caught:
        load(name_or_file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("configs/sample.da", "sample"),
        ("configs/sample.py", "sample"),
        ("configs/must_fail/sample.da", "must_fail/sample"),
        ("configs/sample.da", "configs/sample.da"),
        ("elsewhere/sample.da", "elsewhere/sample.da"),
        ("sample.py", "sample.py"),
    ],
)
def test_a_case_is_found_by_name_or_file(folder: Path, path: str, given: str) -> None:
    write(folder / path, GOOD)
    case = load(given)
    assert case.name == "sample"
    assert (case.num_replicas, case.seed, case.failure_seed) == (4, 5, 6)


def test_a_name_is_looked_up_in_the_shipped_folder_last(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    monkeypatch.setattr(loader, "SHIPPED", shipped)
    write(shipped / "sample.da", GOOD)
    assert find("sample") == shipped / "sample.da"
    write(folder / "configs" / "sample.py", GOOD)
    assert find("sample") == Path("configs/sample.py")


def test_the_default_folder_is_the_shipped_one_where_there_is_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_folder() == Path("configs")
    monkeypatch.chdir(folder / "configs")
    assert default_folder() == loader.SHIPPED


def test_case_files_are_those_of_the_folder_and_below_it_but_for_those_that_must_fail(folder: Path) -> None:
    for name in ("b.da", "a.py", "note.txt", "must_fail/c.da", "an/d.da", "an/must_fail/e.da", ".hidden/f.da"):
        write(folder / "configs" / name, GOOD)
    assert [str(path) for path in case_files(Path("configs"))] == ["configs/a.py", "configs/b.da", "configs/an/d.da"]
    assert [path.name for path in case_files(Path("configs/must_fail"))] == ["c.da"]
    assert name_in(Path("configs"), Path("configs/an/d.da")) == "an/d"
    assert find("an/d") == Path("configs/an/d.da")
    with pytest.raises(InputError, match="missing: No such file or directory"):
        case_files(Path("missing"))


@pytest.mark.parametrize("statement", ["from config import *", "import config as c; from config import *"])
def test_config_is_ours_and_leaves_no_trace(folder: Path, statement: str) -> None:
    before = dict(sys.modules)
    write(folder / "configs" / "config.py", "raise RuntimeError('the wrong config')")
    load(write(folder / "sample.da", GOOD.replace("from config import *", statement)))
    assert sys.modules.get("config") is before.get("config")
    assert "sample" not in sys.modules


def test_another_module_named_config_stays_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "config", sys)
    assert load(write(folder / "sample.da", GOOD)).num_replicas == 4
    assert sys.modules["config"] is sys


def test_files_can_be_loaded_by_threads_at_once(folder: Path) -> None:
    file = write(folder / "sample.da", GOOD)
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(load(file).name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["sample"] * 8


def test_other_imports_work_as_usual(folder: Path) -> None:
    text = GOOD.replace("0.1, 5", "math.sqrt(0.25), 5").replace("from config", "import math\nfrom config")
    assert load(write(folder / "sample.da", text)).delay_bound_s == 0.5


def test_the_seeds_module_is_named_config() -> None:
    source = (Path(__file__).parents[2] / "src" / "config.da").read_text()
    namespace: dict[str, object] = {}
    exec(source, namespace)
    assert {name for name in namespace if not name.startswith("__")} == set(types.__all__)
    assert all(namespace[name] is getattr(types, name) for name in types.__all__)


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (f'"""What it\nshows.\n\nMore."""{GOOD}', "What it shows."),
        (f"# What it\n# shows.\n{GOOD}", "What it shows."),
        (f"\n\n# What it shows.\n#\n# More.\n{GOOD}", "What it shows."),
        (GOOD, ""),
    ],
)
def test_the_description_is_the_docstring_or_the_first_comment(folder: Path, text: str, description: str) -> None:
    assert load(write(folder / "sample.da", text)).description == description


def test_missing_seeds_are_drawn(folder: Path) -> None:
    text = GOOD.replace("0.1, 5", "0.1").replace("], 6", "]")
    file = write(folder / "sample.da", text)
    case = load(file, draw_seed=iter((11, 12)).__next__)
    assert (case.seed, case.failure_seed) == (11, 12)
    assert case.drawn_seeds == ("seed", "failure_seed")
    drawn = {load(file).seed for _ in range(4)}
    assert len(drawn) > 1  # equal only once in 2**96


def test_the_expectation_is_a_variable_of_the_file(folder: Path) -> None:
    assert load(write(folder / "plain.da", GOOD)).expect_failure is None
    expecting = load(write(folder / "expecting.da", GOOD + "expect_failure = 'agreement'\n"))
    assert expecting.expect_failure == "agreement"


def test_a_whole_file_with_every_liberty(folder: Path) -> None:
    text = """#!/usr/bin/env python
from config import *
config = Config(7, num_faulty=2, workloads=(Workload(WorkloadType.timed, 2, 1, delays=(1, 2.5, 3)),),
                transmission_delay_bound=1, seed=0.5)
failure_config = FailureConfig(failures=(
    Failure(0, dest='leader', msg_type=MsgType.SyncInfo, round=4, prob=0, attr='leader', val='replica6'),), seed=-3)
"""
    case = load(write(folder / "sample.da", text))
    assert case.workloads[0].delays_s == (1.0,)
    assert case.failures[0].action == SetsAttribute("leader", 6)
    assert (case.seed, case.failure_seed) == (0.5, -3)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("missing.da", "missing.da: there is no such file"),
        ("configs/", "'configs/': there is no such test case in configs/"),
        ("configs.da/", "configs.da: there is no such file"),
        ("", "'': there is no such test case in configs/"),
        ("faulty_dropout", "'faulty_dropout': there is no such test case in configs/; did you mean 'faulty_dropouts'?"),
        ("bad\0name", "'bad\\x00name': there is no such test case in configs/"),
        ("x" * 5000, "'xxx"),
        ("notes.txt", "notes.txt: a test configuration is a file that ends in .da or .py"),
    ],
)
def test_a_wrong_name_is_one_line(folder: Path, given: str, error: str) -> None:
    write(folder / "configs" / "faulty_dropouts.da", GOOD)
    write(folder / "notes.txt", GOOD)
    assert error_of(given).startswith(error)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("config = (", ", line 1: syntax error at 'config = (': '(' was never closed"),
        (GOOD + "\n  x = 1", ", line 6: syntax error at 'x = 1': unexpected indent"),
        ("nul\0l", ": "),
        ("", ": the variable config is missing"),
        ("config = 1", ": the variable failure_config is missing"),
        ("from config import *\nconfig = Config(4)", ", line 2: TypeError: Config: num_faulty is missing"),
        (
            GOOD.replace("0.1, 5", "0.1, 5, 0.1, 4, 'one'"),
            ", line 3: TypeError: Config: a field too many: 'one' (its fields are ",
        ),
        (
            GOOD.replace("0.1, 5", "0.1, sed=5"),
            ", line 3: TypeError: Config: no such field: sed=5 (its fields are ",
        ),
        (GOOD.replace("Vote", "Votes"), ", line 4: AttributeError: "),
        (GOOD.replace("Failure(", "Fail("), ", line 4: NameError: name 'Fail' is not defined"),
        ("import no_such_module", ", line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("from .config import *", ", line 1: ImportError: "),
        ("raise SystemExit('stop')", ", line 1: SystemExit: stop"),
        ("raise ValueError('one\\ntwo')", ", line 1: ValueError: one two"),
        ("def f():\n    return 1 / 0\nf()", ", line 2: ZeroDivisionError: division by zero"),
        ("-" * 100_000 + "1", ": "),
        (
            GOOD.replace("replica0", "replica9"),
            ": failure_config.failures[0].src: must be one of 'replica0' to 'replica3' (or 0 to 3), 'leader' "
            "or '_', not 'replica9'",
        ),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_file(folder: Path, text: str, error: str) -> None:
    file = write(folder / "wrong.da", text)
    assert error_of(file).startswith(file + error)


def test_a_file_that_is_no_text_is_one_line(folder: Path) -> None:
    file = folder / "binary.da"
    file.write_bytes(b"\xff\xfe\x00")
    assert error_of(str(file)).startswith(f"{file}: not readable as Python: ") or "syntax error" in error_of(str(file))


def test_a_file_that_vanishes_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_is_file", lambda path: True)
    assert error_of("gone.da") == "gone.da: No such file or directory"
