"""Planted bugs become the classes that a replica is made of."""

from __future__ import annotations

import pytest

from diembft.consensus.kit import CORRECT
from diembft.consensus.leader_election import LeaderElection
from diembft.consensus.replica import Replica
from diembft.consensus.safety import Safety
from diembft.consensus.state_machine import StateMachine
from diembft.faults.bugs.late_replay import ForgetfulSessions
from diembft.faults.planting import NO_BUGS, Planted, Planting
from diembft.faults.registry import BUGS, plant
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from tests.consensus.rig import Craft, vote_of
from tests.faults.planted import planted


def test_without_bugs_a_replica_is_made_of_the_protocols_own_parts() -> None:
    machine = Sessions(AppendLog())
    assert not NO_BUGS
    assert NO_BUGS.names == ()
    assert NO_BUGS.kit is CORRECT
    assert NO_BUGS.replica is Replica
    assert NO_BUGS.machine(machine) is machine


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_changes_the_parts_that_it_overrides_and_no_others(name: str) -> None:
    planting = plant([name])
    assert planting
    parts = [planting.replica, *[getattr(planting.kit, part) for part in CORRECT.__dataclass_fields__]]
    correct = [Replica, *[getattr(CORRECT, part) for part in CORRECT.__dataclass_fields__]]
    changed = [part for part, was in zip(parts, correct, strict=True) if part is not was]
    assert set(changed) == set(BUGS[name].overrides)
    machine = Sessions(AppendLog(), window=7)
    assert (planting.machine(machine) is not machine) == (BUGS[name].machine is not None)


def test_bugs_of_one_part_are_planted_together() -> None:
    craft = Craft()
    replica = planted(craft, "conflicting_votes", "ignore_tc_high_qc", me=2)
    first, second = craft.block(1), craft.block(1, payload=(craft.request(),))
    assert vote_of(craft.propose(replica, first)) is not None
    assert vote_of(craft.propose(replica, second)) is not None
    assert replica.safety.safe_to_extend(4, 0, craft.tc(3, craft.qc(first)))
    assert isinstance(replica.safety, Safety)
    assert not hasattr(replica.safety, "__dict__"), "a fork copies slots, so a part has no other place for state"


def test_a_driver_may_pass_a_part_of_its_own() -> None:
    class Fixed(LeaderElection):
        __slots__ = ()

        def round_robin(self, round_: int) -> int:
            return 3

    craft = Craft()
    election = plant(["vote_leader_current_round"]).mixed(Fixed)(craft.config)
    tree = craft.started().tree
    assert [election.leader(5, tree), election.vote_collector(5, tree)] == [3, 3]
    assert isinstance(election, Fixed)
    assert NO_BUGS.mixed(Fixed) is Fixed


def test_a_planting_gives_the_same_classes_every_time() -> None:
    names = ["small_quorum", "stale_leader", "no_vote_lock"]
    assert plant(names).kit == plant(names).kit
    assert plant(names).replica is plant(reversed(names)).replica


def test_a_fork_has_the_bugs_of_its_replica() -> None:
    craft = Craft()
    replica = planted(craft, "conflicting_votes", "long_commit_chain", me=2)
    craft.propose(replica, craft.block(1))
    fork = replica.fork()
    assert type(fork) is type(replica)
    assert fork.state_key() == replica.state_key()
    assert vote_of(craft.propose(fork, craft.block(1, payload=(craft.request(),)))) is not None


def test_bugs_of_the_state_machine_leave_others_alone() -> None:
    class Stateless:
        pass

    forgetful = plant(["late_replay"])
    other = Stateless()
    assert forgetful.machine(other) is other  # type: ignore[arg-type, comparison-overlap]  # what it is does not matter
    changed = forgetful.machine(Sessions(AppendLog(), window=7))
    assert isinstance(changed, ForgetfulSessions)
    assert changed.window == 7


def test_machines_of_several_bugs_are_wrapped_in_turn() -> None:
    calls: list[str] = []

    def noted(name: str) -> Planted:
        def wrap(machine: StateMachine) -> StateMachine:
            calls.append(name)
            return machine

        return Planted(name, "notes that it was asked", machine=wrap)

    machine = Sessions(AppendLog())
    assert Planting((noted("one"), noted("two"))).machine(machine) is machine
    assert calls == ["one", "two"]
