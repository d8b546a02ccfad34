"""What is said of a core, by whether it was checked, and by what walks and the executor make of it."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from diembft.consensus.block_tree import BlockTree
from diembft.errors import InputError
from diembft.protocols.states import Summary
from diembft.twins.exhaustion import deciding
from diembft.twins.exhaustion.core_records import CheckedQuestion, CoreRecord
from diembft.twins.exhaustion.cores import Core
from diembft.twins.exhaustion.deciding import explore
from diembft.twins.exhaustion.decision import FoundBy, Outcome
from diembft.twins.exhaustion.engine import Engine, GlobalState
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, SearchEnding
from diembft.twins.runs.group import Group
from diembft.twins.runs.world import Fault

FEW = Question("barrier", quorum_filter=True, twins_lead=True)

CHECKED = CheckedQuestion(
    model="barrier",
    options={"sets": 3},
    states=364,
    rounds=8,
    ended="fixed point",
    walks=3,
    steps=600_000,
    seeds=(0,),
    brute_force_rounds=2,
    brute_force_states=444,
    pairs=40,
)
RECORD = CoreRecord(protocol="diembft", digest="3f2a" * 8, files={}, questions=(CHECKED,), python="3.11.7")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    core = Core("diembft", RECORD.digest, RECORD, "")
    monkeypatch.setattr(deciding, "core_of", lambda protocol, bugs: core)
    monkeypatch.setattr(deciding, "digest_here", lambda protocol: RECORD.digest)


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch) -> None:
    core = Core("diembft", "00" * 16, None, "consensus/block_tree.py differs")
    monkeypatch.setattr(deciding, "core_of", lambda protocol, bugs: core)


@pytest.mark.usefixtures("recorded")
class TestARecordedCore:
    def test_is_one_in_the_models_that_it_was_checked_in_alone(self) -> None:
        question = msgspec.structs.replace(FEW, model="lazy")
        decision = explore(question, limits=Limits(rounds=1), walk_seconds=0)
        assert decision.core.record is None
        assert "Nothing is proved for any length" in decision.statement()
        assert "(it was checked in barrier, not in lazy)" in decision.statement()

    def test_holds_for_any_length_at_a_fixed_point(self) -> None:
        decision = explore(FEW)
        assert decision.holds_for_any_length
        assert decision.statement().startswith("No scenario of any length violates agreement")
        assert "for core 3f2a3f2a3f2a, which is this code (recorded: 600,000 unreduced steps" in decision.statement()
        assert decision.walked is not None
        assert decision.walked.steps >= deciding.STEPS_OF_A_CHECKED_CORE

    def test_holds_as_far_as_the_search_went(self) -> None:
        decision = explore(FEW, limits=Limits(rounds=2))
        assert not decision.holds_for_any_length
        assert decision.statement().startswith("No scenario of up to 2 rounds violates agreement")

    def test_of_another_size_rests_on_the_argument(self) -> None:
        question = Question("barrier", replicas=5, quorum_filter=True, twins_lead=True)
        decision = explore(question, limits=Limits(rounds=1))
        assert "of another size; that it holds for this one rests on the argument" in decision.statement()

    def test_is_none_if_a_worker_runs_other_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deciding, "digest_here", lambda protocol: "ff" * 16)
        decision = explore(FEW)
        assert not decision.holds_for_any_length
        assert "not a checked one (a worker, or the search before a checkpoint, ran other code)" in decision.statement()


@pytest.mark.usefixtures("edited")
class TestAnotherCore:
    def test_has_nothing_proved_for_any_length(self) -> None:
        decision = explore(FEW, walk_seconds=1.0)
        assert decision.ending is SearchEnding.FIXED_POINT
        assert decision.outcome is Outcome.HOLDS
        assert not decision.holds_for_any_length
        statement = decision.statement()
        assert "No scenario of any length" not in statement
        assert statement.startswith(
            "Nothing is proved for any length: this core is not a checked one (consensus/block_tree.py differs). "
            f"The search closes at {decision.visited} states, if its key is right here. "
            "Without a key: "
        )
        assert decision.walked is not None
        assert f"{decision.walked.walks:,} walks of 24 rounds" in statement

    def test_walks_as_long_as_it_is_told_and_not_at_all_with_0(self) -> None:
        decision = explore(FEW, walk_seconds=0)
        assert decision.walked is None
        assert "no walks" in decision.statement()
        with pytest.raises(InputError, match="walk_seconds"):
            explore(FEW, walk_seconds=-1.0)

    def test_whose_key_fails_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise KeyError(7)

        monkeypatch.setattr(Engine, "summary", fail)
        decision = explore(FEW, walk_seconds=0.5)
        assert decision.outcome is Outcome.WRONG_KEY
        assert decision.statement().startswith(
            "The search's key is wrong for this code: KeyError: 7 (test_deciding.py:"
        )

    def test_whose_key_fails_later_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        summary = Engine.summary

        def fail(engine: Engine, state: GlobalState) -> Summary | None:
            if state.round == 3:
                raise KeyError(state.round)
            return summary(engine, state)

        monkeypatch.setattr(Engine, "summary", fail)
        decision = explore(FEW, walk_seconds=0.5)
        assert (decision.outcome, decision.ending) == (Outcome.WRONG_KEY, SearchEnding.KEY)
        assert decision.followed_rounds == 1


@pytest.mark.usefixtures("recorded")
def test_a_wrong_key_is_told_with_the_scenario_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "SHRINK_SECONDS", 2.0)
    monkeypatch.setattr(deciding, "STEPS_OF_A_CHECKED_CORE", 4000)
    decision = explore(Question("barrier", quorum_filter=True, bugs=("stale_leader",)))
    assert decision.outcome is Outcome.WRONG_KEY
    statement = decision.statement()
    assert statement.startswith("The search's key is wrong for this code: scenario: replicas=a,b,c,d twins=a'")
    assert "leads where it did not. Decided without a key: " in statement


def test_a_violation_is_told_as_the_executor_confirms_it() -> None:
    decision = explore(msgspec.structs.replace(FEW, bugs=("conflicting_votes",)))
    assert decision.outcome is Outcome.VIOLATED
    assert decision.counterexample is not None
    assert decision.counterexample.by is FoundBy.SEARCH
    assert decision.walked is None
    assert decision.statement().startswith("A scenario of 1 round violates ")
    assert "confirmed by the executor, and no shorter one does, in model barrier" in decision.statement()


def test_what_the_executor_does_not_confirm_is_our_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Group.check_certificates

    def object_to_all(group: Group) -> None:
        check(group)
        group.faults.append(Fault("agreement", "for no reason"))

    monkeypatch.setattr(Group, "check_certificates", object_to_all)
    decision = explore(FEW)
    assert decision.outcome is Outcome.UNCONFIRMED
    assert decision.found is None
    assert decision.statement().startswith("This is an error of diembft itself: the exploration says that scenario: ")


def edit(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, old: str, new: str) -> None:
    """Put another method in the place of one: its own source with a change."""
    function = getattr(owner, method)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1
    namespace = dict(function.__globals__)
    exec(source.replace(old, new), namespace)  # in the names of its module, as an edit of the file would be
    monkeypatch.setattr(owner, method, namespace[method])


def votes_across_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes for blocks on one parent are counted together, whatever their rounds, and never forgotten."""
    edit(
        monkeypatch,
        BlockTree,
        "bucket",
        "self.votes.get(vote.vote_info.round, {}).get(vote.ledger_commit_info, {})",
        "self.votes.get(0, {}).get(vote.vote_info.parent_id, {})",
    )
    edit(
        monkeypatch,
        BlockTree,
        "add_vote",
        "buckets.setdefault(vote.ledger_commit_info, {})",
        "self.votes.setdefault(0, {}).setdefault(vote.vote_info.parent_id, {})",
    )
    monkeypatch.setattr(BlockTree, "forget_votes", lambda tree, below: None)


def commit_takes_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pending blocks of rounds up to the committed one go along, ancestors or not."""
    edit(
        monkeypatch,
        BlockTree,
        "commit",
        "    for node in path:",
        "    if path:\n"
        "        last = path[-1]\n"
        "        others = [node for node in self.nodes.values() if node is not self.root and node is not last]\n"
        "        path = [*[node for node in others if node.block.round <= last.block.round], last]\n"
        "    for node in path:",
    )


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("change", [votes_across_rounds, commit_takes_others_along])
def test_walks_alone_catch_a_changed_core(
    change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the core were taken for the checked one."""
    change(monkeypatch)
    decision = explore(msgspec.structs.replace(FEW, twins_lead=False))
    assert decision.outcome in (Outcome.WRONG_KEY, Outcome.VIOLATED)
    assert decision.walked is not None
    assert decision.walked.difference is not None or decision.walked.found is not None
