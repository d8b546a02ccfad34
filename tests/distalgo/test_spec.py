"""The specification in DistAlgo, `examples/diembft_spec.da`, as a naive second implementation: the core does the same.

Both run the same schedule of losses, which decides what is committed whatever the order of messages: a round's
proposals or votes are lost to all, or too few to matter. A loss is (kind, round), or (kind, round, sender, receiver).
"""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TypeAlias

import pytest

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.kit import CORRECT
from diembft.consensus.leader_election import LeaderElection
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.crypto.symbolic import SymbolicKeyRing, replica_signer
from diembft.distalgo.runtime.launch import launch
from diembft.host.assembly import NodeSpec
from diembft.host.keys import replica_name
from diembft.host.recording import LOSS
from diembft.ledger.key_value import KeyValueStore
from diembft.ledger.sessions import Sessions
from diembft.messages.types import Message, Reply, Request, kind_of, round_of
from diembft.simulation.network import Arrivals, Carried
from diembft.simulation.simulator import Simulator
from diembft.trace.records import Committed, Record

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "examples" / "diembft_spec.da"

Loss: TypeAlias = tuple[str | int, ...]
Chains: TypeAlias = list[list[tuple[int, int]]]
"""Of each validator: round and author of the blocks that it committed."""

DEAF = [("proposal", round_, sender, 3) for round_, sender in product((5, 6, 7), range(4))]
SLOW_VOTER = [("vote", round_, 1, receiver) for round_, receiver in product(range(1, 20), range(4))]
FEW_VOTES = [  # two of four votes in each of two rounds; in round 7 also that of who collects them, whose own counts
    ("vote", round_, sender, receiver) for round_, sender in [(7, 0), (7, 1), (9, 0), (9, 2)] for receiver in range(4)
]
FAINT_TIMEOUTS = [("timeout", 4, 0, receiver) for receiver in (1, 2)]

SCHEDULES: dict[str, tuple[int, int, float, list[Loss]]] = {
    # Validators, the last round, delta in seconds, losses. Where nothing must time out, delta is large enough.
    "fault_free": (4, 14, 5.0, []),
    "seven": (7, 12, 5.0, []),
    "five": (5, 12, 5.0, []),
    "deaf_validator": (4, 14, 5.0, [*DEAF]),
    "slow_voter": (4, 14, 5.0, [*SLOW_VOTER]),
    "lost_proposals": (4, 14, 0.3, [("proposal", 4), ("proposal", 8)]),
    "lost_votes": (4, 13, 0.3, [("vote", 3), ("vote", 4), ("vote", 9)]),
    "lost_timeouts": (4, 12, 0.3, [("proposal", 4), *FAINT_TIMEOUTS, ("vote", 7), *DEAF]),
    "few_votes": (4, 13, 0.3, [*FEW_VOTES]),
    "quorum_of_four": (5, 12, 0.3, [("proposal", 2), ("vote", 6), *[("vote", 8, 2, to) for to in range(5)]]),
}


def by_the_specification(n: int, last: int, delta_s: float, losses: list[Loss]) -> Chains:
    words = [":".join(map(str, loss)) for loss in losses]
    options = ["--message-buffer-size", "80000", "--no-log"]
    outcome = launch([*options, SPEC, str(n), str(last), str(delta_s), *words], timeout_s=120)
    assert outcome.in_time, outcome
    assert outcome.status == 0, outcome
    chains = []
    for me, line in enumerate(outcome.stdout.splitlines()):
        assert re.fullmatch(rf"{me}( \d+:\d+)+", line), outcome
        chains.append([(int(round_), int(author)) for round_, author in re.findall(r"(\d+):(\d+)", line)])
    assert len(chains) == n
    return chains


class RoundRobin(LeaderElection):
    """As in the specification."""

    __slots__ = ()

    def leader(self, round_: int, tree: BlockTree) -> int:
        return self.round_robin(round_)


class Schedule:
    """The network of a schedule: what is not lost takes 10 ms."""

    constant_delay_s = None

    def __init__(self, losses: list[Loss]) -> None:
        self._losses = frozenset(losses)

    def arrivals(self, src: int, dest: int, message: Carried) -> Arrivals:
        assert not isinstance(message, Request | Reply), "because there are no clients"
        named = (kind_of(message), round_of(message))
        return LOSS if named in self._losses or (*named, src, dest) in self._losses else (0.01,)

    def own_copy(self, node: int, message: Message) -> None:
        pass


def by_the_core(n: int, last: int, losses: list[Loss]) -> Chains:
    config = Config(n=n, delta_s=0.05, rest=False)
    kit = replace(CORRECT, leader_election=RoundRobin)

    def start(me: int) -> NodeSpec:
        def make(recovered: Recovered | None) -> Replica:
            return Replica(
                config, me, replica_signer(me), SymbolicKeyRing(n), Sessions(KeyValueStore()), kit, recovered
            )

        return NodeSpec(replica_name(me), me, make)

    records: list[Record] = []
    simulator = Simulator(config, [start(me) for me in range(n)], Schedule(losses), observe=records.append)
    chains: Chains = [[] for _ in range(n)]

    def everybody_has_enough() -> bool:
        return all(chain and chain[-1][0] >= last for chain in chains)

    while not everybody_has_enough():
        assert simulator.now_s < 100, "because the schedule lets it go on"
        simulator.run(simulator.now_s + 0.1)
        for record in records:
            if isinstance(record, Committed):
                chains[int(record.node.removeprefix("replica"))].append((record.block.round, record.block.author))
        records.clear()
    return [[block for block in chain if block[0] <= last] for chain in chains]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SCHEDULES))
def test_the_core_commits_what_the_specification_commits(name: str) -> None:
    n, last, delta_s, losses = SCHEDULES[name]
    specified = by_the_specification(n, last, delta_s, losses)
    assert specified == by_the_core(n, last, losses)
    assert len({tuple(chain) for chain in specified}) == 1


def test_schedules_lose_blocks() -> None:
    """What the comparison rests on: the schedules with losses differ from the others in what is committed."""
    committed = {name: by_the_core(n, last, losses)[0] for name, (n, last, _, losses) in SCHEDULES.items()}
    missing = {
        name: [round_ for round_ in range(1, chain[-1][0]) if round_ not in dict(chain)]
        for name, chain in committed.items()
    }
    assert missing == {
        "fault_free": [],
        "seven": [],
        "five": [],
        "deaf_validator": [],
        "slow_voter": [],
        "lost_proposals": [4, 8],
        "lost_votes": [3, 4, 9],
        "lost_timeouts": [4, 7],
        "few_votes": [9],
        "quorum_of_four": [2, 6],
    }
