"""Chained HotStuff and its two-chain variant as protocols under test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from diembft.errors import InputError
from diembft.protocols import interface
from diembft.protocols.cast import Cast
from diembft.protocols.hotstuff.exploring import ChainedExploring
from diembft.protocols.hotstuff.messages import QC, TC, Block, Message, News, Proposal, Timeout, Vote
from diembft.protocols.hotstuff.replica import FastHotStuff, GapCommit, HotStuff, Replica
from diembft.protocols.interface import ANSWER, PROPOSAL, TIMEOUT, VOTE, Certificate, Crypto, Leaders, Link, Told


class HotStuffReading(interface.Reading):
    """Reads messages, blocks and certificates of chained HotStuff."""

    @override
    def told(self, message: Message) -> Told:
        match message:
            case Vote(block=block):
                parent = block.parent
                return Told(vote=interface.Vote(block.round, block.id, parent.id, parent.round, block.id))
            case Proposal(block=block, tc=tc):
                return _told(tc, blocks=(block,))
            case Timeout(round=round_, high_qc=high_qc, tc=tc):
                return _told(tc, high_qc, timeout=interface.Timeout(round_, high_qc.round))
            case News(high_qc=high_qc, tc=tc):
                return _told(tc, high_qc)

    @override
    def link(self, block: Block) -> Link:
        return Link(block.parent.id, block.round, block.author, block.parent.round, block.justify)

    @override
    def certificate(self, certificate: QC | TC) -> Certificate:
        if isinstance(certificate, TC):
            high_rounds = (certificate.high_round,) * len(certificate.signers)
            return Certificate(certificate.round, None, certificate.signers, high_rounds=high_rounds)
        return Certificate(certificate.round, certificate.block.id, certificate.signers)

    @override
    def requests(self, block: Block) -> list[tuple[str, int, Any]]:
        return [(block.marker, block.round, None)]


def _told(tc: TC | None, *qcs: QC, blocks: tuple[Block, ...] = (), timeout: interface.Timeout | None = None) -> Told:
    if tc is None:
        return Told(None, timeout, blocks, qcs)
    return Told(None, timeout, blocks, qcs, (tc,))


class Nodes(interface.System):
    """The nodes of one cast, of one class of replicas."""

    def __init__(self, kind: type[Replica], cast: Cast, delay_bound_s: float) -> None:
        self.cast = cast
        self.leaders = Leaders()
        self.delay_bound_s = delay_bound_s
        self._kind = kind

    @override
    def node(self, node: int, recovered: Any = None) -> Replica:
        cast = self.cast
        return self._kind(cast.identity[node], cast.n, cast.names[node], self.leaders, self.delay_bound_s)


class Chained(interface.UnderTest):
    """A variant of chained HotStuff."""

    reading = HotStuffReading()
    kinds: Mapping[type, int] = {Proposal: PROPOSAL, Vote: VOTE, Timeout: TIMEOUT, News: ANSWER}

    def __init__(
        self, name: str, chain: int, kind: type[Replica], bugs: Mapping[str, tuple[str, type[Replica]]]
    ) -> None:
        self.name = name
        self.chain = chain
        self.bugs = {bug: what for bug, (what, _) in bugs.items()}
        self.exploring = ChainedExploring(self.system, chain)
        self._kind = kind
        self._kinds_with_bug = {bug: with_bug for bug, (_, with_bug) in bugs.items()}

    @override
    def round_of(self, message: Message) -> int:
        return message.round if isinstance(message, Timeout | News) else message.block.round

    @override
    def system(
        self,
        cast: Cast,
        bugs: tuple[str, ...] = (),
        *,
        delay_bound_s: float = 1.0,
        crypto: Crypto = "symbolic",
        seed: int | float = 0,
    ) -> Nodes:
        """One bug at a time."""
        if crypto != "symbolic":
            raise InputError(f"crypto: {self.name} has no signatures")
        if len(bugs) > 1:
            raise InputError(f"bugs: {', '.join(bugs)}: {self.name} takes one at a time")
        for bug in bugs:
            if bug not in self._kinds_with_bug:
                known = ", ".join(self._kinds_with_bug) or "none at all"
                raise InputError(f"bugs: {bug!r} is none of those of {self.name}: {known}")
        return Nodes(self._kinds_with_bug[bugs[0]] if bugs else self._kind, cast, delay_bound_s)


HOTSTUFF = Chained("hotstuff", 3, HotStuff, {})

FAST_HOTSTUFF = Chained(
    "fast-hotstuff",
    2,
    FastHotStuff,
    {"gap_commit": ("commits by a 2-chain of rounds that need not be consecutive", GapCommit)},
)
