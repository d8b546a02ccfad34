"""Traces made by hand, record by record: small stories whose every detail the tests know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from msgspec import structs

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
from diembft.trace.values import Block, Certificate, Message, RequestName, Timeout, Vote

DELAY_S = 0.1
GENESIS = Certificate(0, bytes(32), ())
"""The certificate of genesis."""


def header(nodes: Sequence[Node], n: int = 4, runtime: str = "twins", title: str = "", replay: str = "") -> Header:
    """The header of a run of DiemBFT."""
    quorum = n - (n - 1) // 3
    return Header(runtime, "diembft", tuple(nodes), n, quorum, 2, 1.0, title=title, replay=replay)


class Script:
    """Writes the records of a run in any order; `records` puts them in the order of time."""

    def __init__(self, nodes: Sequence[Node], n: int = 4, title: str = "", replay: str = "") -> None:
        self.header = header(nodes, n, title=title, replay=replay)
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

    def state(
        self, at: float, node: str, round_: int, leader: int, high: Certificate = GENESIS, height: int = 0
    ) -> None:
        """A node's state, its highest certificate being also that of its highest commit."""
        committed_by = GENESIS if high.commits is None else high
        self.note(State(at, node, round_, leader, height, round_ - 1, high, committed_by, None, high.round))

    def commit(self, at: float, node: str, height: int, block: Block, certificate: Certificate) -> None:
        """A node commits a block."""
        self.note(Committed(at, node, height, block, certificate))


def block_on(
    certificate: Certificate, round_: int, author: int, marker: bytes = b"put x 1", client: str = "client0"
) -> Block:
    """A block with one request; blocks with different markers are different."""
    assert certificate.block is not None, "because it is of a block"
    told = f"{round_} {author} {marker!r} {client} {certificate.block.hex()} {certificate.signers}"
    digest = blake2b(told.encode(), digest_size=32).digest()
    return Block(
        digest, round_, certificate.block, certificate.round, author, certificate, (RequestName(client, round_),)
    )


def certificate_of(block: Block, signers: Sequence[int], commits: bool | None = None) -> Certificate:
    """A certificate of a block by these signers; it commits the parent if the rounds are consecutive, unless told
    otherwise."""
    consecutive = block.parent_round + 1 == block.round if commits is None else commits
    head = block.parent if consecutive else None
    return Certificate(
        block.round, block.id, tuple(signers), parent=block.parent, parent_round=block.parent_round, commits=head
    )


def given_up(round_: int, high_rounds: Sequence[int], signers: Sequence[int] = (0, 1, 2)) -> Certificate:
    """A certificate that a round was given up."""
    return Certificate(round_, None, tuple(signers), high_rounds=tuple(high_rounds))


def proposal(block: Block, after: Certificate | None = None) -> Message:
    """A proposal of a block, after a round that was given up."""
    certificates = (GENESIS,) if after is None else (GENESIS, after)
    return Message("proposal", block.round, blocks=(block,), certificates=certificates, sender=block.author)


def vote(block: Block, sender: int) -> Message:
    """A vote for a block."""
    said = Vote(block.round, block.id, block.parent, block.parent_round, block.id)
    return Message("vote", block.round, vote=said, certificates=(GENESIS,), sender=sender)


def timeout(round_: int, sender: int, high: Certificate = GENESIS) -> Message:
    """A timeout."""
    return Message("timeout", round_, timeout=Timeout(round_, high.round), certificates=(high,), sender=sender)


def replicas(count: int) -> list[Node]:
    """Correct nodes replica0 ..."""
    return [Node(f"replica{index}", index) for index in range(count)]


def fault_free(rounds: int = 4, n: int = 4, title: str = "fault-free run", client: str = "client0") -> list[Record]:
    """Every leader's block reaches all, is certified by replicas 0, 1, 2 and committed one round later."""
    script = Script(replicas(n), n, title)
    names = list(script.nodes)
    certificate, previous, at = GENESIS, None, 0.0
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
    script = Script(replicas(4), title="losses, a crash and timeouts")
    names = list(script.nodes)
    for name in names:
        script.state(0.0, name, 1, 0)
        script.note(TimerSet(0.0, name, "round", 1.0, 1))
    block = block_on(GENESIS, 1, 0)
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
    script = Script(TWINS, title="small_quorum: two signers make a certificate", replay="diembft twins replay x")
    at = 0.0
    for name in script.nodes:
        script.state(0.0, name, 1, 0)
    sides = {SPLIT[0]: GENESIS, SPLIT[1]: GENESIS}
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
