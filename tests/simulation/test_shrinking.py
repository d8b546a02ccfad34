"""Random runs made as small as they get, what they must keep to, and their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from diembft.client.client import Flood, Timed
from diembft.consensus.config import Config
from diembft.errors import InputError
from diembft.faults.registry import plant
from diembft.simulation.drawing import TWIN, DrawnClient, draw_run
from diembft.simulation.fuzz import run_drawn
from diembft.simulation.fuzzed import FORMAT, MOST_BYTES, read_case, write_case
from diembft.simulation.network import Conditions, Constant
from diembft.simulation.promise import problem_of
from diembft.simulation.reductions import REDUCTIONS, sizes
from diembft.simulation.schedule import Crash, Heal, Partition, Pause, Stabilise
from diembft.simulation.shrinking import Case, shrink_case
from diembft.simulation.simulator import Simulator
from diembft.trace.records import Violated

FOUND = [("conflicting_votes", 5), ("count_messages", 0), ("forgets_on_restart", 0), ("unsigned_certificates", 14)]
"""Planted bugs, each with a run of seed 1 that shows it."""


def case_of(bug: str, index: int) -> Case:
    return Case(run=draw_run(1, index), bugs=(bug,))


def violated(case: Case) -> tuple[Violated, ...]:
    return run_drawn(case.run, bugs=plant(case.bugs), crypto=case.crypto).violations


@pytest.mark.parametrize(("bug", "index"), FOUND)
def test_the_smallest_run_violates_the_same_and_has_less_of_all(bug: str, index: int, tmp_path: Path) -> None:
    case = case_of(bug, index)
    shrunk = shrink_case(case)
    assert shrunk.complete
    assert shrunk.violation.property == violated(case)[0].property
    assert shrunk.violation in violated(shrunk.case)
    before, after = sizes(case.run), sizes(shrunk.case.run)
    assert all(after[name] <= before[name] for name in before)
    assert sum(after.values()) < sum(before.values())
    assert problem_of(shrunk.case.run) is None
    assert shrink_case(case) == shrunk
    again = shrink_case(shrunk.case)
    assert (again.case, again.violation) == (shrunk.case, shrunk.violation)
    write_case(tmp_path / "small.json", shrunk.case, shrunk.violation)
    read = read_case(tmp_path / "small.json")
    assert read.case == shrunk.case
    assert (read.violates, read.detail) == (shrunk.violation.property, shrunk.violation.detail)
    assert violated(read.case) == violated(shrunk.case)


def test_bugs_that_have_no_part_in_it_go() -> None:
    case = replace(case_of("conflicting_votes", 5), bugs=("conflicting_votes", "late_replay"))
    assert shrink_case(case).case.bugs == ("conflicting_votes",)


def test_no_more_runs_are_made_than_allowed() -> None:
    made: list[int] = []
    shrunk = shrink_case(case_of("count_messages", 0), most=10, watch=lambda so_far: made.append(so_far.executions))
    assert (shrunk.executions, shrunk.complete) == (10, False)
    assert made == list(range(2, 11))
    assert shrunk.violation in violated(shrunk.case)


def test_what_violates_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="scenario 0 of seed 1: violates nothing"):
        shrink_case(Case(run=draw_run(1, 0)))


def test_an_exception_is_the_same_if_it_is_of_the_same_kind_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four replicas one error is raised, of fewer another one: it stays with four."""
    run = Simulator.run

    def broken(simulator: Simulator, until_s: float = 0.0) -> None:
        run(simulator, until_s)
        if len(simulator.nodes) < 4:
            raise IndexError("of fewer")
        raise KeyError("of four and more")

    monkeypatch.setattr(Simulator, "run", broken)
    shrunk = shrink_case(Case(run=draw_run(1, 0)))
    assert shrunk.violation.detail.startswith("KeyError: ")
    assert shrunk.case.run.config.n == 4


def test_what_is_drawn_is_sound() -> None:
    for index in range(300):
        assert problem_of(draw_run(3, index)) is None, index


def test_all_that_comes_of_it_is_sound_and_smaller() -> None:
    for index in range(8):
        run = draw_run(1, index)
        before = sizes(run)
        for reduction in REDUCTIONS:
            for smaller in reduction(run):
                after = sizes(smaller)
                assert smaller != run
                assert problem_of(smaller) is None
                assert all(after[name] <= before[name] for name in before), (index, reduction)


def test_what_does_not_keep_to_the_promise_is_seen() -> None:
    run = draw_run(1, 5)
    promise, wild = run.schedule[-1], Conditions(latency=Constant(0.05), loss=0.1)
    n = 4
    config = Config(n=n, delta_s=0.1)
    small = replace(
        run, config=config, byzantine=(), strays=(), clock_rates=(1.0,) * n, before=Conditions(), schedule=(promise,)
    )
    assert problem_of(small) is None
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"before": wild}, "leaves the network with losses"),
        ({"schedule": ()}, "does not end with the promise"),
        ({"schedule": (Stabilise(0.0, 0.1),)}, "does not end with the promise"),
        ({"schedule": (Crash(0.1, 0), promise)}, "leaves node 0 down"),
        ({"schedule": (Pause(0.1, 1), promise)}, "leaves node 1 paused"),
        ({"schedule": (Crash(0.1, n), promise)}, f"there is no node {n}"),
        ({"schedule": (Partition(0.1, ((0, 1),)), promise)}, "leaves the network parted"),
        ({"schedule": (Heal(run.gst_s + 0.01), promise)}, "is after GST"),
        ({"schedule": (Heal(1.0), Heal(0.5), promise)}, "not in the order of times"),
        ({"byzantine": ((0, TWIN), (1, TWIN))}, "more than f"),
        ({"byzantine": ((0, "nobody"),)}, "'nobody' is none of"),
        ({"byzantine": ((n, "silent"),)}, "different replicas from 0"),
        ({"clock_rates": (1.0,)}, "there are 4 nodes"),
        ({"clock_rates": (1.0, 1.0, 1.0, 0.0)}, "clock_rates: 0.0"),
        ({"clients": (DrawnClient(Timed((1.0,)), 5),)}, "do not lie between 5 requests"),
        ({"clients": (DrawnClient(Flood(), -1),)}, "clients.count: -1"),
        ({"before": Conditions(latency=Constant(0.0))}, "before.latency"),
        ({"gst_s": 1e9}, "gst_s"),
        ({"config": replace(config, delta_s=1.0)}, "config.delta_s"),
        ({"config": replace(config, n=10**6)}, "config.n"),
    ]
    for changes, said in wrong:
        assert said in str(problem_of(replace(small, **changes))), changes


def changed(*path: str | int, to: Any) -> Callable[[Any], Any]:
    def change(document: Any) -> Any:
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return document

    return change


def without(*path: str) -> Callable[[Any], Any]:
    def change(document: Any) -> Any:
        place = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        return document

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("format"), f"says no format, expected '{FORMAT}'"),
        (changed("format", to="diembft-trace"), "format: 'diembft-trace'"),
        (without("version"), "version: None"),
        (changed("version", to=2), "version: 2, expected 1: another diembft wrote it"),
        (changed("version", to="1"), "Expected `int"),
        (without("run"), "missing required field `run`"),
        (changed("run", to=[]), "Expected `object`, got `array` - at `$.run`"),
        (changed("bugs", to=["nope"]), "bugs: 'nope' is none of"),
        (changed("crypto", to="rsa"), "Invalid enum value 'rsa'"),
        (changed("extra", to=1), "extra: there is no such field"),
        (changed("run", "before", "los", to=0.5), "run.before.los: there is no such field"),
        (changed("run", "schedule", 0, "when", to=0.5), "run.schedule[0].when: there is no such field"),
        (changed("run", "before", "loss", to=2), "Conditions.loss: 2.0 is no probability"),
        (changed("run", "config", "n", to=0), "run.config: no system is like this, because a system has at least one"),
        (changed("run", "config", "n", to=10**30), ""),
        (changed("run", "config", "n", to=10), "run.clock_rates: "),
        (changed("run", "gst_s", to=-1), "run.gst_s: -1.0 is not from 0 to 100"),
        (changed("run", "schedule", to=[]), "run.schedule: does not end with the promise of synchrony"),
        (changed("run", "schedule", 0, "type", to="Earthquake"), "Earthquake"),
        (changed("run", "schedule", 0, "at_s", to=-1), "at_s: -1.0 is not between 0 and"),
        (lambda document: [document], "Expected `object`, got `array`"),
        (lambda document: 5, "Expected `object`, got `int`"),
    ],
)
def test_a_file_that_is_not_right_is_one_line(change: Callable[[Any], Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    case = case_of("unsigned_certificates", 14)
    write_case(file, case, Violated(1.0, "certificates", "one does not verify"))
    assert read_case(file).case == case
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(InputError) as raised:
        read_case(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is no file of `diembft fuzz --output`: Input data was truncated"),
        (b"hello", "is no file of `diembft fuzz --output`"),
        (b"\xff\xfe", "is no file of `diembft fuzz --output`"),
        (b'{"format": "', "is no file of `diembft fuzz --output`"),
        (b"[" * 100_000, "is no file of `diembft fuzz --output`"),
        (b" " * (MOST_BYTES + 1), "is longer than"),
    ],
)
def test_a_file_that_is_none_is_one_line(text: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_bytes(text)
    with pytest.raises(InputError) as raised:
        read_case(file)
    assert str(raised.value).startswith(f"{file}: {said}")
    assert "\n" not in str(raised.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    write_case(file, case_of("conflicting_votes", 5), Violated(1.0, "agreement", "two blocks"))
    held = read_case(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_case(file) == held


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_case(tmp_path)
