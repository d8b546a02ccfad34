"""Twins scenarios by asking nodes: the same execution as anywhere else. Without the processes."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from diembft.consensus.effects import Broadcast, CancelTimer, Effect, SetTimer
from diembft.consensus.events import Received, Started, Timer, TimerFired
from diembft.distalgo.stepping import Answer, decode_effects, decode_event, encode
from diembft.distalgo.twins_scenarios import (
    RunTerms,
    TwinsNode,
    decode_scenario,
    encode_scenario,
    execute,
    read_job,
)
from diembft.errors import InputError
from diembft.messages.types import Relay
from diembft.twins.runs import judging
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.scenario_files import read_scenarios, write_scenarios

CONFIGS = Path("executor_configs")
FILES = sorted([*CONFIGS.glob("*.py"), *CONFIGS.glob("must_fail/*.py")])


def terms(**changes: object) -> RunTerms:
    return RunTerms(None, False, "ed25519", Path(), 60.0)._replace(**changes)  # type: ignore[arg-type]  # by name


class Nodes:
    """Nodes in this process."""

    def __init__(self, scenario: Scenario, limit: int = 1 << 60) -> None:
        self.nodes = [TwinsNode() for _ in scenario.nodes]
        self.asked = 0
        self.limit = limit
        for number, node in enumerate(self.nodes):
            node.begin(number, encode_scenario(scenario), "ed25519")

    def ask(self, node: int, question: str, data: bytes) -> Answer:
        self.asked += 1
        if self.asked == self.limit:
            raise TimeoutError
        return self.nodes[node].answer(question, data)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_verdict_is_that_of_the_simulator(file: Path) -> None:
    for scenario in read_scenarios(file):
        nodes = Nodes(scenario)
        result = execute(terms(), scenario, nodes.ask)
        judgement = judging.run(scenario, crypto="ed25519")
        assert result.violated == {finding.oracle: finding.detail for finding in judgement.violations}
        assert result.undecided == judgement.undecided
        assert result.ending == judgement.ending.value
        assert nodes.asked > 30


def test_every_case_ends_as_expected() -> None:
    for file in CONFIGS.glob("*.py"):
        for scenario in read_scenarios(file):
            result = execute(terms(), scenario, Nodes(scenario).ask)
            assert result.as_expected, result.told
            assert result.told.startswith(f"PASS {scenario.name}: ")
            assert ("violated as expected" in result.told) == bool(scenario.bugs)


def test_what_is_not_as_expected_fails() -> None:
    (scenario,) = read_scenarios(CONFIGS / "must_fail" / "too_many_twins.py")
    result = execute(terms(), scenario, Nodes(scenario).ask)
    assert not result.as_expected
    assert result.told.startswith("FAIL two_histories: violated and should not be\n  agreement: ")
    assert execute(terms(expect="violation"), scenario, Nodes(scenario).ask).as_expected
    _, without = read_scenarios(CONFIGS / "conflicting_votes_bug.py")
    result = execute(terms(expect="violation"), without, Nodes(without).ask)
    assert result.told == "FAIL without_bug: held and should be violated"


def test_the_limit_on_real_time_ends_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    _, scenario = read_scenarios(CONFIGS / "conflicting_votes_bug.py")
    clock = iter(range(100_000))
    monkeypatch.setattr("diembft.distalgo.twins_scenarios.monotonic", lambda: float(next(clock)))
    nodes = Nodes(scenario)
    result = execute(terms(), scenario, nodes.ask)
    assert nodes.asked == 30  # seconds, of the clock that goes on by one whenever it is looked at
    assert result.ending == "timed out"
    assert not result.violated
    assert "liveness_bound" in result.undecided
    assert not result.as_expected
    assert result.told == "FAIL without_bug: held, but liveness, which it promises, is undecided (timed out)"


def test_a_node_that_does_not_answer_is_no_verdict() -> None:
    _, scenario = read_scenarios(CONFIGS / "conflicting_votes_bug.py")
    with pytest.raises(TimeoutError):
        execute(terms(), scenario, Nodes(scenario, limit=40).ask)


def test_events_and_effects_as_bytes() -> None:
    for event in (Started(), TimerFired(Timer.FETCH, 7), Received(2, Relay(3, ()))):
        assert decode_event(encode([event])) == event
    effects: list[Effect] = [Broadcast(Relay(3, ())), SetTimer(Timer.ROUND, 0.5, 4), CancelTimer(Timer.REST)]
    assert decode_effects(encode(effects)) == effects
    assert decode_effects(encode([])) == []


def test_scenarios_as_bytes() -> None:
    for file in FILES:
        for scenario in read_scenarios(file):
            assert decode_scenario(encode_scenario(scenario)) == scenario


def test_the_command_line(tmp_path: Path) -> None:
    file = str(CONFIGS / "small_quorum_bug.py")
    runs = ["--runs", str(tmp_path)]
    job = read_job([file, *runs])
    assert [scenario.name for scenario in job.scenarios][::2] == ["progress_with_bug", "equivocation_with_bug"]
    assert job.nodes == 5
    assert job.terms == RunTerms(None, False, "ed25519", tmp_path / "small_quorum_bug-1", job.terms.bound_s)
    assert job.terms.bound_s > 4 * 30
    job = read_job([file, *runs, "--first", "1", "--count", "2", "--bug", "gap_commit", "--undelivered", "delay"])
    assert [(scenario.name, scenario.bugs) for scenario in job.scenarios] == [
        ("progress_without_bug", ("gap_commit",)),
        ("equivocation_with_bug", ("gap_commit",)),
    ]
    assert job.terms.delayed


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "barrier"}, "model: 'barrier' is for the simulator alone: processes have messages and timers"),
        ({"bugs": ("nothing",)}, "bugs: 'nothing' is none of conflicting_votes, "),
    ],
)
def test_what_does_not_run_here_is_refused(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    (_, scenario) = read_scenarios(CONFIGS / "conflicting_votes_bug.py")
    file = tmp_path / "some.jsonl"
    write_scenarios(file, [structs.replace(scenario, **changes)])
    with pytest.raises(InputError) as refusal:
        read_job([str(file), "--runs", str(tmp_path / "runs")])
    assert str(refusal.value).startswith(f"{file}: without_bug: {complaint}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "testexec.da: the following arguments are required: FILE"),
        (["nothing.py"], "nothing.py: No such file or directory"),
        (["executor_configs/gap_commit_bug.py", "--first", "2"], "--first: 2, but there are 2 scenarios"),
        (["executor_configs/gap_commit_bug.py", "--first", "-1"], "--first, --count: must not be negative"),
        (["executor_configs/gap_commit_bug.py", "--count", "0"], "--first, --count: must not be negative"),
        (["executor_configs/gap_commit_bug.py", "--bug", "none"], "argument --bug: invalid choice: 'none'"),
        (["executor_configs/gap_commit_bug.py", "--unknown"], "testexec.da: unrecognized arguments: --unknown"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        read_job([*arguments, "--runs", str(tmp_path)])
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
