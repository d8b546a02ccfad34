"""The mutation check: its list fits the sources and the tests, and a sample of it is run.

The whole of it: `python tools/mutation.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tools import mutation

ROOT = Path(__file__).parents[2]
MUTANTS = mutation.read_mutants(mutation.MUTANTS.read_text(encoding="utf-8"))

SAMPLE = (
    "safety: vote above highest_vote_round, not at it",
    "block tree: votes are counted as signers, not as messages",
    "pacemaker: a quorum makes a TC",
    "trap 4: a vote is durable before it leaves",
)


def test_every_part_of_the_protocol_is_in_the_list() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) > 200
    parts = {name.split(":")[0] for name in names}
    modules = {"main", "block tree", "safety", "certificates", "pacemaker", "leaders"}
    assert parts == modules | {"digests"} | {f"trap {number}" for number in range(1, 16)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_change_fits_the_source(mutant: mutation.Mutant) -> None:
    source = (ROOT / "src" / "diembft" / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1
    changed = source.replace(mutant.old, mutant.new)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    assert mutant.tests
    assert all((ROOT / "tests" / test.split("::")[0]).is_file() for test in mutant.tests)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_is_killed(name: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    outcome = mutation.check(mutant)
    assert outcome.killed, outcome.detail


def test_a_mutant_that_changes_nothing_survives() -> None:
    file = "consensus/quorums.py"
    first = (ROOT / "src" / "diembft" / file).read_text(encoding="utf-8").splitlines()[0]
    change = (f"-{first}", f"+{first} ")
    harmless = mutation.Mutant("harmless", file, ("consensus/test_quorums.py",), change)
    outcome = mutation.check(harmless)
    assert not outcome.killed
    assert outcome.detail.startswith("unnoticed")


def test_a_mutant_that_fits_nowhere_is_not_counted_as_killed() -> None:
    lost = mutation.Mutant("lost", "consensus/quorums.py", ("consensus/test_quorums.py",), ("-no such line", "+"))
    assert mutation.check(lost) == mutation.Outcome(lost, False, "its lines occur 0 times in consensus/quorums.py")
