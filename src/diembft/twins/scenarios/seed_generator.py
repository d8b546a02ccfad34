"""The seed's generator: a ``GenConfig`` becomes a file of scenarios, the same bytes each time.

What the fields of ``testconfig.GenConfig`` mean, in the order in which they act:

1. *Partitions*: of the ways to split the nodes into exactly ``K`` sets, none empty (and, unless
   ``allow_quorumless_partitions``, with a set that holds a quorum of distinct replicas), ``P`` are taken: the first
   ones (``partitions`` gives the order) or, with ``random_partitions``, drawn without repetition.
2. *Leaders*: of all replicas, or of those with a twin unless ``allow_non_faulty_leaders``, ``L`` are taken: the first
   ones or, with ``random_leaders``, drawn.
3. *Exceptions*: for each partition ``E`` sets of messages dropped within its sets are taken. The first is empty, so
   that ``E = 1`` means no drops. The others are the smallest or, with ``random_configurations``, drawn, with 1 to
   ``E`` drops each. An end of a drop may be ``_``, any node.
4. *Configurations* of a round: of all triples of these, the exceptions changing fastest, then the leaders, ``C`` are
   taken: the first ones or, with ``random_configurations``, drawn.
5. *Scenarios*: of all sequences of ``R`` configurations, the last round changing fastest, ``tests`` are taken: the
   first ones or, with ``random_configurations``, drawn without repetition.

``N`` replicas, of which the first ``F`` have a twin. Seven synchronous rounds led by the last replica follow. Where
fewer exist than are asked for, all are taken. All draws come from ``seed``.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Final, NamedTuple

from diembft.errors import InputError
from diembft.testcase.wording import shown
from diembft.twins.scenarios import scenario_files
from diembft.twins.scenarios.partitions import Partitions, subset_count, unrank_subset
from diembft.twins.scenarios.python_files import run_file
from diembft.twins.scenarios.scenario import (
    ANY,
    MESSAGE_TYPES,
    SUFFIX_ROUNDS,
    Drop,
    NodeSets,
    Round,
    replica_names,
    whole_round,
)
from diembft.twins.scenarios.shape import MOST
from diembft.twins.scenarios.shuffle import Shuffle
from diembft.twins.scenarios.testconfig import GenConfig

GENERATED: Final = Path("generated_tests")
"""The folder for generated files, below the current one."""


class Generated(NamedTuple):
    """What was generated: the file, the scenarios in it, and how many the configuration describes in all."""

    path: Path
    written: int
    possible: int


def generate_file(config_path: Path, folder: Path = GENERATED) -> Generated:
    """Generate the scenarios of a configuration file. ``InputError`` names the file, the field and the value."""
    test_case = run_file(config_path).get("test_case")
    try:
        config = check_config(test_case)
        path = folder / config.out_file
        with scenario_files.output(path) as file:
            counts = _write(config, file)
    except InputError as error:
        raise InputError(f"{config_path}: {error}") from None
    return Generated(path, *counts)


MOST_DRAWN: Final = 1_000_000
"""Of partitions, leaders, exceptions and configurations, at most: they are kept in memory."""

MOST_OF: Final = {"R": MOST, "tests": 10_000_000}


def check_config(config: object) -> GenConfig:
    """The configuration, if every field of it makes sense; ``InputError`` otherwise."""
    if not isinstance(config, GenConfig):
        raise InputError(f"test_case: {'is not defined' if config is None else f'{shown(config)} is no GenConfig'}")
    for field, value in config._asdict().items():
        match field:
            case "out_file":
                if not isinstance(value, str) or value in ("", ".", "..") or Path(value).name != value:
                    raise InputError(f"test_case.out_file: {shown(value)} is no plain file name")
            case _ if field.startswith(("random", "allow")):
                if not isinstance(value, bool):
                    raise InputError(f"test_case.{field}: {shown(value)} is neither True nor False")
            case _:
                if not isinstance(value, int) or isinstance(value, bool):
                    raise InputError(f"test_case.{field}: {shown(value)} is no whole number")
                if field != "seed" and value < (0 if field == "F" else 1):
                    raise InputError(f"test_case.{field}: {value} is too small")
                if field != "seed" and value > MOST_OF.get(field, MOST_DRAWN):
                    raise InputError(f"test_case.{field}: {value} is more than {MOST_OF.get(field, MOST_DRAWN):,}")
    replica_names(config.N)
    if config.F >= config.N:
        raise InputError(f"test_case.F: {config.F} leaves none of {config.N} replicas without a twin to lead the end")
    if config.F == 0 and not config.allow_non_faulty_leaders:
        raise InputError("test_case.F: 0, but only replicas with a twin may lead")
    if config.K > config.N + config.F:
        raise InputError(f"test_case.K: {config.K} sets for {config.N + config.F} nodes")
    return config


def configurations(config: GenConfig) -> list[Round]:
    """The configurations of a round that scenarios are made of: steps 1 to 4."""
    replicas = replica_names(config.N)
    nodes = replicas + tuple(f"{name}'" for name in replicas[: config.F])
    ways = Partitions(
        config.N,
        config.F,
        min_sets=config.K,
        max_sets=config.K,
        quorum=0 if config.allow_quorumless_partitions else config.N - (config.N - 1) // 3,
    )
    if ways.count == 0:
        raise InputError(f"test_case.K: no partition into {config.K} sets has a quorum")
    eligible = replicas if config.allow_non_faulty_leaders else replicas[: config.F]
    leaders = [eligible[i] for i in _take(len(eligible), config.L, config.random_leaders, f"{config.seed}/leaders")]
    rounds: list[Round] = []
    for rank in _take(ways.count, config.P, config.random_partitions, f"{config.seed}/partitions"):
        groups = ways.groups(ways.unrank(rank)[0])
        partition = tuple(tuple(nodes[node] for node in group) for group in groups)
        drop_sets = _drop_sets(config, partition, f"{config.seed}/drops/{rank}")
        rounds += [Round(leader, partition, drops) for leader, drops in product(leaders, drop_sets)]
    chosen = _take(len(rounds), config.C, config.random_configurations, f"{config.seed}/configurations")
    return [rounds[i] for i in chosen]


def scenario_numbers(config: GenConfig, choices: int) -> Iterator[int]:
    """The scenarios taken in step 5, as numbers whose digits in base ``choices`` are the configurations."""
    return _take(choices**config.R, config.tests, config.random_configurations, f"{config.seed}/scenarios")


def _write(config: GenConfig, file: scenario_files.Output) -> tuple[int, int]:
    """Write the whole file; how many scenarios were written, and how many are possible."""
    replicas = replica_names(config.N)
    twins = tuple(f"{name}'" for name in replicas[: config.F])
    rounds = [scenario_files.encode_round(round_) for round_ in configurations(config)]
    end = b",".join([scenario_files.encode_round(whole_round(replicas, twins, replicas[-1]))] * SUFFIX_ROUNDS)
    file.write(scenario_files.encode_seed_header(replicas, twins))
    written = 0
    for number in scenario_numbers(config, len(rounds)):
        digits = []
        for _ in range(config.R):
            number, digit = divmod(number, len(rounds))
            digits.append(digit)
        file.write(b"[" + b",".join([*(rounds[digit] for digit in reversed(digits)), end]) + b"]\n")
        written += 1
    return written, len(rounds) ** config.R


def _take(total: int, wanted: int, at_random: bool, seed: str) -> Iterator[int]:
    """``wanted`` of the numbers below ``total``, or all: the first ones, or drawn without repetition."""
    numbers = range(min(total, wanted))
    return map(Shuffle(total, seed).__getitem__, numbers) if at_random else iter(numbers)


def _drop_sets(config: GenConfig, partition: NodeSets, seed: str) -> list[tuple[Drop, ...]]:
    """``E`` sets of drops within the sets of a partition, the first of them empty."""
    possible = list(_drops_within(partition))
    if not config.random_configurations:
        count = min(config.E, subset_count(len(possible), len(possible)))
        return [tuple(possible[i] for i in unrank_subset(len(possible), rank)) for rank in range(count)]
    sets: list[tuple[Drop, ...]] = [()]
    for number in range(1, config.E if possible else 1):
        size = 1 + Shuffle(config.E, f"{seed}/{number}/size")[0]
        members = islice(Shuffle(len(possible), f"{seed}/{number}"), min(size, len(possible)))
        sets.append(tuple(possible[i] for i in sorted(members)))
    return sets


def _drops_within(partition: Sequence[Sequence[str]]) -> Iterator[Drop]:
    """Each exception that can say something: between two nodes of one set, or one of them and any node."""
    for group in partition:
        for src, dst, kind in product((*group, ANY), (*group, ANY), MESSAGE_TYPES):
            if src != dst and len(group) > 1:
                yield Drop(src, dst, kind)
