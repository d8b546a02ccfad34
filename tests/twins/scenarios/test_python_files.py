"""The seed's Python files: both imports, the liberties of files in the wild, and what is refused."""

import sys
from pathlib import Path

import pytest

from diembft.errors import InputError
from diembft.twins.scenarios import testconfig
from diembft.twins.scenarios.python_files import run_file
from diembft.twins.scenarios.scenario import Drop, Extras
from diembft.twins.scenarios.scenario_files import read_scenarios

ROOT = Path(__file__).parents[3]
HEAD = """\
from testconfig import *
whole = Round('a', [['a', 'b', 'c', 'd', "d'"]], [])
names, twins = ['a', 'b', 'c', 'd'], ["d'"]
"""
GOOD = "test_cases = [TestConfig(names, twins, [whole] * 9, 0.8, 0, 'case', 30)]\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cases.py"
    path.write_text(text, encoding="utf-8")
    return path


def complaint_about(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_scenarios(path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path)).removeprefix(", ").removeprefix(": ")


@pytest.mark.parametrize(
    "head",
    [
        "from testconfig import *",
        "from src.testconfig import *",
        "from testconfig import TestConfig, Round",
        "from src.testconfig import TestConfig, Round",
        "import testconfig; Round, TestConfig = testconfig.Round, testconfig.TestConfig",
    ],
)
def test_both_imports_mean_one_module_wherever_the_file_lies(tmp_path: Path, head: str) -> None:
    before, path_before = set(sys.modules), list(sys.path)
    path = write(tmp_path, head + HEAD.removeprefix("from testconfig import *") + GOOD + "kept = Round")
    assert run_file(path)["kept"] is testconfig.Round
    assert len(read_scenarios(path)) == 1
    assert (set(sys.modules), sys.path) == (before, path_before)


def test_the_root_s_module_is_the_package_s(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, object] = {}
    exec((ROOT / "src" / "testconfig.py").read_text(), namespace)
    for name in testconfig.__all__:
        assert namespace[name] is getattr(testconfig, name)


def test_defaults(tmp_path: Path) -> None:
    (scenario,) = read_scenarios(write(tmp_path, HEAD + GOOD))
    assert (scenario.gst, scenario.bugs, scenario.name, scenario.seed) == (2, (), "case", 0)
    assert (scenario.delay_bound_s, scenario.timeout_s) == (0.8, 30)


@pytest.mark.parametrize("bugs", ["set()", "{}", "[]", "()", "None", "frozenset()"])
def test_no_bugs_are_written_in_many_ways(tmp_path: Path, bugs: str) -> None:
    path = write(tmp_path, HEAD + f"test_cases = [TestConfig(names, twins, [whole], 0.8, 0, 'x', 30, 1, {bugs})]")
    assert read_scenarios(path)[0].bugs == ()


@pytest.mark.parametrize("bugs", ["{'small_quorum', 'gap_commit'}", "['small_quorum', 'gap_commit']"])
def test_bugs_are_written_in_many_ways(tmp_path: Path, bugs: str) -> None:
    path = write(tmp_path, HEAD + f"test_cases = [TestConfig(names, twins, [whole], 0.8, 0, 'x', 30, 1, {bugs})]")
    assert read_scenarios(path)[0].bugs == ("gap_commit", "small_quorum")


def test_liberties_of_files_in_the_wild(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
rounds = [Round("d'", [{'a', 'd'}, ('b', 'c', "d'")], [Except('a', '_', MsgType.Vote), ['b', "d'", '*']])]
test_cases = [
    TestConfig(names, [], [Round('a', [names]), ('b', [names], ())], 0.8, 0, 'same', 30, 0, {}),
    TestConfig(names, twins, rounds, 0.8, None, 'same', 30, gst=len(rounds), bugs=set()),
    TestConfig(replicas=tuple(names), twins=(), rounds=(), transmission_delay_bound=1, seed=0.5, name='', timeout=1),
]
"""
    )
    first, second, third = read_scenarios(write(tmp_path, text))
    assert (first.name, second.name, first.twins, first.gst) == ("same", "same", (), 0)
    assert second.rounds[0].leader == "d"
    assert second.rounds[0].partition == (("a", "d"), ("b", "c", "d'"))
    assert second.rounds[0].exceptions == (Drop("a", "_", "vote"), Drop("b", "d'", "*"))
    assert second.gst == 1
    assert (third.rounds, third.seed) == ((), 0.5)


def test_extras_are_an_extension(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
parts = [['a', 'b'], ['c', 'd', "d'"]]
extras = {'timeout_partition': parts, 'timers': 'early', 'order': None, 'crash': ['a'], 'restart': {'a'}}
test_cases = [TestConfig(names, twins, [whole._replace(extras=extras)], 0.8, 0, 'x', 30)]
"""
    )
    (scenario,) = read_scenarios(write(tmp_path, text))
    assert scenario.rounds[0].extras == Extras(
        timeout_partition=(("a", "b"), ("c", "d", "d'")), timers="early", crash=("a",), restart=("a",)
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1", "test_cases: is not defined"),
        ("test_cases = 5", "test_cases: 5 is no list"),
        ("test_cases = []", "test_cases: is empty"),
        ("test_cases = [5]", "test_cases[0]: 5 is no TestConfig"),
        ("test_cases = [(", "line 4: syntax error at 'test_cases = [(': '(' was never closed"),
        ("x = undefined", "line 4: NameError: name 'undefined' is not defined"),
        ("import nowhere", "line 4: ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemExit(3)", "line 4: SystemExit: 3"),
        ("Round('a', [], [], None, 5)", "line 4: TypeError: "),
        ("TestConfig(*range(11))", "line 4: TypeError: "),
        ("TestConfig(names, twins, [])", "line 4: TypeError: "),
        ("GenConfig(1)", "line 4: TypeError: "),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint_about(write(tmp_path, HEAD + text)).startswith(complaint)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("replicas=5", "replicas: 5 is no list of names"),
        ("replicas='abcd'", "replicas: 'abcd' is no list of names"),
        ("replicas=['a', 5]", "replicas: 5 is no name"),
        ("twins=[\"e'\"]", "twins: \"e'\" is not a replica's name with an apostrophe"),
        ("twins={\"d'\": 1}", "twins: {\"d'\": 1} is no list of names"),
        ("rounds=5", "rounds: 5 is no list"),
        ("rounds=[5]", "rounds[0]: 5 is not (leader, partition, exceptions)"),
        ("rounds=[('a',)]", "rounds[0]: ('a',) is not (leader, partition, exceptions)"),
        ("rounds=[whole, Round(5, [names])]", "rounds[1].leader: 5 is no name"),
        ("rounds=[Round('x', whole.partition)]", "rounds[0].leader: 'x' is no replica"),
        ("rounds=[Round('a', 'abcd')]", "rounds[0].partition: 'abcd' is no list"),
        ("rounds=[Round('a', ['abcd'])]", "rounds[0].partition[0]: 'abcd' is no list of names"),
        ("rounds=[Round('a', [names])]", "rounds[0].partition: \"d'\" is in no set"),
        ("rounds=[Round('a', [names, twins, ['a']])]", "rounds[0].partition: 'a' is there twice"),
        ("rounds=[Round('a', whole.partition, 5)]", "rounds[0].exceptions: 5 is no list"),
        ("rounds=[Round('a', whole.partition, [5])]", "rounds[0].exceptions[0]: 5 is not (src, dst, msg_type)"),
        (
            "rounds=[Round('a', whole.partition, [Except('a', 'b', 'block')])]",
            "rounds[0].exceptions[0].msg_type: 'block' is no MsgType",
        ),
        (
            "rounds=[Round('a', whole.partition, [Except('a', 5, '*')])]",
            "rounds[0].exceptions[0].dst: 5 is no name",
        ),
        (
            "rounds=[Round('a', whole.partition, [Except('a', 'x', '*')])]",
            "rounds[0].exceptions: 'x' is neither a node nor '_'",
        ),
        ("rounds=[Round('a', whole.partition, [], 5)]", "rounds[0].extras: 5 is no dictionary"),
        ("rounds=[Round('a', whole.partition, [], {'x': 1})]", "rounds[0].extras: 'x' is no field of a round"),
        ("rounds=[Round('a', whole.partition, [], {'timers': 1})]", "rounds[0].extras.timers: 1 is no name"),
        ("rounds=[Round('a', whole.partition, [], {'order': 'x'})]", "rounds[0].order: 'x' is none of reversed"),
        ("transmission_delay_bound='x'", "transmission_delay_bound: 'x' is no number"),
        ("transmission_delay_bound=-1", "transmission_delay_bound: -1 is not a positive number of seconds"),
        ("transmission_delay_bound=float('nan')", "transmission_delay_bound: nan is no number"),
        ("timeout=0", "timeout: 0 is not a positive number of seconds"),
        ("timeout=True", "timeout: True is no number"),
        ("seed='x'", "seed: 'x' is no number"),
        ("name=5", "name: 5 is no name"),
        ("gst='x'", "gst: 'x' is no whole number"),
        ("gst=-1", "gst: -1 is not between 0 and the number of rounds, 9"),
        ("gst=10", "gst: 10 is not between 0 and the number of rounds, 9"),
        ("bugs='small_quorum'", "bugs: 'small_quorum' is no list of names"),
        ("bugs={5}", "bugs: 5 is no name"),
        ("bugs={'x': 1}", "bugs: {'x': 1} is no list of names"),
    ],
)  # fmt: skip
def test_a_wrong_case_is_named(tmp_path: Path, change: str, complaint: str) -> None:
    text = HEAD + GOOD + f"test_cases.append(test_cases[0]._replace({change}))"
    assert complaint_about(write(tmp_path, text)) == f"test_cases[1].{complaint}"


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    assert complaint_about(tmp_path / "none.py") == "No such file or directory"
    path = tmp_path / "binary.py"
    path.write_bytes(b"x = '\xff'")
    assert "\n" not in complaint_about(path)
    path.write_bytes(b"x = 1\0")
    assert "\n" not in complaint_about(path)
