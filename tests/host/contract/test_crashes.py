"""Real replicas on each driver: power goes between any two effects of a step, writes take time, and what must hold
holds.

No replica contradicts what it signed before, equal heights have equal states, every request is executed once, and the
system goes on, the one that crashed included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from diembft.consensus.effects import Effect
from diembft.consensus.events import BlocksRead, Event, Received
from diembft.messages.types import ProposalMsg, TimeoutMsg, VoteMsg
from tests.host.contract.drivers import WHOLE_RIGS, GroupRig, SimulatorWithoutCopiesRig
from tests.host.contract.machines import Journal
from tests.host.contract.rig import N, Rig, SlowDisk

VICTIM, OTHER = 2, 3

ALL = pytest.mark.parametrize("driver", WHOLE_RIGS, ids=lambda rig: rig.__name__)
SLOW = pytest.mark.parametrize("driver", [rig for rig in WHOLE_RIGS if rig.outlet], ids=lambda rig: rig.__name__)


def contradictions(rig: Rig) -> list[str]:
    """What nodes sent that contradicts what they had sent before."""
    found: list[str] = []
    votes: dict[tuple[int, int], object] = {}
    proposals: dict[tuple[int, int], bytes] = {}
    timeouts: set[tuple[int, int]] = set()
    for node, message, recovered in rig.sent:
        match message:
            case VoteMsg(sender=sender) if sender == rig.identities[node]:
                key = (node, message.vote_info.round)
                new = key not in votes
                if votes.setdefault(key, message.vote_info) != message.vote_info:
                    found.append(f"node {node} voted twice in round {key[1]}")
                if new and key in timeouts:
                    found.append(f"node {node} voted in round {key[1]}, which it had given up")
                if recovered is None or recovered.record is None or recovered.record.highest_vote_round < key[1]:
                    found.append(f"node {node} voted in round {key[1]} before it was durable")
            case TimeoutMsg(tmo_info=info) if info.sender == rig.identities[node]:
                timeouts.add((node, info.round))
                if recovered is None or recovered.record is None or recovered.record.highest_vote_round < info.round:
                    found.append(f"node {node} gave up round {info.round} before it was durable")
            case ProposalMsg(block=block) if block.author == rig.identities[node]:
                key = (node, block.round)
                if proposals.setdefault(key, block.id) != block.id:
                    found.append(f"node {node} proposed twice in round {block.round}")
            case _:
                pass
    return found


class System:
    """Four replicas on a driver, that clients send a request from time to time."""

    def __init__(self, driver: type[Rig], disk: SlowDisk | None = None) -> None:
        self.journal = Journal()
        self.rig = driver(self.journal.kind())
        self.disk = disk
        if disk is not None:
            self.rig.put_in_front(disk.in_front_of)
        self.rig.start_all()
        self.requests = 0

    def run(self, seconds: float) -> None:
        """Let time go by; writes under way take a part of it."""
        if self.disk is None:
            self.rig.run(seconds)
            return
        for _ in range(round(seconds / self.rig.tick_s)):
            self.rig.run(self.rig.tick_s)
            self.disk.complete_all()

    def request(self) -> None:
        if self.rig.requests:
            self.rig.request(self.requests, b"entry")
            self.requests += 1

    def traffic(self, seconds: float) -> None:
        """Requests, and in between such a pause that timers run out where there is rest."""
        for _ in range(3):
            self.request()
            self.run(seconds / 3)

    def height(self, node: int) -> int:
        recovered = self.rig.durable(node)
        return 0 if recovered is None or recovered.checkpoint is None else recovered.checkpoint.height

    def check(self) -> None:
        """What must hold at any time."""
        assert contradictions(self.rig) == []
        for height, states in self.journal.states().items():
            assert len(states) == 1, f"states differ at height {height}"
        for request, heights in self.journal.executed().items():
            assert len(heights) == 1, f"{request} is executed at {heights}"

    def goes_on(self, seconds: float = 3.0) -> None:
        """All commit something new, the one that crashed too; clients repeat what they sent before."""
        before = [self.height(node) for node in range(N)]
        self.request()
        for number in range(self.requests):
            self.rig.request(number, b"entry")
        self.run(seconds)
        self.check()
        assert all(self.height(node) > height for node, height in enumerate(before))
        if self.rig.requests:
            for node in range(N):
                executed = {number for _, number in self.journal.executed(node)}
                assert self.requests - 1 in executed, f"node {node} executes what came last"
            answered = {number for _, number in self.journal.executed()}
            assert answered == set(range(self.requests))


def kind_of_step(event: Event, effects: tuple[Effect, ...]) -> tuple[str, ...]:
    """Steps of one kind do the same, by the types of their event and effects."""
    what = type(event.message).__name__ if isinstance(event, Received) else type(event).__name__
    return (what, *[type(effect).__name__ for effect in effects])


def exercise(system: System, crash: Callable[[], bool]) -> None:
    """Traffic, another replica that is down for a while, so that rounds are given up and blocks fetched; and if the
    victim's power goes, it starts again after some time."""
    for part in range(4):
        if part == 1:
            system.rig.crash(OTHER)
        if part == 3:
            system.rig.start(OTHER)
        system.traffic(0.6)
        if crash():
            system.run(0.3)
            system.rig.start(VICTIM)


@cache
def steps_to_crash_in(driver: type[Rig]) -> list[tuple[int, int]]:
    """Of each kind of step that the victim makes the first one: its number, and how many effects it has."""
    system = System(driver)
    exercise(system, lambda: False)
    mine = [(event, effects) for me, event, effects in system.journal.steps if me == VICTIM]
    first: dict[tuple[str, ...], tuple[int, int]] = {}
    for number, (event, effects) in enumerate(mine):
        if effects:
            first.setdefault(kind_of_step(event, effects), (number, len(effects)))
    assert len(first) > 3, "steps of different kinds"
    return list(first.values())


@ALL
def test_an_undisturbed_system_goes_on(driver: type[Rig]) -> None:
    system = System(driver)
    exercise(system, lambda: False)
    system.goes_on()


@ALL
def test_power_may_go_between_any_two_effects_of_a_step(driver: type[Rig]) -> None:
    for number, effects in steps_to_crash_in(driver):
        for left in range(effects + 1):
            crash_in(System(driver), number, left)


def crash_in(system: System, number: int, left: int) -> None:
    """The power goes in a step of the victim, after so many effects."""
    steps = 0

    def power(me: int, event: Event, effects: list[Effect]) -> int | None:
        nonlocal steps
        steps += me == VICTIM
        return left if me == VICTIM and steps == number + 1 else None

    def crash() -> bool:
        machine = system.rig.machine(VICTIM)
        if machine is None or not machine.dead:
            return False
        system.rig.crash(VICTIM)
        return True

    system.journal.power = power
    exercise(system, crash)
    assert steps > number, "it happened"
    system.check()
    system.goes_on()


@ALL
def test_all_may_lose_power_in_the_same_step(driver: type[Rig]) -> None:
    """Each after the write of its first vote, before anything else."""
    system = System(driver)
    done: set[int] = set()

    def power(me: int, event: Event, effects: list[Effect]) -> int | None:
        if me in done or not effects or type(effects[0]).__name__ != "Persist":
            return None
        done.add(me)
        return 1

    system.journal.power = power
    system.traffic(1.5)
    assert len(done) >= N - 1
    for node in range(N):
        if system.rig.machine(node).dead:
            system.rig.crash(node)
    for node in range(N):
        if system.rig.machine(node) is None:
            system.rig.start(node)
    system.traffic(3.0)
    system.goes_on()


# --- writes that take time


@SLOW
def test_a_system_with_slow_writes_goes_on(driver: type[Rig]) -> None:
    system = System(driver, SlowDisk())
    exercise(system, lambda: False)
    assert any(node == VICTIM for node, _, recovered in system.rig.sent if recovered is not None), "it takes part"
    system.goes_on()


@SLOW
@pytest.mark.parametrize("after", range(1, 40, 3))
def test_power_may_go_while_writes_are_under_way(driver: type[Rig], after: int) -> None:
    """At any time: the write that is under way is lost, and all that waits for it."""
    disk = SlowDisk()
    system = System(driver, disk)
    system.request()
    system.run(after * system.rig.tick_s)
    system.rig.run(system.rig.tick_s)  # what it began to write is not durable when it crashes
    lost = [node for node, _, _ in disk.under_way if node == VICTIM]
    system.rig.crash(VICTIM)
    system.run(0.2)
    system.rig.start(VICTIM)
    system.traffic(1.0)
    system.check()
    system.goes_on()
    assert len(lost) <= 1


@SLOW
def test_power_may_go_again_and_again_while_writes_are_under_way(driver: type[Rig]) -> None:
    disk = SlowDisk()
    system = System(driver, disk)
    for _ in range(12):
        system.request()
        for _ in range(100):
            system.rig.run(system.rig.tick_s)
            if any(node == VICTIM for node, _, _ in disk.under_way):
                break
            disk.complete_all()
        else:
            raise AssertionError("it writes nothing")
        system.rig.crash(VICTIM)
        system.run(0.1)
        system.rig.start(VICTIM)
        system.run(0.3)
        system.check()
    system.goes_on(6.0)


# --- blocks that are read late


READS = pytest.mark.parametrize("driver", [rig for rig in WHOLE_RIGS if rig.reads], ids=lambda rig: rig.__name__)


@READS
@pytest.mark.parametrize("slow", [False, True])
def test_who_was_down_for_long_catches_up_from_what_others_read(driver: type[Rig], slow: bool) -> None:
    """They keep few blocks at hand. With slow writes their answers are late, and other events come in between."""
    system = System(driver, SlowDisk() if slow else None)
    system.request()
    system.run(0.5)
    system.rig.crash(VICTIM)
    behind = system.height(VICTIM)
    for _ in range(12):
        system.request()
        system.run(0.4)
    system.rig.start(VICTIM)
    system.run(2.0)
    read = [event for _, event, _ in system.journal.steps if isinstance(event, BlocksRead)]
    assert any(event.blocks for event in read)
    assert system.height(VICTIM) > behind + 2 * system.rig.config.kept_commits
    system.goes_on()


# --- the nodes of a network model


@pytest.mark.parametrize("left", range(4))
@pytest.mark.parametrize("number", range(4))
def test_a_node_of_a_group_may_lose_power_in_any_step(number: int, left: int) -> None:
    journal = Journal()
    rig = GroupRig(journal.kind())
    steps = 0

    def power(me: int, event: Event, effects: list[Effect]) -> int | None:
        nonlocal steps
        steps += me == VICTIM
        return left if me == VICTIM and steps == number + 1 else None

    journal.power = power
    rig.start_all()
    rig.run(0)
    if rig.machine(VICTIM).dead:
        rig.crash(VICTIM)
        rig.start(VICTIM)
    rig.run(0)
    rig.group.fire_round_timers()
    rig.run(0)
    assert contradictions(rig) == []
    assert rig.group.faults == []
    assert rig.machine(VICTIM).current_round >= 1


def test_the_suite_sees_different_kinds_of_steps() -> None:
    """Votes, proposals, commits and timeouts are among them."""
    system = System(SimulatorWithoutCopiesRig)
    exercise(system, lambda: False)
    kinds = {kind_of_step(event, effects) for me, event, effects in system.journal.steps if me == VICTIM}
    names = {name for kind in kinds for name in kind}
    assert {"Persist", "Send", "Broadcast", "Commit", "SendReply", "SetTimer", "CancelTimer"} <= names
