"""A fake replica that follows a script, for tests of the driver alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from diembft.consensus.config import Config
from diembft.consensus.effects import Effect
from diembft.consensus.events import Event, Received
from diembft.consensus.recovery import Recovered
from diembft.host.assembly import ClientSpec, NodeSpec
from diembft.messages.types import Relay
from diembft.simulation.network import Conditions, Constant, SeededNetwork
from diembft.simulation.schedule import Incident
from diembft.simulation.simulator import Simulator
from diembft.trace.records import Record

DELAY_S = 1.0

Script = Callable[[int, float, Event], Sequence[Effect]]
"""(node, time, event) to effects."""


class Stage:
    """A simulator of scripted nodes, what they were told, and the records of the run."""

    def __init__(
        self,
        script: Script,
        identities: tuple[int, ...] = (0, 1, 2),
        *,
        schedule: Iterable[Incident] = (),
        conditions: Conditions | None = None,
        clock_rates: dict[int, float] | None = None,
        clients: Sequence[ClientSpec] = (),
        notice_connections: bool = False,
        observed: bool = True,
    ) -> None:
        self.events: list[tuple[float, int, Event]] = []
        self.recovered: list[tuple[int, Recovered | None]] = []
        self.records: list[Record] = []
        self._script = script
        conditions = conditions or Conditions(latency=Constant(DELAY_S))
        self.simulator = Simulator(
            Config(n=max(identities) + 1),
            [
                NodeSpec(f"node{node}", replica, self._starter(node), clock_rate=(clock_rates or {}).get(node, 1.0))
                for node, replica in enumerate(identities)
            ],
            SeededNetwork(len(identities), conditions, Random(1)),
            clients=clients,
            schedule=schedule,
            observe=self.records.append if observed else None,
            notice_connections=notice_connections,
        )

    def run(self, until_s: float = 100.0) -> Stage:
        self.simulator.run(until_s)
        return self

    def heard(self, node: int) -> list[tuple[float, int, int]]:
        """What a node received: when, from whom, and the round by which tests tell messages apart."""
        return [
            (at_s, event.peer, event.message.round)
            for at_s, to, event in self.events
            if to == node and isinstance(event, Received) and isinstance(event.message, Relay)
        ]

    def _starter(self, node: int) -> Callable[[Recovered | None], _Actor]:
        def start(recovered: Recovered | None) -> _Actor:
            self.recovered.append((node, recovered))
            return _Actor(self, node)

        return start

    def step(self, node: int, event: Event) -> list[Effect]:
        now_s = self.simulator.now_s
        self.events.append((now_s, node, event))
        return list(self._script(node, now_s, event))


class _Actor:
    def __init__(self, stage: Stage, node: int) -> None:
        self._stage = stage
        self._node = node

    def step(self, event: Event) -> list[Effect]:
        return self._stage.step(self._node, event)


def note(number: int) -> Relay:
    """A message that tests recognise by its number."""
    return Relay(number, ())
