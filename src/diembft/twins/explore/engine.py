"""States, their successors and what oracles object to, for one model.

The engine remembers what came of each set of nodes in each phase, so that choices that share sets share the work, and
keeps one copy of equal nodes, so that equal outcomes are recognised before the canonical key is computed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from hashlib import blake2b
from itertools import permutations, product
from typing import NamedTuple

import msgspec

from diembft.messages.types import ProposalMsg, TimeoutMsg, VoteMsg, round_of
from diembft.twins.explore.canonical import Facts, Registry, Summary, summary, tc_high
from diembft.twins.explore.concrete import rebuild
from diembft.twins.explore.models import Barrier, Choice, Outcome, TwoPhase, collector_of, renamed, run_phase
from diembft.twins.explore.world import Fault, Held, NodeState, World
from diembft.twins.parts import NOBODY

MAX_OUTCOMES = 400_000
"""How many outcomes of groups are remembered: about 1 kB each."""

IDLE = Outcome((), (), ())
"""Nothing happened."""


class State(NamedTuple):
    """A global state before step `round`: nodes by their number in the engine, and who leads the round."""

    round: int
    leader: int
    nodes: tuple[int, ...]


class Successor(NamedTuple):
    """What a choice leads to. `key` is None if nobody is left in the next round: then nothing can follow."""

    choice: int
    state: State
    key: Hashable
    faults: tuple[Fault, ...]


class Engine:
    """Computes successors; bound to one world and model. `rename=False` keeps names apart (for checks)."""

    def __init__(self, world: World, model: Barrier | TwoPhase, *, rename: bool = True) -> None:
        self.world = world
        self.model = model
        self.rename = rename
        self.evaluations = 0
        self._nodes: list[NodeState] = []
        self._facts: list[Facts] = []
        self._known: dict[Hashable, int] = {}
        self._round = 0
        self._certified: set[bytes] = set()
        self._registry = Registry()
        self._outcomes: dict[Hashable, tuple[tuple[int, ...], Outcome]] = {}
        self._index = {renamed(choice, {}): index for index, choice in enumerate(model.choices)}
        self._repeated: dict[tuple[tuple[int, ...], ...], frozenset[int]] = {}
        self._states: dict[Summary, State | None] = {}
        self._tables: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._phases = [(choice, model.phases(choice)) for choice in model.choices]

    @property
    def size(self) -> int:
        """How many distinct states of nodes it remembers."""
        return len(self._nodes)

    def trim(self) -> None:
        """Forget outcomes if they are many; they are computed anew."""
        if len(self._outcomes) > MAX_OUTCOMES:
            self._outcomes.clear()

    def initial(self) -> list[State]:
        """The states before step 1, by the leader of round 1."""
        leaders = sorted({choice.leader for choice in self.model.choices})
        return [State(1, leader, tuple([self._number(n) for n in self.world.start(leader)])) for leader in leaders]

    def node(self, number: int) -> NodeState:
        """The node with this number."""
        return self._nodes[number]

    def key(self, state: State) -> Hashable:
        """The canonical key of a state."""
        found = self.summary(state)
        return None if found is None else found.key(self.world, rename=self.rename)

    def summary(self, state: State) -> Summary | None:
        """What of a state can still matter."""
        facts = [self._facts[number] for number in state.nodes]
        return summary(self.world, self._registry, facts, state.round, state.leader)

    def apply(self, state: State, choice: int) -> Successor:
        """The state after one choice."""
        nodes, faults = self._step(state, *self._phases[choice])
        after = State(state.round + 1, self.model.choices[choice].leader, nodes)
        return Successor(choice, after, self.key(after), (*faults, *self._disagreements(nodes)))

    def successors(self, state: State) -> Iterator[Successor]:
        """What the choices lead to; of choices that lead to the very same, or to the same but for names, one.

        They are computed from the state that the summary of this one is rebuilt to, where it can be, so that what
        groups of nodes come to is remembered across states; the successors' states are those of the rebuilt state.
        """
        if not self.rename:
            yield from self._successors(state, frozenset(), None)
            return
        found = self.summary(state)
        assert found is not None, "because a state in whose round nobody is has no successors"
        ordered, places = found.sorted(self.world)
        rebuilt = self._rebuilt(ordered)
        if rebuilt is None:
            yield from self._successors(state, self._repeated_choices(found), None)
        else:
            yield from self._successors(rebuilt, self._repeated_choices(ordered), self._moved(places))

    def _successors(self, state: State, skipped: frozenset[int], moved: tuple[int, ...] | None) -> Iterator[Successor]:
        seen: set[Hashable] = set()
        for index, (choice, phases) in enumerate(self._phases):
            if index in skipped:
                continue
            nodes, faults = self._step(state, choice, phases)
            raw = (choice.leader, nodes, faults)
            if raw in seen:
                continue
            seen.add(raw)
            after = State(state.round + 1, choice.leader, nodes)
            faults = (*faults, *self._disagreements(nodes))
            yield Successor(index if moved is None else moved[index], after, self.key(after), faults)

    def _rebuilt(self, ordered: Summary) -> State | None:
        """The state that a summary is rebuilt to."""
        if ordered not in self._states:
            leader = next(self.world.identity(node) for node, entry in enumerate(ordered.entries) if entry.leads)
            rebuilt = rebuild(self.world, ordered, leader)
            if rebuilt is None:
                self._states[ordered] = None
            else:
                self._round = rebuilt.round - 1
                numbers = tuple([self._number(node) for node in rebuilt.nodes])
                self._states[ordered] = State(rebuilt.round, leader, numbers)
        return self._states[ordered]

    def _moved(self, places: tuple[int, ...]) -> tuple[int, ...]:
        """For each choice in the names of the sorted summary, the choice in the names of the state itself."""
        moved = self._tables.get(places)
        if moved is None:
            place = dict(enumerate(places))
            moved = tuple([self._index[renamed(choice, place)] for choice in self.model.choices])
            self._tables[places] = moved
        return moved

    def _repeated_choices(self, found: Summary) -> frozenset[int]:
        """Choices that another choice equals once correct nodes that are alike in this state change places."""
        classes = tuple([tuple(alike) for alike in found.alike(self.world) if len(alike) > 1])
        known = self._repeated.get(classes)
        if known is None:
            repeated: set[int] = set()
            for images in product(*[permutations(alike) for alike in classes]):
                place = {
                    node: image
                    for alike, order in zip(classes, images, strict=True)
                    for node, image in zip(alike, order, strict=True)
                }
                for index, choice in enumerate(self.model.choices):
                    if self._index[renamed(choice, place)] < index:
                        repeated.add(index)
            known = self._repeated[classes] = frozenset(repeated)
        return known

    def _step(
        self, state: State, choice: Choice, phases: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]
    ) -> tuple[tuple[int, ...], tuple[Fault, ...]]:
        numbers = list(state.nodes)
        world = self.world
        faults: list[Fault] = []
        if choice.crash is not None:
            numbers[choice.crash], found = self._crashed(state, choice.crash)
            faults.extend(found)
        voted: list[tuple[int, bytes]] = []
        for phase, sets in phases:
            for members in sets:
                collector = collector_of(world, choice.leader, members)
                before = tuple([numbers[node] for node in members])
                after, outcome = self._evaluate(state, members, before, phase, collector, choice.reverse)
                for node, number in zip(members, after, strict=True):
                    numbers[node] = number
                faults.extend(outcome.faults)
                voted.extend(outcome.voted)
        faults.extend(self._certified_twice(voted))
        return tuple(numbers), tuple(faults)

    def _evaluate(
        self, state: State, members: tuple[int, ...], before: tuple[int, ...], phase: str, collector: int, reverse: bool
    ) -> tuple[tuple[int, ...], Outcome]:
        # Who leads matters while proposals pass; the order of what goes to added copies, where some are among others.
        reverse = reverse and len(members) > 1 and members[-1] >= self.world.n
        leader = NOBODY if phase in ("timeouts", "timers-and-timeouts") else state.leader
        memo = (state.round, leader, members, before, phase, collector, reverse)
        known = self._outcomes.get(memo)
        if known is not None:
            return known
        if phase != "whole" and self._is_idle(before, state.round, phase):
            return before, IDLE
        self.evaluations += 1
        leaders = self.world.leaders
        leaders.clear()
        leaders[state.round] = state.leader
        leaders[state.round + 1] = collector
        self._round = state.round
        proposers = {
            held.message.block.id: node
            for node, number in enumerate(state.nodes)
            for held in self._nodes[number].held
            if isinstance(held.message, ProposalMsg)
        }
        states = [self._nodes[number] for number in before]
        outcome = run_phase(self.world, state.round, members, states, phase, collector, proposers, reverse=reverse)
        after = tuple([self._number(node) for node in outcome.states])
        self._outcomes[memo] = (after, outcome._replace(states=()))  # the states are known by their numbers
        return after, outcome

    def _is_idle(self, before: tuple[int, ...], round_: int, phase: str) -> bool:
        """Whether nothing happens: nobody has something under way, nor a timer that fires in this phase."""
        timers = phase in ("proposals-after-timers", "timers-and-timeouts")
        for number in before:
            node = self._nodes[number]
            if timers and node.replica.current_round == round_:
                return False
            for _, message in node.held:
                if round_of(message) == round_ and (phase.startswith("proposals") or not isinstance(message, VoteMsg)):
                    return False
        return True

    def _crashed(self, state: State, node: int) -> tuple[int, tuple[Fault, ...]]:
        leaders = self.world.leaders
        leaders.clear()
        leaders[state.round] = state.leader
        restarted, faults = self.world.restarted(node, self._nodes[state.nodes[node]])
        return self._number(restarted), faults

    def _number(self, state: NodeState) -> int:
        """The number of a node's state: states that differ in nothing that is alive have one."""
        replica = state.replica
        replica.tree.votes.clear()
        replica.pacemaker.timeouts.clear()
        key = self._raw_key(state)
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._nodes)
            self._nodes.append(state)
            self._facts.append(self._registry.facts(state, crashes=self.world.crashes))
        return number

    def _raw_key(self, state: NodeState) -> Hashable:
        """A node between two phases, exact but for what is dead then (docs/exhaustion.md): votes and timeouts that were
        delivered, who signed a certificate, blocks of earlier rounds that nobody certified, whom it asked for blocks.
        """
        replica = state.replica
        tree, safety, pacemaker = replica.tree, replica.safety, replica.pacemaker
        high_qc, high_commit = tree.high_qc.vote_info, tree.high_commit_qc.vote_info
        certified = self._certified
        certified.add(high_qc.id)
        certified.add(high_commit.id)
        latest = max(self._round, pacemaker.current_round)
        return (
            replica.mempool.state_key(),
            pacemaker.current_round,
            safety.highest_vote_round,
            high_qc.id,
            high_commit.id,
            tree.root.block.id,
            frozenset([id_ for id_, node in tree.nodes.items() if id_ in certified or node.block.round >= latest]),
            pacemaker.last_round_tc and pacemaker.last_round_tc.round,
            tc_high(pacemaker.tc_for(tree.high_qc)),
            tuple([message.block.id for message in replica.proposals.values()]),
            tuple([_held_key(held) for held in state.held]),
            (state.durable, state.signed) if self.world.crashes else state.signed,
        )

    def _certified_twice(self, voted: list[tuple[int, bytes]]) -> Iterator[Fault]:
        """In a round one block has a quorum of votes while another has f + 1 votes of correct nodes."""
        blocks = {block for _, block in voted}
        if len(blocks) < 2:
            return
        f = (self.world.n - 1) // 3
        counts = sorted([len({node for node, block in voted if block == wanted}) for wanted in blocks])
        if counts[-2] >= f + 1 and counts[-1] >= self.world.quorum - self.world.faulty:
            yield Fault("certified_uniqueness", "two blocks of one round have f + 1 votes of correct nodes each")

    def _disagreements(self, nodes: tuple[int, ...]) -> Iterator[Fault]:
        """Two correct nodes whose committed chains are not prefixes of one another."""
        world = self.world
        correct = range(world.faulty, world.n)
        trees = {node: self._nodes[nodes[node]].replica.tree for node in correct}
        for one in correct:
            for other in range(one + 1, world.n):
                low, high = sorted((trees[one], trees[other]), key=_height)
                root = low.root.block
                if root is not high.root.block and root.round and root.id not in high.committed:
                    detail = (
                        f"{world.name(one)} and {world.name(other)} committed conflicting blocks, "
                        f"of rounds {trees[one].root.block.round} and {trees[other].root.block.round}"
                    )
                    yield Fault("agreement", detail)


def _height(tree: object) -> int:
    return tree.height  # type: ignore[attr-defined,no-any-return]


def _held_key(held: Held) -> Hashable:
    message = held.message
    if isinstance(message, ProposalMsg):
        return (message.block.id, tc_high(message.last_round_tc), message.high_commit_qc.vote_info.id)
    if isinstance(message, TimeoutMsg):
        info = message.tmo_info
        return (
            info.round,
            info.high_qc.vote_info.id,
            tc_high(message.last_round_tc),
            message.high_commit_qc.vote_info.id,
        )
    return (held.to, message)


_encode = msgspec.msgpack.Encoder().encode


def digest(key: Hashable) -> bytes:
    """16 bytes that stand for a key, the same in every process."""
    return blake2b(_encode(key), digest_size=16).digest()
