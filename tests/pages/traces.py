"""Traces made by hand, record by record: small stories whose every detail the tests know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from diembft.consensus.genesis import genesis
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    TC,
    Block,
    LedgerCommitInfo,
    Message,
    ProposalMsg,
    TimeoutInfo,
    TimeoutMsg,
    VoteInfo,
    VoteMsg,
)
from diembft.trace.records import (
    Committed,
    Crashed,
    Delivered,
    Dropped,
    Ended,
    Fired,
    Header,
    Node,
    Partitioned,
    Record,
    Restarted,
    Sent,
    State,
    TimerSet,
    Violated,
)
from tests.making import request_by

DELAY_S = 0.1
DIGESTS = Digests("test", 0)
GENESIS = genesis(DIGESTS)


class Script:
    """Writes the records of a run in any order; `records` puts them in the order of time."""

    def __init__(self, nodes: Sequence[Node], n: int = 4, description: str = "", replay: str = "") -> None:
        self.header = Header(
            "twins", tuple(nodes), n, "test", 0, "symbolic", 1.0, description=description, replay=replay
        )
        self.nodes = {node.name: node for node in nodes}
        self._noted: list[tuple[float, int, Record]] = []
        self._number = 0

    def note(self, record: Record) -> None:
        """Add a record."""
        assert not isinstance(record, Header), "because a script makes its own header"
        record = structs.replace(record, at=round(record.at, 9))
        self._noted.append((record.at, len(self._noted), record))

    def records(self) -> list[Record]:
        """The trace."""
        return [self.header, *(record for _, _, record in sorted(self._noted, key=lambda noted: noted[:2]))]

    def send(
        self,
        at: float,
        node: str,
        to: Sequence[str],
        message: Message,
        lost: Mapping[str, str] | None = None,
        rejected: Mapping[str, str] | None = None,
    ) -> int:
        """A message to some nodes; `lost` and `rejected` give the reason for some of them."""
        self._number += 1
        self.note(Sent(at, node, self._number, tuple(to), message))
        for name in to:
            reason = (lost or {}).get(name)
            if reason is not None:
                self.note(Dropped(at, self._number, name, reason))
            else:
                self.note(Delivered(at + DELAY_S, name, self._number, rejected=(rejected or {}).get(name)))
        return self._number

    def state(self, at: float, node: str, round_: int, leader: int, qc: QC = GENESIS.qc, height: int = 0) -> None:
        """A node's state, its high QC being also its highest commit."""
        self.note(
            State(at, node, round_, leader, round_ - 1, qc.round, qc, qc if qc.commits else GENESIS.qc, None, height)
        )

    def commit(self, at: float, node: str, height: int, block: Block, certificate: QC) -> None:
        """A node commits a block."""
        self.note(Committed(at, node, height, block, bytes(32), (), certificate))


def block_on(qc: QC, round_: int, author: int, operation: bytes = b"put x 1", client: str = "client0") -> Block:
    """A block with one request."""
    payload = (request_by(client, round_, operation),)
    return Block(author, round_, 0, payload, qc, DIGESTS.block(author, round_, 0, payload, qc))


def certificate_of(block: Block, signers: Sequence[int], commits: bool | None = None) -> QC:
    """A QC of a block by these signers; it commits the parent if the rounds are consecutive, unless told otherwise."""
    info, commit_info = vote_infos(block, commits)
    return QC(info, commit_info, tuple((signer, b"") for signer in signers), signers[0], b"")


def vote_infos(block: Block, commits: bool | None = None) -> tuple[VoteInfo, LedgerCommitInfo]:
    """What a vote for a block says."""
    parent = block.qc.vote_info
    info = VoteInfo(block.id, block.round, parent.id, parent.round, bytes(32))
    consecutive = parent.round + 1 == block.round if commits is None else commits
    return info, LedgerCommitInfo(bytes(32) if consecutive else None, DIGESTS.vote_info(info))


def proposal(block: Block, tc: TC | None = None, high_commit_qc: QC = GENESIS.qc) -> ProposalMsg:
    """A proposal of a block."""
    return ProposalMsg(block, tc, high_commit_qc, b"")


def vote(block: Block, sender: int) -> VoteMsg:
    """A vote for a block."""
    info, commit_info = vote_infos(block)
    return VoteMsg(info, commit_info, GENESIS.qc, sender, b"")


def timeout(round_: int, sender: int, high_qc: QC = GENESIS.qc) -> TimeoutMsg:
    """A timeout."""
    return TimeoutMsg(TimeoutInfo(round_, high_qc, sender, b""), None, GENESIS.qc)


def replicas(count: int) -> list[Node]:
    """Correct nodes replica0 ..."""
    return [Node(f"replica{index}", index) for index in range(count)]


def fault_free(
    rounds: int = 4, n: int = 4, description: str = "fault-free run", client: str = "client0"
) -> list[Record]:
    """Every leader's block reaches all, is certified by replicas 0, 1, 2 and committed one round later."""
    script = Script(replicas(n), n, description)
    names = list(script.nodes)
    certificate, previous, at = GENESIS.qc, None, 0.0
    for name in names:
        script.state(0.0, name, 1, 0)
    for round_ in range(1, rounds + 1):
        leader, following = (round_ - 1) % n, round_ % n
        block = block_on(certificate, round_, leader, client=client)
        others = [name for name in names if name != names[leader]]
        script.send(at, names[leader], others, proposal(block))
        for voter in range(n):
            if voter != following:
                script.send(
                    at + (0 if voter == leader else DELAY_S), names[voter], [names[following]], vote(block, voter)
                )
        at += 2 * DELAY_S
        certificate = certificate_of(block, (0, 1, 2))
        for name in names:
            if previous is not None:
                script.commit(at, name, round_ - 1, previous, certificate)
            script.state(at, name, round_ + 1, following, certificate, round_ - 1)
        previous = block
    script.note(Ended(at, True, (), {"commits": rounds - 1}))
    return script.records()


def with_faults() -> list[Record]:
    """Round 1: the proposal is lost to replica3, refused by replica2; replica1 crashes and restarts; all time out."""
    script = Script(replicas(4), description="losses, a crash and timeouts")
    names = list(script.nodes)
    for name in names:
        script.state(0.0, name, 1, 0)
        script.note(TimerSet(0.0, name, "round", 1.0, 1))
    block = block_on(GENESIS.qc, 1, 0)
    script.send(
        0.0, "replica0", names[1:], proposal(block), {"replica3": "loss"}, {"replica2": "the signature does not verify"}
    )
    script.note(Crashed(0.3, "replica1"))
    script.note(Partitioned(0.4, (("replica0", "replica1"), ("replica2", "replica3"))))
    script.note(Partitioned(0.9, (tuple(names),)))
    for sender, name in enumerate(names):
        if name != "replica1":
            script.note(Fired(1.0, name, "round", 1))
            script.send(
                1.0, name, [other for other in names if other != name], timeout(1, sender), {"replica1": "crashed"}
            )
    script.note(Restarted(1.5, "replica1"))
    for name in names:
        script.state(1.6, name, 2, 1)
    script.note(Ended(2.0, False, ("replica1 committed nothing",)))
    return script.records()


TWINS = [
    Node("a", 0, correct=False),
    Node("a'", 0, correct=False),
    Node("b", 1),
    Node("c", 2),
    Node("d", 3),
]
SPLIT = (("a", "b"), ("a'", "c", "d"))


def small_quorum() -> list[Record]:
    """Twins lead rounds 1 and 2 and tell two sets different things; two signers suffice, so both sets commit."""
    script = Script(TWINS, description="small_quorum: two signers make a certificate", replay="diembft twins replay x")
    at = 0.0
    for name in script.nodes:
        script.state(0.0, name, 1, 0)
    sides = {SPLIT[0]: GENESIS.qc, SPLIT[1]: GENESIS.qc}
    last: dict[tuple[str, ...], Block] = {}
    for round_ in (1, 2):
        script.note(Partitioned(at, SPLIT, round_))
        for members, certificate in sides.items():
            leader, followers = members[0], members[1:]
            block = block_on(certificate, round_, 0, f"from {leader}".encode())
            lost = {name: "partition" for name in script.nodes if name not in members}
            script.send(at, leader, [name for name in script.nodes if name != leader], proposal(block), lost)
            for name in followers:
                lost = {twin: "partition" for twin in ("a", "a'") if twin != leader}
                script.send(at + DELAY_S, name, ["a", "a'"], vote(block, script.nodes[name].replica), lost)
            signers = sorted(script.nodes[name].replica for name in members)
            sides[members] = certificate_of(block, signers)
            for name in members:
                if round_ == 2:
                    script.commit(at + 2 * DELAY_S, name, 1, last[members], sides[members])
                script.state(at + 2 * DELAY_S, name, round_ + 1, 0, sides[members], round_ - 1)
            last[members] = block
        at += 2 * DELAY_S
    script.note(
        Violated(
            at,
            "agreement",
            "b and c commit different blocks at height 1",
            ("b", "c"),
            1,
            (sides[SPLIT[0]], sides[SPLIT[1]]),
        )
    )
    script.note(Ended(at, False, ("agreement",)))
    return script.records()
