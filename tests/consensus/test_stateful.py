"""Arbitrary delivery, loss, repetition, timers, crashes and restarts, judged by every invariant.

Hypothesis drives 4 to 7 validators, among them at most f whose identity runs twice (twins: both copies follow the
protocol, together they equivocate). At the end of each run the network becomes whole: then every request that a correct
validator holds must commit within a bounded number of rounds.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from diembft.consensus.config import Config, max_faulty
from diembft.consensus.effects import Divergence, Equivocation
from diembft.consensus.events import Timer
from diembft.messages.types import OK
from tests.consensus.effort import examples
from tests.consensus.recording import Judge
from tests.consensus.rig import Flight, Rig

ROUNDS_TO_COMMIT = 40
"""Within so many timeouts of everybody, on a network that loses nothing, everything that waits is committed."""


class Validators(RuleBasedStateMachine):
    rig: Rig

    @initialize(n=st.integers(4, 7), twin=st.booleans(), rest=st.booleans(), sync_batch=st.sampled_from([2, 3, 100]))
    def begin(self, n: int, twin: bool, rest: bool, sync_batch: int) -> None:
        twins = range(max_faulty(n)) if twin else ()
        config = Config(n=n, rest=rest, sync_batch=sync_batch, max_block_requests=2)
        self.rig = Rig(twins=tuple(twins), config=config, start=False)
        self.judge = Judge(self.rig)
        for node in self.rig.nodes:
            self.rig.start(node.index)
        self.correct = [node.index for node in self.rig.nodes[: config.n] if node.index not in twins]
        self.numbers = 0

    def flight(self, data: Any) -> Flight:
        index: int = data.draw(st.integers(0, len(self.rig.flights) - 1))
        return self.rig.flights[index]

    # --- what befalls messages

    @precondition(lambda self: self.rig.flights)
    @rule(data=st.data())
    def deliver(self, data: Any) -> None:
        self.rig.deliver(self.flight(data))

    @precondition(lambda self: self.rig.flights)
    @rule(count=st.integers(1, 60))
    def deliver_oldest(self, count: int) -> None:
        for _ in range(min(count, len(self.rig.flights))):
            self.rig.deliver(self.rig.flights[0])

    @precondition(lambda self: self.rig.flights)
    @rule(data=st.data())
    def deliver_and_keep(self, data: Any) -> None:
        self.rig.deliver(self.flight(data), keep=True)

    @precondition(lambda self: self.rig.flights)
    @rule(count=st.integers(1, 60), heard=st.sets(st.integers(0, 6), min_size=1))
    def deliver_among(self, count: int, heard: set[int]) -> None:
        """A partition, for a while: only these nodes hear one another, and what they would not hear is lost."""
        among = {index % len(self.rig.nodes) for index in heard}
        for _ in range(count):
            flight = next((flight for flight in self.rig.flights if {flight.source, flight.to} <= among), None)
            if flight is None:
                break
            self.rig.deliver(flight)
        self.rig.drop(lambda flight: not {flight.source, flight.to} <= among)

    @precondition(lambda self: self.rig.flights)
    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        self.rig.flights.remove(self.flight(data))

    @precondition(lambda self: self.rig.flights)
    @rule(receiver=st.integers(0, 6))
    def lose_all_to(self, receiver: int) -> None:
        self.rig.drop(lambda flight: flight.to == receiver)

    # --- what befalls validators

    @precondition(lambda self: any(node.timers for node in self.rig.nodes))
    @rule(data=st.data())
    def fire(self, data: Any) -> None:
        running = [(node.index, timer) for node in self.rig.nodes for timer in node.timers]
        self.rig.fire(*data.draw(st.sampled_from(running)))

    @rule()
    def fire_all_round_timers(self) -> None:
        for node in self.rig.nodes:
            if Timer.ROUND in node.timers:
                self.rig.fire(node.index)

    @rule(data=st.data(), everybody=st.booleans())
    def request(self, data: Any, everybody: bool) -> None:
        running = [node.index for node in self.rig.nodes if node.replica is not None]
        if running:
            self.numbers += 1
            to = running if everybody else [data.draw(st.sampled_from(running))]
            self.rig.request(self.numbers, b"op%d" % self.numbers, to=to)

    @rule(data=st.data())
    def connect(self, data: Any) -> None:
        running = [node.index for node in self.rig.nodes if node.replica is not None]
        if running:
            peer = data.draw(st.integers(0, self.rig.config.n - 1))
            self.rig.connect(data.draw(st.sampled_from(running)), peer)

    @rule(index=st.integers(0, 6))
    def crash(self, index: int) -> None:
        index %= len(self.rig.nodes)
        if self.rig.nodes[index].replica is not None:
            self.judge.crashed(index)
            self.rig.crash(index)

    @precondition(lambda self: self.rig.flights)
    @rule(data=st.data(), carried_out=st.integers(0, 3))
    def crash_within_a_step(self, data: Any, carried_out: int) -> None:
        """A crash after some of a step's effects: the judge sees what was not sent as well, which is only stricter."""
        flight = self.flight(data)
        if self.rig.nodes[flight.to].replica is not None:
            self.rig.deliver(flight, crash_after=carried_out)
            self.judge.crashed(flight.to)

    @rule(index=st.integers(0, 6))
    def restart(self, index: int) -> None:
        index %= len(self.rig.nodes)
        if self.rig.nodes[index].replica is None:
            self._restart(index)

    @rule()
    def crash_and_restart_all(self) -> None:
        for node in self.rig.nodes:
            self.crash(node.index)
        self.rig.drop()
        for node in self.rig.nodes:
            self._restart(node.index)

    def _restart(self, index: int) -> None:
        self.judge.restarting(index)
        self.rig.restart(index)

    # --- what must hold; the judge asserts the invariants at each step

    @invariant()
    def nobody_correct_is_accused(self) -> None:
        for node in self.rig.nodes if hasattr(self, "rig") else ():
            for evidence in node.evidence:
                assert not isinstance(evidence, Divergence)
                assert not (isinstance(evidence, Equivocation) and evidence.culprit in self.correct)

    def teardown(self) -> None:
        """The network becomes whole, everybody runs: what correct validators hold is committed, by all of them."""
        if not hasattr(self, "rig"):
            return
        rig = self.rig
        for node in rig.nodes:
            if node.replica is None:
                self._restart(node.index)
        waiting = {
            (request.client, request.number)
            for index in self.correct
            for request in rig[index].mempool.oldest(self.numbers, 1_000_000)
        }
        for _ in range(ROUNDS_TO_COMMIT):
            self._settle()
            if all(waiting <= self._answered(index) for index in self.correct):
                return
            for node in rig.nodes:
                for timer in list(node.timers):
                    rig.fire(node.index, timer)
        states = [
            (node.running.current_round, node.running.tree.height, rig.executed(node.index), list(node.timers))
            for node in rig.nodes
        ]
        raise AssertionError(f"{sorted(waiting)} wait: {states}")

    def _settle(self) -> None:
        """Deliver what is on its way; without rest there is no end to it, so for a few rounds at most."""
        rig = self.rig
        start = max(node.running.current_round for node in rig.nodes)
        rig.run(until=None if rig.config.rest else start + 6)

    def _answered(self, index: int) -> set[tuple[str, int]]:
        ledger = self.rig[index].tree.root.ledger
        requests = [self.rig.craft.request(number, b"op%d" % number) for number in range(1, self.numbers + 1)]
        replies = [self.rig[index].machine.answer(ledger, request) for request in requests]
        return {(reply.client, reply.number) for reply in replies if reply is not None and reply.status == OK}


TestValidators = Validators.TestCase
TestValidators.settings = settings(
    max_examples=examples(40),
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
