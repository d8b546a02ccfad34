"""The network models: what a scenario may choose in a round, and what then happens.

In every model, step t is all that belongs to round t, and the choice of step t names the leader of round t + 1, to
whom the votes of round t go. A node that is left behind stays behind until a certificate reaches it.

- *barrier*: one partition holds for the whole step. Proposals and votes are delivered until nothing is under way;
  then every node that is still in the round times out; then that is delivered. It cannot show what needs proposals
  and timeouts to take different ways: double votes, a vote after a timeout.
- *two-phase*: proposals and votes pass by one partition, timeouts by another; what serves sync passes by that of the
  phase. Timers fire after the proposals' phase (late) or before it (early: all that are in the round time out
  first); the copies of twins may receive each layer in reversed order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple, Protocol, TypeAlias

from diembft.messages.types import ProposalMsg, TimeoutMsg, VoteMsg
from diembft.twins.explore.world import Fault, Group, NodeState, World
from diembft.twins.parts import NOBODY

Sets: TypeAlias = tuple[tuple[int, ...], ...]
"""A partition of the nodes."""


class Choice(NamedTuple):
    """What a scenario decides in one step."""

    leader: int
    """Of the next round."""
    partition: Sets
    timeout_partition: Sets | None = None
    early: bool = False
    reverse: bool = False
    crash: int | None = None
    """A correct node that crashes as the round begins, and restarts at once."""


class Outcome(NamedTuple):
    """What one set of nodes comes to in one phase."""

    states: tuple[NodeState, ...]
    voted: tuple[tuple[int, bytes], ...]
    faults: tuple[Fault, ...]


Evaluate: TypeAlias = Callable[[tuple[int, ...], tuple[NodeState, ...], str, bool], Outcome]
"""Let these nodes go through a phase: the engine remembers what came of it."""


class Model(Protocol):
    """A network model."""

    name: str
    choices: tuple[Choice, ...]

    def phases(self, choice: Choice) -> tuple[tuple[str, Sets], ...]:
        """The phases of a step in their order: their name, and the sets that talk in them."""
        ...


class Barrier:
    """One partition a round (see the module)."""

    name = "barrier"

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices

    def phases(self, choice: Choice) -> tuple[tuple[str, Sets], ...]:
        """See Model."""
        return (("whole", choice.partition),)


class TwoPhase:
    """One partition for proposals and votes, one for timeouts (see the module)."""

    name = "two-phase"

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices

    def phases(self, choice: Choice) -> tuple[tuple[str, Sets], ...]:
        """See Model."""
        assert choice.timeout_partition is not None, "because every choice of this model has two partitions"
        first = "proposals-after-timers" if choice.early else "proposals"
        second = "timeouts" if choice.early else "timers-and-timeouts"
        return ((first, choice.partition), (second, choice.timeout_partition))


MODELS: dict[str, type[Barrier] | type[TwoPhase]] = {Barrier.name: Barrier, TwoPhase.name: TwoPhase}


def run_phase(
    world: World,
    round_: int,
    members: Sequence[int],
    states: Sequence[NodeState],
    phase: str,
    collector: int,
    proposers: dict[bytes, int],
    *,
    reverse: bool,
    make_group: Callable[..., Group] = Group,
) -> Outcome:
    """Let the nodes of one set go through one phase of step `round_`."""
    early = phase == "proposals-after-timers"
    group = make_group(
        world,
        round_,
        dict(zip(members, states, strict=True)),
        collector,
        proposers,
        reverse=reverse,
        withhold=(TimeoutMsg,) if phase in ("proposals", "proposals-after-timers") else (),
        lose=(ProposalMsg, VoteMsg) if phase in ("timeouts", "timers-and-timeouts") else (),
    )
    if early:
        group.fire_round_timers()
    if phase != "timers-and-timeouts":
        group.deliver()
    if phase in ("whole", "timers-and-timeouts"):
        group.fire_round_timers()
        group.deliver()
    group.check_certificates()
    after = group.states()
    return Outcome(tuple([after[node] for node in members]), tuple(group.voted), tuple(group.faults))


def partitions(nodes: int, max_sets: int) -> Iterator[Sets]:
    """All partitions of nodes 0 .. nodes - 1 into at most so many sets, fewer sets first found first."""

    def extend(node: int, sets: list[list[int]]) -> Iterator[Sets]:
        if node == nodes:
            yield tuple([tuple(members) for members in sets])
            return
        for members in sets:
            members.append(node)
            yield from extend(node + 1, sets)
            members.pop()
        if len(sets) < max_sets:
            sets.append([node])
            yield from extend(node + 1, sets)
            sets.pop()

    return extend(0, [])


def make_model(name: str, world: World, *, max_sets: int, quorum_filter: bool, twins_lead: bool) -> Barrier | TwoPhase:
    """A model with all its choices of a round, in a fixed order.

    `quorum_filter`: some set holds a quorum of distinct validators. `twins_lead`: only validators with twins lead.
    """
    parts = [
        sets
        for sets in partitions(world.nodes, max_sets)
        if not quorum_filter or any(world.is_quorum(members) for members in sets)
    ]
    leaders = range(world.faulty if twins_lead else world.n)
    crashes: Iterable[int | None] = (None, *range(world.faulty, world.n)) if world.crashes else (None,)
    if name == Barrier.name:
        return Barrier(
            tuple([Choice(leader, sets, crash=crash) for leader, sets, crash in product(leaders, parts, crashes)])
        )
    orders = (False, True) if world.faulty else (False,)
    return TwoPhase(
        tuple(
            [
                Choice(leader, sets, timeout_sets, early, reverse, crash)
                for leader, sets, timeout_sets, early, reverse, crash in product(
                    leaders, parts, parts, (False, True), orders, crashes
                )
            ]
        )
    )


def collector_of(world: World, leader: int, members: Sequence[int]) -> int:
    """Who collects votes among these nodes: the next leader if a copy of it is there, else nobody."""
    return leader if any(world.identity(node) == leader for node in members) else NOBODY


def renamed(choice: Choice, place: Mapping[int, int]) -> Choice:
    """The choice after nodes changed places, its sets in a normal order."""

    def move(sets: Sets) -> Sets:
        return tuple(sorted([tuple(sorted([place.get(node, node) for node in members])) for members in sets]))

    timeouts, crash = choice.timeout_partition, choice.crash
    return choice._replace(
        leader=place.get(choice.leader, choice.leader),
        partition=move(choice.partition),
        timeout_partition=None if timeouts is None else move(timeouts),
        crash=None if crash is None else place.get(crash, crash),
    )
