"""Power that goes in the middle of a step, and storages that break their promise: real replicas in virtual time.

The ledger is a log, which answers each request with the place of its entry: so a request that is executed on the wrong
ledger is seen in its answer, and in the state that replicas vote for.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from typing_extensions import override

from diembft.client.client import Client, ClientConfig, Retransmit
from diembft.consensus.config import Config
from diembft.consensus.effects import Checkpoint, Persist
from diembft.consensus.recovery import Recovered
from diembft.host.assembly import ClientSpec, header, replica_node
from diembft.host.keys import make_keys
from diembft.host.storage import Storage
from diembft.judge.invariants import EXECUTION, check
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from diembft.messages.digests import Digests
from diembft.messages.types import OK
from diembft.simulation.network import Conditions, Constant, SeededNetwork
from diembft.simulation.schedule import Crash, Incident, Restart
from diembft.simulation.simulator import Simulator
from diembft.trace import records
from diembft.trace.records import Record
from tests.consensus.rig import altered

N, REQUESTS = 4, 6


class LosesTheLastLedger(Storage):
    """The ledger of each write reaches it only with the next one: an old ledger beside newer commits."""

    __slots__ = ("_late", "_newest")

    def __init__(self) -> None:
        super().__init__()
        self._late: Checkpoint | None = None
        self._newest: Checkpoint | None = None

    @override
    def persist(self, effect: Persist) -> None:
        super().persist(effect)
        if effect.checkpoint is not None:
            self._late, self._newest = self._newest, effect.checkpoint

    @override
    def recover(self, kept_commits: int) -> Recovered | None:
        recovered = super().recover(kept_commits)
        return None if recovered is None else altered(recovered, checkpoint=self._late)


class Run:
    """Four replicas with a log, and a client that appends to it."""

    def __init__(self, schedule: Sequence[Incident], storages: dict[int, Storage] | None = None) -> None:
        config = Config(n=N, delta_s=0.02)
        keys = make_keys("symbolic", N, ["alice"], 0)
        machine = Sessions(AppendLog())
        nodes = [replica_node(config, replica, keys, machine) for replica in range(N)]
        plan = ClientConfig(client="alice", n=N, workload=Retransmit(0.1), count=REQUESTS, timeout_s=60.0, seed=0)
        client = Client(
            plan, keys.clients["alice"], Digests(config.chain_id, config.epoch), lambda number: b"increment"
        )
        self.records: list[Record] = [header(config, nodes, keys)]
        self.simulator = Simulator(
            config,
            nodes,
            SeededNetwork(N, Conditions(latency=Constant(0.01)), Random(1)),
            clients=[ClientSpec(client)],
            schedule=schedule,
            observe=self.records.append,
            notice_connections=True,
        )
        kept = self.simulator.storages
        self.simulator.storages = tuple([(storages or {}).get(node, kept[node]) for node in range(N)])
        self.simulator.run_until_clients_end(30.0)
        self.simulator.run(self.simulator.now_s + 3.0)

    @property
    def violated(self) -> list[tuple[str, str]]:
        return [(violated.property, violated.detail) for violated in check(self.records)]

    def answers(self) -> dict[int, set[bytes]]:
        """What replicas answered to each request."""
        found: dict[int, set[bytes]] = {}
        for record in self.records:
            if isinstance(record, records.Replied) and record.reply.status == OK:
                found.setdefault(record.reply.number, set()).add(record.reply.result)
        return found


@pytest.mark.parametrize("at_s", [round(0.005 * number, 3) for number in range(1, 60, 2)])
def test_a_crash_after_the_write_of_a_step_leaves_nothing_behind(at_s: float) -> None:
    """The power goes after the Persist and before everything else; afterwards the replica answers and votes as all."""
    run = Run((Crash(at_s, 1, mid_step=True), Restart(at_s + 0.2, 1)))
    assert run.simulator.figures.restarts == 1
    assert run.simulator.clients_ended
    assert run.violated == []
    assert not any(isinstance(record, records.Evidence) for record in run.records)
    answers = run.answers()
    assert len(answers) == REQUESTS
    assert all(len(results) == 1 for results in answers.values()), "all answer alike"
    assert len(set().union(*answers.values())) == REQUESTS, "and each request has a place of its own"


def test_a_node_whose_storage_contradicts_itself_stays_down_and_says_so() -> None:
    run = Run((Crash(0.15, 1), Restart(0.3, 1)), {1: LosesTheLastLedger()})
    assert run.simulator.storages[1].height > 1
    assert run.simulator.machines[1] is None
    (told,) = [record for record in run.records if isinstance(record, records.Evidence)]
    assert (told.at, told.node, told.kind) == (0.3, "replica1", "unrecoverable")
    assert "committed block" in told.detail
    after = run.records[run.records.index(told) + 1]
    assert isinstance(after, records.Crashed), "what is sent to it is dropped"
    assert run.simulator.figures.evidence == 1


def test_the_others_go_on_without_it() -> None:
    run = Run((Crash(0.15, 1), Restart(0.3, 1)), {1: LosesTheLastLedger()})
    assert run.simulator.clients_ended
    accepted = [record for record in run.records if isinstance(record, records.Accepted)]
    assert len(accepted) == REQUESTS
    assert accepted[-1].at > 0.3
    sent_after = [record for record in run.records if isinstance(record, records.Sent) and record.at >= 0.3]
    assert not any(record.node == "replica1" for record in sent_after)
    assert not any(isinstance(record, records.PeerConnected) for record in run.records), "nobody reaches it"


def test_it_may_be_started_again_in_vain() -> None:
    run = Run((Crash(0.15, 1), Restart(0.3, 1), Restart(0.5, 1)), {1: LosesTheLastLedger()})
    told = [record for record in run.records if isinstance(record, records.Evidence)]
    assert [record.at for record in told] == [0.3, 0.5]


def test_the_judge_counts_it_against_a_correct_node() -> None:
    run = Run((Crash(0.15, 1), Restart(0.3, 1)), {1: LosesTheLastLedger()})
    ((property_, detail),) = run.violated
    assert property_ == EXECUTION
    assert detail.startswith("replica1 does not run again: ")
