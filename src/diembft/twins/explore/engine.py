"""States, their successors and what oracles object to, for one model.

The engine remembers what came of each set of nodes in each phase, so that choices that share sets share the work, and
keeps one copy of equal nodes, so that equal outcomes are recognised before the canonical key is computed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from diembft.messages.types import ProposalMsg
from diembft.twins.explore.canonical import Facts, Registry, canonical_key
from diembft.twins.explore.models import Barrier, Choice, Outcome, TwoPhase, collector_of, run_phase
from diembft.twins.explore.world import Fault, NodeState, World


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
        self._registry = Registry()
        self._outcomes: dict[Hashable, tuple[tuple[int, ...], Outcome]] = {}
        self._phases = [(choice, model.phases(choice)) for choice in model.choices]

    def initial(self) -> list[State]:
        """The states before step 1, by the leader of round 1."""
        leaders = sorted({choice.leader for choice in self.model.choices})
        return [State(1, leader, tuple([self._number(n) for n in self.world.start(leader)])) for leader in leaders]

    def node(self, number: int) -> NodeState:
        """The node with this number."""
        return self._nodes[number]

    def key(self, state: State) -> Hashable:
        """The canonical key of a state."""
        facts = [self._facts[number] for number in state.nodes]
        return canonical_key(self.world, self._registry, facts, state.round, state.leader, rename=self.rename)

    def apply(self, state: State, choice: int) -> Successor:
        """The state after one choice."""
        nodes, faults = self._step(state, *self._phases[choice])
        after = State(state.round + 1, self.model.choices[choice].leader, nodes)
        return Successor(choice, after, self.key(after), (*faults, *self._disagreements(nodes)))

    def successors(self, state: State) -> Iterator[Successor]:
        """What the choices lead to; of choices that lead to the very same, the first."""
        seen: set[Hashable] = set()
        for index, (choice, phases) in enumerate(self._phases):
            nodes, faults = self._step(state, choice, phases)
            raw = (choice.leader, nodes, faults)
            if raw in seen:
                continue
            seen.add(raw)
            after = State(state.round + 1, choice.leader, nodes)
            yield Successor(index, after, self.key(after), (*faults, *self._disagreements(nodes)))

    def _step(
        self, state: State, choice: Choice, phases: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]
    ) -> tuple[tuple[int, ...], tuple[Fault, ...]]:
        numbers = list(state.nodes)
        world = self.world
        if choice.crash is not None:
            numbers[choice.crash] = self._crashed(state, choice.crash)
        faults: list[Fault] = []
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
        memo = (state.round, state.leader, members, before, phase, collector, reverse)
        known = self._outcomes.get(memo)
        if known is not None:
            return known
        self.evaluations += 1
        leaders = self.world.leaders
        leaders.clear()
        leaders[state.round] = state.leader
        leaders[state.round + 1] = collector
        proposers = {
            held.message.block.id: node
            for node, number in enumerate(state.nodes)
            for held in self._nodes[number].held
            if isinstance(held.message, ProposalMsg)
        }
        states = [self._nodes[number] for number in before]
        outcome = run_phase(self.world, state.round, members, states, phase, collector, proposers, reverse=reverse)
        between = phase in ("proposals", "proposals-after-timers")
        after = tuple([self._number(node, between=between) for node in outcome.states])
        self._outcomes[memo] = (after, outcome)
        return after, outcome

    def _crashed(self, state: State, node: int) -> int:
        leaders = self.world.leaders
        leaders.clear()
        leaders[state.round] = state.leader
        return self._number(self.world.restarted(node, self._nodes[state.nodes[node]]), between=True)

    def _number(self, state: NodeState, *, between: bool = False) -> int:
        """The number of a node's state: equal states have one.

        Between two steps nothing of the votes and timeouts of a step is alive any more; within a step (`between` two
        phases of it) they are.
        """
        replica = state.replica
        if not between:
            replica.tree.votes.clear()
            replica.pacemaker.timeouts.clear()
            replica.proposals.clear()
        key = (replica.state_key() if between else _raw_key(state), state.held, state.durable, state.signed, between)
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._nodes)
            self._nodes.append(state)
            self._facts.append(self._registry.facts(state, crashes=self.world.crashes))
        return number

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


def _raw_key(state: NodeState) -> Hashable:
    """A node between steps, exact but for what is dead then (docs/exhaustion.md)."""
    replica = state.replica
    tree, safety = replica.tree, replica.safety
    return (
        replica.mempool.state_key(),
        replica.current_round,
        safety.highest_vote_round,
        safety.highest_qc_round,
        tree.high_qc,
        tree.high_commit_qc,
        tree.root.block.id,
        tuple(tree.nodes),
        replica.pacemaker.last_round_tc,
        replica.fetch,
    )


def digest(key: Hashable) -> bytes:
    """16 bytes that stand for a key, the same in every process."""
    return blake2b(repr(key).encode(), digest_size=16).digest()
