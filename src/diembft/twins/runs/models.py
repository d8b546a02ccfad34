"""The network models: what a scenario may choose in a round, and what then happens.

In every model, step t is all that belongs to round t, and the choice of step t names the leader of round t + 1, to
whom the votes of round t go. A node that is left behind stays behind until a certificate reaches it. A step is cut
into *phases*; in each, the nodes of a set talk until nothing is under way among them.

- *barrier*: one partition holds for the whole step. Proposals and votes are delivered until nothing is under way;
  then every node that is still in the round times out; then that is delivered. It cannot show what needs proposals
  and timeouts to take different ways: double votes, a vote after a timeout.
- *two-phase*: proposals and votes pass by one partition, timeouts by another; what serves sync passes by that of the
  phase. Timers fire after the proposals' phase (late) or before it (early: all that are in the round time out
  first); the copies of twins may receive each layer in reversed order.
- *lazy*: no barrier between rounds. The proposals of round t go out under the partition of t while nodes may still be
  in round t - 1; only then do the timers of t - 1 fire, and its timeouts pass under the partition of t - 1; a leader
  that they bring into round t proposes under that of t; then the votes of round t go to the leader of t + 1, under
  the partition of t. So the partition of the last round is part of a state.

With crashes, one correct node may crash in a step and come up at once with what it had persisted: as the step begins
or, where timers fire early, between the timers and the proposals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple, Protocol, TypeAlias

from typing_extensions import override

from diembft.protocols.interface import ANSWER, NOBODY, PROPOSAL, TIMEOUT, VOTE
from diembft.protocols.states import NodeState, Sets, moved
from diembft.twins.runs.group import Group
from diembft.twins.runs.world import Fault, World


class Choice(NamedTuple):
    """What a scenario decides in one step."""

    leader: int
    """Of the next round."""
    partition: Sets
    timeout_partition: Sets | None = None
    early: bool = False
    reverse: bool = False
    crash: int | None = None
    """A correct node that crashes in the step, and comes up at once."""


class PhaseOutcome(NamedTuple):
    """What one set of nodes comes to in one phase."""

    states: tuple[NodeState, ...]
    voted: tuple[tuple[int, bytes], ...]
    faults: tuple[Fault, ...]
    ordered: bool = False
    """Whether it depends on the order in which the copies of twins receive a layer."""
    collected: bool = False
    """Whether it may depend on who leads the next round."""
    over: bool = False
    """Whether a node failed: the scenario ends in this phase, and the states are those before it."""


PhaseAction: TypeAlias = Literal["deliver", "timers", "crash"]
"""Deliver until nothing is under way; fire the timers of all that are in the round; crash and come up again."""


EVERYTHING = (PROPOSAL, VOTE, TIMEOUT, ANSWER)
"""All kinds of messages that wait for their round."""


class Kind(NamedTuple):
    """What happens in a phase, whoever talks in it. Kinds of one name are one kind."""

    name: str
    actions: tuple[PhaseAction, ...]
    leads: bool = True
    """Whether the leader of the step's round is known; otherwise nobody proposes in it any more."""
    collects: bool = True
    """Whether the leader of the next round is known; otherwise votes wait."""
    previous: bool = False
    """Whether the messages are those of the round before the step's."""
    withhold: tuple[int, ...] = ()
    lose: tuple[int, ...] = ()
    settles: bool = True
    """Whether no timeout of the round can arrive after it."""

    @property
    def crashes(self) -> bool:
        """Whether those in it crash."""
        return "crash" in self.actions


WHOLE = Kind("whole", ("deliver", "timers", "deliver"))
TIMERS = Kind("timers", ("timers",), leads=False, collects=False, withhold=EVERYTHING, settles=False)
PROPOSALS = Kind("proposals", ("deliver",), withhold=(TIMEOUT,), settles=False)
TIMEOUTS = Kind("timeouts", ("deliver",), leads=False, lose=(PROPOSAL, VOTE))
TIMERS_AND_TIMEOUTS = Kind("timers and timeouts", ("timers", "deliver"), leads=False, lose=(PROPOSAL, VOTE))
NEW_PROPOSALS = Kind("new proposals", ("deliver",), collects=False, withhold=(VOTE,), settles=False)
LAST_TIMEOUTS = Kind("last timeouts", ("timers", "deliver"), collects=False, previous=True, lose=(PROPOSAL, VOTE))
VOTES = Kind("votes", ("deliver",))
CRASH = Kind("crash", ("crash",), collects=False, withhold=EVERYTHING, settles=False)


class Phase(NamedTuple):
    """A part of a step: what happens, and the sets that talk in it."""

    kind: Kind
    sets: Sets


class NetworkModel(Protocol):
    """A network model."""

    name: str
    choices: tuple[Choice, ...]
    remembers: bool
    """Whether the partition of a step matters in the next one."""
    tells: bool
    """Whether a leader that comes late into its round may propose in it with a TC that others tell it of."""

    def phases(self, choice: Choice, last: Sets) -> tuple[Phase, ...]:
        """The phases of a step in their order, after a step under the partition `last` (empty before the first)."""
        ...


def _crash(choice: Choice) -> tuple[Phase, ...]:
    return () if choice.crash is None else (Phase(CRASH, ((choice.crash,),)),)


class Barrier(NetworkModel):
    """One partition a round (see the module)."""

    name = "barrier"
    remembers = False
    tells = True

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices

    @override
    def phases(self, choice: Choice, last: Sets) -> tuple[Phase, ...]:
        return (*_crash(choice), Phase(WHOLE, choice.partition))


class TwoPhase(NetworkModel):
    """One partition for proposals and votes, one for timeouts (see the module)."""

    name = "two-phase"
    remembers = False
    tells = False

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices

    @override
    def phases(self, choice: Choice, last: Sets) -> tuple[Phase, ...]:
        timeouts = choice.timeout_partition
        assert timeouts is not None, "because every choice of this model has two partitions"
        if not choice.early:
            return (
                *_crash(choice),
                Phase(PROPOSALS, choice.partition),
                Phase(TIMERS_AND_TIMEOUTS, timeouts),
            )
        alone = tuple([(node,) for members in choice.partition for node in members])
        return (
            Phase(TIMERS, alone),
            *_crash(choice),
            Phase(PROPOSALS, choice.partition),
            Phase(TIMEOUTS, timeouts),
        )


class Lazy(NetworkModel):
    """No barrier between rounds (see the module)."""

    name = "lazy"
    remembers = True
    tells = False

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices

    @override
    def phases(self, choice: Choice, last: Sets) -> tuple[Phase, ...]:
        return (
            *_crash(choice),
            Phase(NEW_PROPOSALS, choice.partition),
            Phase(LAST_TIMEOUTS, last),
            Phase(VOTES, choice.partition),
        )


MODELS: dict[str, type[Barrier] | type[TwoPhase] | type[Lazy]] = {
    Barrier.name: Barrier,
    TwoPhase.name: TwoPhase,
    Lazy.name: Lazy,
}


def run_phase(
    world: World,
    round_: int,
    members: Sequence[int],
    states: Sequence[NodeState],
    kind: Kind,
    leader: int,
    collector: int,
    proposers: Mapping[bytes, int],
    *,
    reverse: bool,
    make_group: Callable[..., Group] = Group,
) -> PhaseOutcome:
    """Let the nodes of one set go through one phase of step `round_`, which `leader` leads.

    `collector`: see `collector_of`.
    """
    leaders = world.leaders
    leaders.clear()
    if kind.leads:
        leaders[round_] = leader
    if kind.collects:
        leaders[round_ + 1] = collector
    group = make_group(
        world,
        round_ - kind.previous,
        dict(zip(members, states, strict=True)),
        collector if kind.collects else NOBODY,
        proposers,
        reverse=reverse,
        withhold=kind.withhold,
        lose=kind.lose,
    )
    for action in kind.actions:
        match action:
            case "deliver":
                group.deliver()
            case "timers":
                group.fire_round_timers()
            case "crash":
                group.crash()
    return _outcome(group, members, round_, kind)


def _outcome(group: Group, members: Sequence[int], round_: int, kind: Kind) -> PhaseOutcome:
    after = group.states()
    if group.over:  # nothing is asked of replicas that stopped midway
        collected = kind.collects
    else:
        group.check_certificates()
        collected = kind.collects and (
            group.votes or any(replica.current_round > round_ for replica in group.replicas.values())
        )
    return PhaseOutcome(
        tuple([after[node] for node in members]),
        tuple(group.voted),
        tuple(group.faults),
        group.orders,
        collected,
        group.over,
    )


def run_step(
    world: World,
    model: NetworkModel,
    states: Sequence[NodeState],
    round_: int,
    leader: int,
    choice: Choice,
    last: Sets,
    proposers: dict[bytes, int],
    *,
    make_group: Callable[..., Group] = Group,
    on_phase: Callable[[], None] = lambda: None,
) -> tuple[tuple[NodeState, ...], list[PhaseOutcome]]:
    """One step of a model, which `leader` leads, after one under the partition `last`: every node, set by set, and what
    each set came to. `proposers` learns which node proposed a block."""
    after = list(states)
    outcomes = []
    for kind, sets in model.phases(choice, last):
        on_phase()
        for state in after:
            for kept in state.kept:
                proposers.update(world.proposed(kept.message))
        for members in sets:
            outcome = run_phase(
                world,
                round_,
                members,
                [after[node] for node in members],
                kind,
                leader,
                collector_of(world, choice.leader, members),
                proposers,
                reverse=choice.reverse,
                make_group=make_group,
            )
            outcomes.append(outcome)
            for node, state in zip(members, outcome.states, strict=True):
                after[node] = state
        if any(outcome.over for outcome in outcomes):
            break
    return tuple(after), outcomes


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


def make_model(
    name: str, world: World, *, max_sets: int, quorum_filter: bool, twins_lead: bool
) -> Barrier | TwoPhase | Lazy:
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
    if name != TwoPhase.name:
        choices = tuple([Choice(leader, sets, crash=crash) for leader, sets, crash in product(leaders, parts, crashes)])
        return MODELS[name](choices)
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
    timeouts, crash = choice.timeout_partition, choice.crash
    return choice._replace(
        leader=place.get(choice.leader, choice.leader),
        partition=moved(choice.partition, place),
        timeout_partition=None if timeouts is None else moved(timeouts, place),
        crash=None if crash is None else place.get(crash, crash),
    )
