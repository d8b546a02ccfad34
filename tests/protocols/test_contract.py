"""The contract of a protocol under test: what keeps it, and what each mistake is told as."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.errors import InputError
from diembft.protocols.by_name import BUILT_IN
from diembft.twins.runs import contract, watchdog
from diembft.twins.runs.contract_values import digest
from tests.protocols.broken_toys import AS_IT_IS, CHANGES, write

SAID = {
    "raises_on_import": "ValueError: invalid literal for int() with base 10: 'x' (raises_on_import.py:281 in <module>)",
    "imports_what_is_not_there": "No module named 'no_such_module_at_all' (imports_what_is_not_there.py:12 in <mod",
    "is_no_python": "(is_no_python.py:69)",
    "is_another_object": "is no protocol under test: it has no name, reading, kinds, chain, round_of, system",
    "has_another_name": "name: is 'elsewhere:IT', but it is found by 'has_another_name:STREAMLET'",
    "kinds_lacks_an_entry": "kinds: has no entry for Longer, which c at Received(Proposal) sends",
    "kinds_is_wrong": "kinds: <class 'kinds_is_wrong.Longer'>: 'answer' is not a type of messages with",
    "chain_is_text": "chain: '3' is no number of blocks, 1 or more",
    "system_raises": "system: OSError: no disk (system_raises.py:313 in system) at its making",
    "system_is_none": "system: gives None, which has no cast, leaders, delay_bound_s, node",
    "constructor_raises": "System.node: a: KeyError: 0 (constructor_raises.py:92 in __init__, con",
    "nodes_are_one": "System.node: gives the same object for several nodes",
    "step_raises": "a: AssertionError: no clock (step_raises.py:120 in step) at Started",
    "step_returns_none": "a: a step returns NoneType, which is no sequence, at Started",
    "step_returns_a_message": "a at Started returns a Vote, which is no effect: Send or Broadcast it",
    "step_is_endless": "takes longer than 0.3 s (step_is_endless.py:",
    "step_has_endless_effects": "a: a step has 10,004 effects, more than 10,000, at Started",
    "sends_to_nobody": "c at Received(Proposal) sends to 99, which is no replica",
    "round_goes_down": "current_round goes down from 4 to 0 at Received(Proposal)",
    "votes_tell_nothing": "reading.told: tells no vote of a Vote, which by kinds is a VOTE",
    "told_is_none": "reading.told: gives None for a Proposal, no Told",
    "requests_raise": "reading.requests: KeyError: 'a' (requests_raise.py:222 in requests) at Block",
    "requests_name_nobody": "reading.requests: gives [('me', 1, None)], not first (the name of a node",
    "messages_have_no_hash": "a at Started sends a Vote, which cannot be hashed: TypeError: unhashable type: 'Vote'",
    "random_in_a_block": "not deterministic: a, made anew and told the same, has other effects at Started",
    "clock_in_a_block": "not deterministic: a, made anew and told the same, has other effects at Started",
    "hash_in_a_block": "a has other effects at Started: does it use the order of a set, or hash()?",
    "order_of_a_set": "a has other effects at Started: does it use the order of a set, or hash()?",
    "fork_shares_state": "fork: a has other effects at Received(Vote) once a copy of it made steps: they share state",
    "fork_is_itself": "fork: a gives itself, no copy",
    "fork_raises": "fork: a: AttributeError: module 'copy' has no attribute 'copie' (fork_raises.py:105 in fork)",
    "order_raises": "exploring: AttributeError: 'Block' object has no attribute 'rounds' (order_raises.py:253",
}
SHOWS_IN_OTHER_PROCESSES = ("hash_in_a_block", "order_of_a_set")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(watchdog, "MAX_SECONDS", 0.3)
    return tmp_path


@pytest.mark.parametrize("name", CHANGES)
def test_each_mistake_is_one_line(name: str, folder: Path) -> None:
    found = write(folder, name)
    try:
        report = contract.report(contract.found(found), found, processes=name in SHOWS_IN_OTHER_PROCESSES)
        assert len(report.flaws) == (2 if name == "fork_raises" else 1)  # the model makes copies, too
        line = report.flaws[0].what
    except InputError as error:
        line = str(error)
    assert SAID[name] in line
    assert "\n" not in line


def test_the_toy_as_it_is_keeps_it(folder: Path) -> None:
    name = write(folder, AS_IT_IS)
    report = contract.report(contract.found(name), name, processes=True)
    assert not report.flaws
    assert list(report.checked) == list(contract.RULES)


@pytest.mark.parametrize("name", BUILT_IN)
def test_those_that_come_with_the_tester_keep_it(name: str) -> None:
    report = contract.report(contract.found(name), name)
    assert not report.flaws
    assert len(report.checked) == len(contract.RULES) - 1


def test_the_scenario_meets_all_kinds_of_messages_of_the_toy(folder: Path) -> None:
    received = {line.split("\t")[1] for line in contract.transcript(write(folder, AS_IT_IS))}
    assert received >= {"Received(Proposal)", "Received(Vote)", "Received(Longer)", "TimerFired(ROUND, 5)"}


def test_several_mistakes_are_told_at_once(folder: Path) -> None:
    name = write(folder, "has_two_mistakes")
    file = folder / "has_two_mistakes.py"
    file.write_text(
        file.read_text().replace("chain = 3", "chain = 0").replace("timed_rounds = True", "timed_rounds = 2")
    )
    with pytest.raises(contract.BrokenContract) as broken:
        contract.require(name)
    assert [line.partition("STREAMLET: ")[2] for line in broken.value.lines] == [
        "chain: 0 is no number of blocks, 1 or more",
        "timed_rounds: 2 is neither True nor False",
    ]


def test_a_digest_is_of_what_is_in_a_value_and_not_of_an_order() -> None:
    class Loose:
        def __init__(self, held: object) -> None:
            self.held = held

    assert digest([{3, 1, 2}, {"a": 1, "b": 2}]) == digest([{2, 3, 1}, {"b": 2, "a": 1}])
    assert digest((1, 2)) != digest((2, 1))
    assert digest(("ab", "c")) != digest(("a", "bc"))
    assert digest(Loose((1,))) == digest(Loose((1,))) != digest(Loose((2,)))
    assert digest(1) != digest("1")
