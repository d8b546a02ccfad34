"""A scenario executed under the network model that it names, with the record that oracles read.

What the exploration computes set by set and remembers, this does once, and writes it down: step t is round t of the
scenario, and the votes of round t go to the leader of round t + 1. Ticks count layers of deliveries; sets that talk
at the same time have the same ticks. After the last scripted round the network is whole, and led as that round was,
until every correct node has committed a block of it or a later one, or nothing moves any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from typing_extensions import override

from diembft.errors import InputError
from diembft.machine.effects import Commit
from diembft.machine.events import Timer, TimerFired
from diembft.protocols.by_name import protocol_of
from diembft.protocols.interface import BLOCKS, NOBODY, REQUEST, Crypto, Replica
from diembft.protocols.states import ALL, NOTHING_SIGNED, NodeState, Sets
from diembft.twins.runs.group import Group
from diembft.twins.runs.models import MODELS, Choice, TwoPhase, run_step
from diembft.twins.runs.record import (
    BlockCommitted,
    Cast,
    CertificateHeld,
    Ending,
    MessageSent,
    NodeFailed,
    NodeRestarted,
    RoundEntered,
    RunRecord,
    cast_of,
)
from diembft.twins.runs.steps import StepFailed
from diembft.twins.runs.timed_nodes import RunObserver
from diembft.twins.runs.world import Effects, Event, Message, World, judged, sent_and_kept
from diembft.twins.scenarios.scenario import NodeSets, Round, Scenario

STEPS_AFTER_THE_LAST = 7
"""How many whole steps follow the scripted ones at most."""


def check_options(scenario: Scenario, *, delayed: bool, crypto: Crypto) -> None:
    """Raises InputError for options of the executor in virtual time that models do not have."""
    if delayed:
        raise InputError(f"undelivered: in the model {scenario.model} what a partition holds back is dropped")
    if crypto != "symbolic":
        raise InputError(f"crypto: in the model {scenario.model} signatures are symbolic")


def in_order(scenario: Scenario) -> Scenario:
    """The same scenario with the replicas that have twins first, as models number them."""
    identity = cast_of(scenario.replicas, scenario.twins).identity
    twins = sorted(zip(identity[len(scenario.replicas) :], scenario.twins, strict=True))
    with_twin = [scenario.replicas[replica] for replica, _ in twins]
    if len(set(with_twin)) < len(with_twin):
        raise InputError(f"twins: the model {scenario.model} has one twin of a replica at most")
    replicas = (*with_twin, *[name for name in scenario.replicas if name not in with_twin])
    return _replaced(scenario, replicas, tuple([twin for _, twin in twins]))


def _replaced(scenario: Scenario, replicas: tuple[str, ...], twins: tuple[str, ...]) -> Scenario:
    if (replicas, twins) == (scenario.replicas, scenario.twins):
        return scenario
    return Scenario(
        replicas=replicas,
        twins=twins,
        rounds=scenario.rounds,
        gst=scenario.gst,
        delay_bound_s=scenario.delay_bound_s,
        timeout_s=scenario.timeout_s,
        bugs=scenario.bugs,
        name=scenario.name,
        seed=scenario.seed,
        model=scenario.model,
        protocol=scenario.protocol,
    )


def choices_of(scenario: Scenario) -> list[Choice]:
    """The choice of each step, the replicas with twins being the first. The last leader leads what follows, too.

    Raises InputError for what the scenario's model does not have.
    """
    number = {name: node for node, name in enumerate(scenario.nodes)}
    rounds = scenario.rounds
    leaders = [number[round_.leader] for round_ in (*rounds[1:], *rounds[-1:])]
    choices = []
    for index, (round_, leader) in enumerate(zip(rounds, leaders, strict=True)):
        try:
            choices.append(_choice(scenario, round_, leader, number))
        except InputError as error:
            raise InputError(f"rounds[{index}].{error}") from None
    return choices


def _choice(scenario: Scenario, round_: Round, leader: int, number: dict[str, int]) -> Choice:
    extras, model = round_.extras, scenario.model
    if round_.exceptions:
        raise InputError(f"exceptions: the model {model} has none")
    if extras.undelivered == "delay":
        raise InputError(f"undelivered: in the model {model} what a partition holds back is dropped")
    if extras.crash != extras.restart:
        raise InputError(f"crash: in the model {model} a node that crashes starts again at once")
    if len(extras.crash) > 1:
        raise InputError(f"crash: in the model {model} one node crashes in a round at most")
    two_phase = model == TwoPhase.name
    if not two_phase:
        for field, value in (
            ("timeout_partition", extras.timeout_partition),
            ("timers", extras.timers),
            ("order", extras.order),
        ):
            if value is not None:
                raise InputError(f"{field}: the model {model} has none")
    crash = number[extras.crash[0]] if extras.crash else None
    if crash is not None and scenario.nodes[crash] not in scenario.correct:
        raise InputError(f"crash: {extras.crash[0]!r} has a twin, and in the model {model} only correct replicas crash")

    def sets(partition: NodeSets) -> Sets:
        return tuple(sorted([tuple(sorted([number[name] for name in group])) for group in partition]))

    return Choice(
        leader,
        sets(round_.partition),
        sets(extras.timeout_partition or round_.partition) if two_phase else None,
        extras.timers == "early",
        extras.order == "reversed",
        crash,
    )


class Recorder:
    """Writes down what happens, with the ticks of sets that talk at the same time side by side."""

    def __init__(self, world: World, leaders: Sequence[int], observer: RunObserver | None) -> None:
        self.record = RunRecord([], [], [], [], Ending.STUCK, 0)
        self.observer = observer
        self.begun = 0
        """The tick at which the phase began."""
        self.tick = 0
        self.latest = 0
        self._cast = cast = world.cast
        self._round_of = world.round_of
        self._leaders = leaders
        self._numbers: dict[tuple[int, Message], int] = {}
        self._unsettled: dict[int, int] = {}
        """Of messages by number: those that it was sent to and whose share is not settled."""
        self._rounds = [0] * len(cast.names)
        self._held: dict[Any, int] = {}
        """Certificates, each with the first node that held it."""
        self.failed: list[NodeFailed] = []
        self.proposers: dict[bytes, int] = {}
        """Which node proposed a block."""

    def next_phase(self) -> None:
        """What follows comes after all that was."""
        self.begun = self.tick = self.latest = self.latest + 1

    def layer(self, number: int) -> None:
        """The layers of a set count from the beginning of the phase."""
        self.tick = self.begun + number
        self.latest = max(self.latest, self.tick)

    def sent(self, node: int, to: int, message: Message) -> None:
        """A node sends a message; who collects a vote may show only later."""
        number = len(self.record.sent)
        self.record.sent.append(MessageSent(self.tick, node, message))
        self._numbers[node, message] = number
        if to == NOBODY:
            to = self._leaders[min(self._round_of(message), len(self._leaders) - 1)]
        everyone = (1 << len(self._cast.names)) - 1
        receivers = (everyone if to == ALL else self._cast.copies[to]) & ~(1 << node)
        self._unsettled[number] = receivers
        if self.observer is not None:
            self.observer.sent(self.tick, node, number, receivers, message)

    def dropped(self, node: int, message: Message, reached: int, reason: str) -> None:
        """It will reach no others than these."""
        number = self._numbers[node, message]
        others = self._unsettled[number] & ~reached
        self._unsettled[number] = 0
        if others and self.observer is not None:
            self.observer.dropped(self.tick, number, others, reason)

    def stepped(
        self,
        node: int,
        replica: Replica,
        effects: Effects,
        sender: int | None = None,
        message: Message | None = None,
    ) -> None:
        """A step was made; its effects are about to be carried out."""
        observer = self.observer
        if observer is not None:
            if message is not None and sender is not None and sender != node:
                observer.delivered(self.tick, node, self._numbers[sender, message], effects)
            observer.stepped(self.tick, node, replica, effects)
        if replica.current_round != self._rounds[node]:
            self._rounds[node] = replica.current_round
            self.record.entered.append(RoundEntered(self.tick, node, replica.current_round))
        for effect in effects:
            if isinstance(effect, Commit):
                self.record.committed.append(BlockCommitted(self.tick, node, effect.block, effect.certificate))

    def fired(self, node: int, timer: Timer, round_: int) -> None:
        """A timer is about to fire."""
        if self.observer is not None:
            self.observer.fired(self.tick, node, timer, round_)

    def crashed(self, node: int) -> None:
        """A node crashes, and runs again."""
        self._rounds[node] = 0
        self.record.restarted.append(NodeRestarted(self.tick, node, len(self.record.sent)))
        if self.observer is not None:
            self.observer.crashed(self.tick, node)
            self.observer.restarted(self.tick, node)

    def holds(self, node: int, certificates: Sequence[Any]) -> None:
        """What a node would pass on."""
        for certificate in certificates:
            self._held.setdefault(certificate, node)

    def fails(self, failure: StepFailed) -> None:
        """A node failed: nothing more comes from it."""
        node = failure.node
        self.failed.append(NodeFailed(self.tick, node, self._rounds[node], failure.what))
        if self.observer is not None:
            self.observer.crashed(self.tick, node)

    def finished(self, ending: Ending) -> RunRecord:
        """The record in order of time."""
        held = tuple([CertificateHeld(node, certificate) for certificate, node in self._held.items()])
        record = self.record._replace(held=held, failed=tuple(self.failed))
        for entries in (record.sent, record.committed, record.entered):
            entries.sort(key=_tick_of)
        return record._replace(ending=Ending.FAILED if self.failed else ending, end=self.latest)


def _tick_of(entry: MessageSent | BlockCommitted | RoundEntered) -> int:
    return entry.tick


class RecordedGroup(Group):
    """A group that tells a recorder what happens in it."""

    def __init__(self, recorder: Recorder, *args: object, **options: object) -> None:
        self.recorder = recorder
        self._delivery: tuple[int, Message] | None = None
        """Whose message is handled, if it is one."""
        recorder.tick = recorder.begun
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as Group has them

    def _emit(self, sender: int, to: int, message: Message) -> None:
        self.recorder.sent(sender, to, message)
        super()._emit(sender, to, message)

    @override
    def put(self, sender: int, to: int, message: Message) -> None:
        waiting, begun = len(self.kept[sender]), len(self.layer)
        super().put(sender, to, message)
        if self.over or len(self.kept[sender]) > waiting:
            return
        reached = 0
        kind = self.world.kinds[type(message)]
        served = kind in (REQUEST, BLOCKS)
        for _, _, node, _ in self.layer[begun:]:
            reached |= 1 << node
        if served:
            for node in self.replicas:
                if node != sender and self.world.identity(node) == to:
                    reached |= 1 << node
        if not served and (self.world.round_of(message) != self.round or kind in self.lose):
            self.recorder.dropped(sender, message, 0, "late")
        else:
            self.recorder.dropped(sender, message, reached, "partition")

    @override
    def hand_over(self, sender: int, node: int, message: Message) -> Effects:
        self.recorder.layer(self.layers)
        self._delivery = (sender, message)
        return super().hand_over(sender, node, message)

    @override
    def crash(self) -> None:
        for node in self.replicas:
            self.recorder.crashed(node)
        super().crash()

    @override
    def step(self, node: int, event: Event) -> Effects:
        if isinstance(event, TimerFired) and not self.over:
            self.recorder.layer(self.layers)
            self._delivery = None
            self.recorder.fired(node, event.timer, event.round)
        return super().step(node, event)

    @override
    def carry_out(self, node: int, effects: Effects) -> None:
        sender, message = self._delivery or (None, None)
        self.recorder.stepped(node, self.replicas[node], effects, sender, message)
        super().carry_out(node, effects)

    @override
    def check_certificates(self) -> None:
        for node, replica in self.replicas.items():
            self.recorder.holds(node, self.exploring.certificates(replica))

    @override
    def fail(self, node: int, failure: StepFailed) -> None:
        super().fail(node, failure)
        self.recorder.fails(failure)


def execute(scenario: Scenario, *, observer: RunObserver | None = None) -> RunRecord:
    """Execute a scenario whose twins are of its first replicas (see `in_order`) under its own model.

    Raises InputError if the model does not have what the scenario asks for.
    """
    if scenario.model not in MODELS:
        raise InputError(f"model: {scenario.model!r} is none of {', '.join(MODELS)}")
    assert scenario.correct == scenario.replicas[len(scenario.twins) :], "because of `in_order`"
    choices = choices_of(scenario) if scenario.rounds else []
    crashes = any(choice.crash is not None for choice in choices)
    cast = cast_of(scenario.replicas, scenario.twins)
    world = World(protocol_of(scenario.protocol), cast, scenario.bugs, crashes=crashes)
    model = MODELS[scenario.model](tuple(choices))
    leaders = [scenario.replicas.index(round_.leader) for round_ in scenario.rounds] or [0]
    recorder = Recorder(world, leaders, observer)
    try:
        states: Sequence[NodeState] = _started(world, leaders[0], recorder)
    except StepFailed as failure:
        recorder.fails(failure)
        return recorder.finished(Ending.FAILED)
    whole = (tuple(range(world.nodes)),)
    last: Sets = ()
    ended = Ending.STUCK
    for round_ in range(1, len(choices) + STEPS_AFTER_THE_LAST + 1):
        if round_ <= len(choices):
            leader, choice = leaders[round_ - 1], choices[round_ - 1]
        else:
            if _all_committed(recorder, cast, len(choices)):
                break
            leader = leaders[-1]
            choice = Choice(leader, whole, whole if isinstance(model, TwoPhase) else None)
        if not any(round_ - model.remembers <= state.replica.current_round <= round_ for state in states):
            break
        states, _ = run_step(
            world,
            model,
            states,
            round_,
            leader,
            choice,
            last,
            recorder.proposers,
            make_group=partial(RecordedGroup, recorder),
            on_phase=recorder.next_phase,
        )
        if recorder.failed:
            return recorder.finished(Ending.FAILED)
        last = choice.partition
    if all(state.replica.current_round > len(choices) for state in states):
        ended = Ending.COMPLETE
    return recorder.finished(ended)


def _all_committed(recorder: Recorder, cast: Cast, last: int) -> bool:
    """Whether every correct node has committed a block of the last round or a later one."""
    done = {commit.node for commit in recorder.record.committed if commit.block.round >= last}
    return done.issuperset(cast.correct)


def _started(world: World, leader: int, recorder: Recorder) -> list[NodeState]:
    world.leaders.clear()
    world.leaders[1] = leader
    states = []
    for node in range(world.nodes):
        states.append(_first_step(world, node, recorder))
    return states


def _first_step(world: World, node: int, recorder: Recorder) -> NodeState:
    """The node after its first event, with a replica of its own. Raises StepFailed."""
    replica, effects = world.started(node)
    recorder.stepped(node, replica, effects)
    kept, durable = sent_and_kept(world, node, effects, replica, None)
    signed = NOTHING_SIGNED
    for to, message in kept:
        recorder.sent(node, to, message)
        signed, _ = judged(world, node, signed, message)
    return NodeState(replica, kept, durable, signed)
