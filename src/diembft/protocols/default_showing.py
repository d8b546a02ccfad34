"""How a trace shows any protocol: by what its `Reading` tells, without detail.

What a replica has voted and knows is taken from what it sent. Where its reading does not say what a certificate
commits, it commits what somebody committed by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs
from typing_extensions import override

from diembft.machine.effects import Broadcast, Commit, Persist, Send
from diembft.protocols.interface import (
    ANSWER,
    BLOCKS,
    LATE_REQUEST,
    PROPOSAL,
    REQUEST,
    TIMEOUT,
    VOTE,
    Certificate,
    Link,
    Showing,
    System,
    Told,
    UnderTest,
)
from diembft.trace import records, values
from diembft.trace.records import Record

KINDS = {
    PROPOSAL: "proposal",
    VOTE: "vote",
    TIMEOUT: "timeout",
    ANSWER: "answer",
    REQUEST: "request",
    LATE_REQUEST: "request",
    BLOCKS: "blocks",
}
"""How a trace names the kinds of messages."""

NO_BLOCK = b""
"""As the id of genesis, as long as nothing names it."""


class Shown(Showing):
    """Shows one execution of a protocol. `leader` says who leads a round."""

    def __init__(self, protocol: UnderTest, leader: Callable[[int], int]) -> None:
        self._protocol = protocol
        self._reading = protocol.reading
        self._leader = leader
        self._links: dict[bytes, Link] = {}
        self._commits: dict[Any, bytes] = {}
        """By certificate: the newest block that somebody committed by it."""
        self._nodes: dict[str, _Node] = {}

    @override
    def header(self, system: System) -> dict[str, Any]:
        return {}

    @override
    def message(self, message: Any, sender: int) -> values.Message:
        told = self._told(message)
        return values.Message(
            KINDS[self._protocol.kinds[type(message)]],
            self._protocol.round_of(message),
            told.vote,
            told.timeout,
            tuple([self._block(block) for block in told.blocks]),
            tuple([self.certificate(certificate) for certificate in (*told.qcs, *told.tcs)]),
            sender=sender,
        )

    @override
    def certificate(self, certificate: Any) -> Certificate:
        says = self._reading.certificate(certificate)
        block = says.block
        signers = tuple(sorted(says.signers))
        if block is None:
            return structs.replace(says, signers=signers)
        link = self._links.get(block)
        parent, parent_round = (says.parent, says.parent_round) if link is None else (link.parent, link.parent_round)
        commits = self._commits.get(certificate) if says.commits is None else says.commits
        return structs.replace(says, signers=signers, parent=parent, parent_round=parent_round, commits=commits)

    @override
    def refusals(self, effects: Sequence[Any]) -> tuple[str | None, str | None]:
        """Nothing is said of them."""
        return None, None

    @override
    def effect(self, at: float, node: str, effect: Any) -> Record | None:
        known = self._nodes.setdefault(node, _Node())
        match effect:
            case Send() | Broadcast():
                told = self._told(effect.message)
                if told.vote is not None:
                    known.voted = max(known.voted, told.vote.round)
                self._learn(known, told.qcs)
            case Commit():
                if effect.certificate is not None:
                    self._commits[effect.certificate] = effect.block.id
                known.height, known.committed_by = effect.height, effect.certificate
                self._learn(known, (effect.certificate,))
                executed = tuple(
                    [values.RequestName(client, number) for client, number, _ in self._reading.requests(effect.block)]
                )
                block, certificate = self._block(effect.block), self.certificate(effect.certificate)
                return records.Committed(at, node, effect.height, block, certificate, executed)
            case Persist():
                return records.Persisted(at, node, known.voted)
            case _:
                pass
        return None

    @override
    def state(self, node: str, replica: Any) -> tuple[Any, ...]:
        known = self._nodes.setdefault(node, _Node())
        round_ = replica.current_round
        high = Certificate(0, NO_BLOCK, ()) if known.high is None else self.certificate(known.high)
        committed_by = None if known.committed_by is None else self.certificate(known.committed_by)
        return (round_, self._leader(round_), known.height, known.voted, high, committed_by)

    def _learn(self, known: _Node, qcs: tuple[Any, ...]) -> None:
        for qc in qcs:
            round_ = self._reading.certificate(qc).round
            if round_ > known.high_round:
                known.high_round, known.high = round_, qc

    def _told(self, message: Any) -> Told:
        told = self._reading.told(message)
        for block in told.blocks:
            self._links[block.id] = self._reading.link(block)
        vote = told.vote
        if vote is not None and vote.block is not None:
            self._links.setdefault(vote.block, Link(vote.parent, vote.round, 0, vote.parent_round))
        return told

    def _block(self, block: Any) -> values.Block:
        link = self._links[block.id] = self._reading.link(block)
        certificate = None if link.certificate is None else self.certificate(link.certificate)
        requests = tuple([values.RequestName(client, number) for client, number, _ in self._reading.requests(block)])
        return values.Block(block.id, link.round, link.parent, link.parent_round, link.author, certificate, requests)


class _Node:
    """What a node was seen to do."""

    def __init__(self) -> None:
        self.voted = 0
        self.height = 0
        self.high_round = 0
        self.high: Any = None
        self.committed_by: Any = None
