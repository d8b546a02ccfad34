"""What a replica does ends: exceptions, endless loops, too many effects and endless talk are findings of `crash`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from diembft.consensus.replica import Replica
from diembft.judge.verdict import Finding, Verdict
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.trace.records import Crashed
from diembft.twins.runs import steps, watchdog
from diembft.twins.runs.judging import Judgement, run
from diembft.twins.runs.prefixes import PrefixRuns
from diembft.twins.runs.record import Ending
from diembft.twins.runs.steps import StepFailed, guarded, most_steps, step
from diembft.twins.runs.tracing import traced
from diembft.twins.runs.watchdog import hurried
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import parse_scenario
from tests.twins.edits import FAILING, endless, fail, timers_without_delay

LIMIT_S = 0.3


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "MAX_SECONDS", LIMIT_S)
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.05)
    watchdog.forget()


def scenario(model: str = "", first: str = "a leads a,b,c,d,a'") -> Scenario:
    text = (
        f"scenario: replicas=a,b,c,d twins=a' gst=3 {model}; 1: {first}; 2: b leads a,b,c|d,a'; 3: c leads a,b,c,d,a'"
    )
    return parse_scenario(f"{text}; 4-9: d leads a,b,c,d,a'")


def crash(judgement: Judgement) -> Finding:
    (found,) = [finding for finding in judgement.findings if finding.oracle == "crash"]
    return found


class Stub:
    """A replica that does what it is told."""

    current_round = 1

    def __init__(self, does: Any) -> None:
        self.does = does

    def step(self, event: Any) -> Sequence[Any]:
        effects: Sequence[Any] = self.does()
        return effects

    def fork(self) -> Stub:
        return self


def failure_of(does: Any, event: Any = Started()) -> str:  # noqa: B008  # a value
    with pytest.raises(StepFailed) as failed:
        step(Stub(does), event)
    return failed.value.what


# --- one step


def test_what_a_step_returns_is_what_one_gets() -> None:
    assert step(Stub(lambda: [1, 2]), Started()) == [1, 2]
    assert len(step(Stub(lambda: [1] * steps.MAX_EFFECTS), Started())) == steps.MAX_EFFECTS


def test_an_exception_is_told_in_one_line_with_its_place_in_the_code_of_the_replica() -> None:
    def deeper() -> None:
        raise KeyError((7, 8))

    def does() -> None:
        deeper()

    what = failure_of(does, Received(0, "hello"))
    assert what.startswith("KeyError: (7, 8) (test_steps.py:")
    assert " in deeper, test_steps.py:" in what
    assert what.endswith(" in does) at Received(str)")


def test_what_is_told_is_short_whatever_the_exception_says() -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise ValueError

    def many_words() -> None:
        raise ValueError("word\n" * 1000)

    def no_words() -> None:
        raise Wordless

    def leaves() -> None:
        raise SystemExit(3)

    assert "\n" not in failure_of(many_words)
    assert len(failure_of(many_words)) < 250
    assert failure_of(no_words, TimerFired(Timer.ROUND, 4)).startswith("Wordless (test_steps.py:")
    assert failure_of(no_words, TimerFired(Timer.ROUND, 4)).endswith("at TimerFired(ROUND, 4)")
    assert failure_of(leaves).startswith("SystemExit: 3")


def test_what_the_library_raises_is_told_where_the_replica_called_it() -> None:
    def does() -> None:
        os.makedirs("\0")

    assert failure_of(does).startswith("ValueError: ")
    assert "(test_steps.py:" in failure_of(does)


def test_interrupts_are_none_of_its_business() -> None:
    def does() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step(Stub(does), Started())


@pytest.mark.parametrize("many", [steps.MAX_EFFECTS + 1, 20_000])
def test_a_step_has_so_many_effects_at_most(many: int) -> None:
    assert failure_of(lambda: [None] * many) == f"a step has {many:,} effects, more than 10,000, at Started"


def test_what_is_no_sequence_is_no_list_of_effects() -> None:
    assert failure_of(lambda: iter([])) == "a step returns list_iterator, which is no sequence, at Started"


def test_a_step_that_never_ends_is_ended() -> None:
    assert failure_of(endless).startswith("takes longer than 0.3 s (edits.py:")
    assert " in endless, " in failure_of(endless)


def test_a_step_that_swallows_exceptions_is_ended_too() -> None:
    def does() -> None:
        while True:
            try:
                endless()
            except Exception:
                continue

    assert failure_of(does).startswith("takes longer than ")


def test_a_step_that_swallows_everything_once_is_told_again() -> None:
    def does() -> None:
        try:
            endless()
        except BaseException:
            endless()

    assert failure_of(does).startswith("takes longer than ")


def test_one_that_ends_after_all_is_no_better_and_the_next_is_none_the_worse() -> None:
    """The exception that was meant for it does not come later."""

    def does() -> list[int]:
        try:
            endless()
        except BaseException:
            return [1]

    for _ in range(2):
        assert step(Stub(does), Started()) == [1]  # it dealt with it in time
        for number in range(10_000):
            assert step(Stub(lambda number=number: [number]), Started()) == [number]


def test_an_attempt_that_came_to_nothing_changes_nothing() -> None:
    """The thread that looks had taken notice, and then the step was over."""

    def does(number: int) -> int:
        watchdog._watchdog.watch().attempts += 1
        watchdog._watchdog.watch().settled += 1
        return number

    assert guarded("nothing", does, 7) == 7
    assert watchdog._watchdog.watch().absorbed == watchdog._watchdog.watch().attempts


def test_whenever_it_comes_it_is_told_of_its_own_step_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that end just as they are ended, some earlier, some later."""
    monkeypatch.setattr(watchdog, "MAX_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.0005)

    def work(length: int) -> list[int]:
        return [number for number in range(length) if number < 0]

    ended = 0
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        for length in [*range(0, 60_000, 100)] * 20:
            try:
                assert step(Stub(lambda length=length: work(length)), Started()) == []
            except StepFailed as failed:
                ended += failed.what.startswith("takes longer than 0 s")
            if ended == 50:
                return
    finally:
        sys.setswitchinterval(interval)
    raise AssertionError(f"only {ended} steps were ended")


def test_each_thread_has_its_own_time() -> None:
    told: list[str] = []

    def work(does: Any) -> None:
        try:
            step(Stub(does), Started())
            told.append("done")
        except StepFailed as failed:
            told.append(failed.what[:18])

    jobs: list[Any] = [endless, list, endless]
    threads = [threading.Thread(target=work, args=(does,)) for does in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["done", "takes longer than ", "takes longer than "]


def test_what_was_caught_once_is_hurried_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "HURRIED_SECONDS", 0.1)
    assert failure_of(endless).startswith("takes longer than 0.3 s")
    assert failure_of(endless).startswith("takes longer than 0.1 s")
    watchdog.forget()
    with hurried():
        assert failure_of(endless).startswith("takes longer than 0.1 s")
    watchdog.forget()
    assert failure_of(endless).startswith("takes longer than 0.3 s")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_process_somebody_looks_too() -> None:
    assert step(Stub(list), Started()) == []
    child = os.fork()
    if not child:
        try:
            os._exit(7 if failure_of(endless).startswith("takes longer") else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# --- scenarios


MODELS = ("", "model=barrier", "model=two-phase", "model=lazy")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", [name for name in FAILING if name != "answers_answers"])
def test_a_node_that_fails_is_a_finding_wherever_it_is_executed(
    name: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, name)
    judgement = run(scenario(model))
    found = crash(judgement)
    assert found.verdict is Verdict.VIOLATED
    assert judgement.violations == (found,)
    assert judgement.ending is Ending.FAILED
    assert found.nodes == (("a",) if name == "cannot_start" else ("c",))
    assert found.round == (None if name == "cannot_start" else 2)
    assert found.detail.startswith(f"{found.nodes[0]}: ")
    assert {"liveness_commit", "liveness_bound"} <= set(judgement.undecided)
    told = {
        "raises": "c: KeyError: 7 (edits.py:",
        "never_ends": "c: takes longer than 0.3 s (edits.py:",
        "has_many_effects": "c: a step has 20,00",
        "cannot_start": "a: ValueError: what was expected (edits.py:",
    }
    assert found.detail.startswith(told[name])
    assert found.detail.endswith("at Started" if name == "cannot_start" else "at Received(VoteMsg)")


@pytest.mark.parametrize("name", ["raises", "has_many_effects", "cannot_start"])
def test_prefixes_that_are_shared_say_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, name)
    shared = PrefixRuns()
    others = [scenario(), scenario(first="b leads a,b,c,d,a'"), scenario(first="a leads a,b|c,d,a'"), scenario()]
    assert [shared.run(one) for one in others] == [run(one) for one in others]
    assert crash(shared.run(others[0])).verdict is Verdict.VIOLATED
    assert shared.trees


def test_what_was_well_before_it_failed_is_judged_up_to_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two histories come first, then a node fails."""
    text = "scenario: replicas=a,b,c,d twins=a',b' gst=1; 1: a leads a,b,c|a',b',d; 2-4: a leads a,b,c|a',b',d"
    before = {finding.oracle for finding in run(parse_scenario(text)).violations}
    assert "certified_uniqueness" in before

    original = Replica.step

    def raises(replica: Replica, event: Any) -> Any:
        if replica.current_round >= 3:
            raise RuntimeError
        return original(replica, event)

    monkeypatch.setattr(Replica, "step", raises)
    judgement = run(parse_scenario(text))
    assert {finding.oracle for finding in judgement.violations} >= {"certified_uniqueness", "crash"}


@pytest.mark.parametrize("model", MODELS[1:])
def test_nodes_that_answer_answers_for_ever_are_a_finding(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_EFFECTS", 200)
    fail(monkeypatch, "answers_answers")
    found = crash(run(scenario(model)))
    assert found.verdict is Verdict.VIOLATED
    assert "messages do not end: a phase of round 1 takes more than 1,250 steps" in found.detail


def test_in_virtual_time_they_end_with_the_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, "answers_answers")
    judgement = run(scenario())
    assert crash(judgement).verdict is Verdict.HELD
    assert judgement.ending is Ending.COMPLETE


def test_virtual_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_EFFECTS", 200)
    monkeypatch.setattr(Replica, "step", timers_without_delay)
    found = crash(run(scenario(first="a leads a,b|c,d,a'")))
    assert found.verdict is Verdict.VIOLATED
    assert found.detail.endswith(f"messages do not end: a moment takes more than {most_steps(5, 1):,} steps")


@pytest.mark.parametrize("model", MODELS[:2])
def test_one_that_cannot_come_up_again_is_a_finding(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from diembft.protocols.diembft.system import DiemBftSystem

    def node(self: DiemBftSystem, node: int, recovered: Any = None) -> Replica:
        if recovered is not None:
            raise OSError("nothing on disk")
        return self._new[node].fork()

    monkeypatch.setattr(DiemBftSystem, "node", node)
    text = f"scenario: replicas=a,b,c,d twins=a' gst=2 {model}; 1: b leads a,b,c,d,a'"
    text += "; 2: b leads a,b,c,d,a' crash=c restart=c; 3-9: d leads a,b,c,d,a'"
    found = crash(run(parse_scenario(text)))
    assert found.detail.startswith("c: OSError: nothing on disk (test_steps.py:")
    assert found.detail.endswith("at a restart")


def test_a_copy_that_cannot_be_made_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Replica.fork

    def fork(self: Replica) -> Replica:
        if self.current_round >= 2:
            raise TypeError("no copy")
        return original(self)

    monkeypatch.setattr(Replica, "fork", fork)
    found = crash(run(scenario("model=barrier")))
    assert found.detail.startswith("a: TypeError: no copy")
    assert found.detail.endswith("at fork")


@pytest.mark.parametrize("model", MODELS)
def test_the_trace_says_who_stopped_and_why(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, "raises")
    judgement, records = traced(scenario(model))
    assert [record.node for record in records if isinstance(record, Crashed)] == ["c"]
    assert judgement == run(scenario(model))
