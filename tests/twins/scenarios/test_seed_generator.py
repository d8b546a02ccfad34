"""The seed's generator: what its configurations promise, byte-identical files, and what is refused."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from diembft.errors import InputError
from diembft.twins.scenarios.python_files import run_file
from diembft.twins.scenarios.scenario import Drop, Scenario, holds_quorum
from diembft.twins.scenarios.scenario_files import read_scenarios
from diembft.twins.scenarios.seed_generator import check_config, configurations, generate_file
from diembft.twins.scenarios.testconfig import GenConfig

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "generator_configs").glob("*.py"))
PLAIN = GenConfig(
    tests=10, R=2, P=3, K=2, C=100, L=4, E=1, N=4, F=1,
    random_partitions=False, random_leaders=False, random_configurations=False,
    allow_non_faulty_leaders=True, allow_quorumless_partitions=False, out_file="out.json",
)  # fmt: skip


def generate(tmp_path: Path, config: GenConfig) -> list[Scenario]:
    path = tmp_path / "config.py"
    path.write_text(f"from testconfig import *\ntest_case = {config!r}\n")
    generated = generate_file(path, tmp_path)
    scenarios = read_scenarios(generated.path)
    assert len(scenarios) == generated.written == min(config.tests, generated.possible)
    return scenarios


# --- the shipped configurations ---


def test_the_required_configurations_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "all_random_config",
        "deterministic_config",
        "random_config_config",
        "random_leader_config",
        "random_partition_config",
        "allow_quorumless_partition_config",
        "intrapartition_drops",
    }


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_gives_what_it_says(path: Path, tmp_path: Path) -> None:
    config = check_config(run_file(path)["test_case"])
    generated = generate_file(path, tmp_path)
    assert generated.path == tmp_path / f"{path.stem}.json"
    scenarios = read_scenarios(generated.path)
    drops = path.stem == "intrapartition_drops"
    assert len(scenarios) == (1000 if drops else 10_000)
    assert len({scenario.rounds for scenario in scenarios}) == len(scenarios)
    for scenario in scenarios:
        assert (len(scenario.replicas), len(scenario.twins), scenario.bugs) == (7, 2, ())
        assert (len(scenario.rounds), scenario.gst, scenario.synchronous_from) == (12, 5, 5)
        assert {round_.leader for round_ in scenario.rounds[5:]} == {"g"}
    scripted = {round_ for scenario in scenarios for round_ in scenario.rounds[:5]}
    assert {len(round_.partition) for round_ in scripted} == {3}
    quorumless = {round_.partition for round_ in scripted if not holds_quorum(round_.partition, 5)}
    assert bool(quorumless) == config.allow_quorumless_partitions
    assert {round_.leader for round_ in scripted} <= set("abcdefg" if config.allow_non_faulty_leaders else "ab")
    most_drops = max(len(round_.exceptions) for round_ in scripted)
    assert 10 < most_drops <= 20 if drops else most_drops == 0


def test_the_shipped_files_are_the_same_bytes_for_ever(tmp_path: Path) -> None:
    digests = {}
    for path in SHIPPED:
        if path.stem in ("all_random_config", "intrapartition_drops"):
            digests[path.stem] = sha256(generate_file(path, tmp_path).path.read_bytes()).hexdigest()[:16]
    assert digests == {"all_random_config": "877f318a17a81254", "intrapartition_drops": "d6090627db0b420d"}


def test_the_seed_s_command(tmp_path: Path) -> None:
    config = tmp_path / "small.py"
    config.write_text(f"from src.testconfig import *\ntest_case = {PLAIN!r}\n")
    outputs = set()
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, str(ROOT / "testgenerator.py"), "small.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "generated_tests/out.json: 10 scenarios, of 144 that the configuration describes\n"
        outputs.add((tmp_path / "generated_tests" / "out.json").read_bytes())
    assert len(outputs) == 1


@pytest.mark.parametrize(("arguments", "message"), [([], "usage: "), (["none.py"], "none.py: No such file")])
def test_the_seed_s_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "testgenerator.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


# --- enumeration and drawing ---


def test_enumeration_changes_the_last_round_fastest(tmp_path: Path) -> None:
    choices = configurations(PLAIN)
    scripts = [scenario.rounds[:2] for scenario in generate(tmp_path, PLAIN._replace(tests=144))]
    assert scripts == list(product(choices, repeat=2))


def test_leaders_change_before_partitions() -> None:
    choices = configurations(PLAIN)
    assert [choice.leader for choice in choices] == list("abcd") * 3
    assert [choices[i].partition for i in (0, 4, 8)] == [
        (("a", "b", "c", "d"), ("a'",)),
        (("a",), ("b", "c", "d", "a'")),
        (("a", "a'"), ("b", "c", "d")),
    ]


def test_the_limits_cut_what_is_enumerated() -> None:
    assert len(configurations(PLAIN)) == 3 * 4
    assert len(configurations(PLAIN._replace(P=1))) == 4
    assert len(configurations(PLAIN._replace(L=2))) == 6
    assert len(configurations(PLAIN._replace(C=5))) == 5
    assert len(configurations(PLAIN._replace(allow_non_faulty_leaders=False))) == 3
    assert len(configurations(PLAIN._replace(E=3))) == 36
    every = PLAIN._replace(P=1000, allow_quorumless_partitions=True, C=1000)
    assert len(configurations(every)) == 15 * 4  # all partitions of 5 nodes into 2 sets


def test_enumerated_exceptions_grow() -> None:
    choices = configurations(PLAIN._replace(P=1, L=1, E=4))
    assert [choice.exceptions for choice in choices] == [
        (),
        (Drop("a", "b", "proposal"),),
        (Drop("a", "b", "timeout"),),
        (Drop("a", "b", "vote"),),
    ]


def test_drawn_exceptions_stay_within_their_sets() -> None:
    config = PLAIN._replace(E=12, random_configurations=True, random_partitions=True, N=7, F=2, K=3, C=10_000)
    sizes = set()
    for choice in configurations(config):
        group_of = {name: group for group in choice.partition for name in group}
        sizes.add(len(choice.exceptions))
        for drop in choice.exceptions:
            assert drop.src != drop.dst
            if "_" not in (drop.src, drop.dst):
                assert group_of[drop.src] == group_of[drop.dst]
    assert 0 in sizes
    assert max(sizes) == 12


@pytest.mark.parametrize("flag", ["random_partitions", "random_leaders", "random_configurations"])
def test_a_seed_changes_what_is_drawn(flag: str) -> None:
    config = PLAIN._replace(N=7, F=2, L=3, P=4, C=6, E=3)
    assert configurations(config) == configurations(config._replace(seed=1))
    drawn: list[GenConfig] = [config._replace(seed=seed, **_set(flag)) for seed in (0, 1)]
    assert configurations(drawn[0]) != configurations(drawn[1])
    assert configurations(drawn[0]) == configurations(drawn[0])


def _set(flag: str) -> dict[str, Any]:
    return {flag: True}


def test_drawn_scenarios_do_not_repeat(tmp_path: Path) -> None:
    config = PLAIN._replace(tests=144, random_configurations=True)
    drawn = [scenario.rounds for scenario in generate(tmp_path, config)]
    assert len(set(drawn)) == 144
    assert {rounds[:2] for rounds in drawn} == set(product(configurations(config), repeat=2))


def test_all_are_taken_where_fewer_exist(tmp_path: Path) -> None:
    assert len(generate(tmp_path, PLAIN._replace(tests=1000, R=1))) == 12


def test_a_compressed_file_is_written(tmp_path: Path) -> None:
    scenarios = generate(tmp_path, PLAIN._replace(out_file="out.json.zst"))
    assert (tmp_path / "out.json.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    assert len(scenarios) == 10


def test_the_file_is_json_lines(tmp_path: Path) -> None:
    generate(tmp_path, PLAIN)
    lines = [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()]
    assert lines[:3] == [["a", "b", "c", "d"], ["a'"], []]
    assert lines[3][0] == ["a", [["a", "b", "c", "d"], ["a'"]], []]
    assert lines[3][2:] == [["d", [["a", "b", "c", "d", "a'"]], []]] * 7


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tests": 0}, "test_case.tests: 0 is too small"),
        ({"R": 0}, "test_case.R: 0 is too small"),
        ({"P": -1}, "test_case.P: -1 is too small"),
        ({"K": 0}, "test_case.K: 0 is too small"),
        ({"K": 6}, "test_case.K: 6 sets for 5 nodes"),
        ({"K": 4}, "test_case.K: no partition into 4 sets has a quorum"),
        ({"C": "x"}, "test_case.C: 'x' is no whole number"),
        ({"L": 1.5}, "test_case.L: 1.5 is no whole number"),
        ({"E": True}, "test_case.E: True is no whole number"),
        ({"N": 27}, "replicas: 27 is not between 1 and 26"),
        ({"F": -1}, "test_case.F: -1 is too small"),
        ({"F": 4}, "test_case.F: 4 leaves none of 4 replicas without a twin to lead the end"),
        ({"F": 0, "allow_non_faulty_leaders": False}, "test_case.F: 0, but only replicas with a twin may lead"),
        ({"random_leaders": 1}, "test_case.random_leaders: 1 is neither True nor False"),
        ({"out_file": "../x.json"}, "test_case.out_file: '../x.json' is no plain file name"),
        ({"out_file": ""}, "test_case.out_file: '' is no plain file name"),
        ({"out_file": 5}, "test_case.out_file: 5 is no plain file name"),
        ({"seed": "x"}, "test_case.seed: 'x' is no whole number"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "config.py"
    path.write_text(f"from testconfig import *\ntest_case = {PLAIN._replace(**change)!r}\n")
    with pytest.raises(InputError) as error:
        generate_file(path, tmp_path / "out")
    assert str(error.value) == f"{path}: {complaint}"
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1", ": test_case: is not defined"),
        ("test_case = 5", ": test_case: 5 is no GenConfig"),
        ("test_case = GenConfig(1, 2)", ", line 2: TypeError: "),
        ("test_case = GenConfig(*range(17))", ", line 2: TypeError: "),
    ],
)
def test_a_wrong_configuration_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "config.py"
    path.write_text(f"from testconfig import *\n{text}\n")
    with pytest.raises(InputError) as error:
        generate_file(path, tmp_path)
    assert str(error.value).startswith(f"{path}{complaint}")
