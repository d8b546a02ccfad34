"""The reader of executions: makes facts of a record, by what the protocol's `Reading` tells.

Facts are told by kind, and within a kind in their order, so that of several violations of one property a finding names
the one that a reader of the scenario meets first: certificates before votes; commits node by node.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from diembft.judge.facts import BlockExecuted, BlockSeen, CertificateSeen, Entered, Failed, Roster, TimedOut, Voted
from diembft.protocols.cast import Cast
from diembft.protocols.interface import Reading
from diembft.twins.runs.oracles.terms import Terms
from diembft.twins.runs.record import BlockCommitted, CertificateHeld, RunRecord


class Facts(NamedTuple):
    """What one execution sent and committed."""

    signed: list[Voted | TimedOut]
    """In order of time. A message that one node sends again is told once."""
    restarts: list[tuple[int, str]]
    """Nodes that ran again after a crash, each with how much of `signed` had been sent by then."""
    certificates: list[tuple[str, CertificateSeen]]
    """Each with the first node that sent it, or learnt of a commit by it; those of blocks come first."""
    blocks: dict[bytes, BlockSeen]
    """All that were proposed, sent or committed."""
    commits: dict[str, list[BlockExecuted]]
    """By node, in order of time."""
    entries: list[Entered]
    end: int
    held: list[tuple[str, CertificateSeen]]
    """Certificates that nobody sent, each with the first node that held it, where somebody looked at that."""
    failed: list[Failed]
    """Nodes that did not do what they were asked; then the execution ended there."""


@lru_cache(maxsize=256)
def roster_of(cast: Cast) -> Roster:
    """Who plays: nobody turns faulty in a scenario."""
    return Roster(cast.n, dict(zip(cast.names, cast.identity, strict=True)), cast.names_of(cast.correct))


def facts_of(record: RunRecord, terms: Terms) -> Facts:
    """The facts of a record."""
    reader = _Reader(terms)
    signed, restarts = reader.signed(record)
    commits = reader.commits(record.committed)
    names = terms.cast.names
    entries = [Entered(tick, names[node], round_) for tick, node, round_ in record.entered]
    failed = [Failed(tick, names[node], round_, what) for tick, node, round_, what in record.failed]
    held = reader.held(record.held)
    return Facts(signed, restarts, reader.certificates(), reader.blocks, commits, entries, record.end, held, failed)


class _Reader:
    """Collects certificates and blocks wherever they are."""

    def __init__(self, terms: Terms) -> None:
        self.blocks: dict[bytes, BlockSeen] = {}
        self._terms = terms
        self._names = terms.cast.names
        self._reading: Reading = terms.protocol.reading
        self._qcs: dict[Any, int] = {}
        self._tcs: dict[Any, int] = {}
        self._requests: dict[bytes, tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]] = {}

    def signed(self, record: RunRecord) -> tuple[list[Voted | TimedOut], list[tuple[int, str]]]:
        """What was signed, and who restarted when."""
        names, told_by, qcs, tcs = self._names, self._reading.told, self._qcs, self._tcs
        signed: list[Voted | TimedOut] = []
        restarts: list[tuple[int, str]] = []
        waiting = sorted([(restart.sent, restart.node) for restart in record.restarted], reverse=True)
        seen: set[tuple[int, Any]] = set()
        for order, (_, node, message) in enumerate(record.sent):
            while waiting and waiting[-1][0] <= order:
                restarts.append((len(signed), names[waiting.pop()[1]]))
            if (node, message) in seen:
                continue
            seen.add((node, message))
            told = told_by(message)
            if (vote := told.vote) is not None:
                assert vote.block is not None, "because replicas under test vote for blocks"
                name, parent = names[node], vote.parent
                signed.append(Voted(name, vote.round, vote.block, parent, vote.parent_round, vote.content, message))
            if (timeout := told.timeout) is not None:
                signed.append(TimedOut(names[node], timeout.round, timeout.high_round, message))
            for block in told.blocks:
                self._link(block, node)
            for qc in told.qcs:
                if qc not in qcs:
                    qcs[qc] = node
            for tc in told.tcs:
                if tc not in tcs:
                    tcs[tc] = node
        restarts += [(len(signed), names[node]) for _, node in reversed(waiting)]
        return signed, restarts

    def _link(self, block: Any, node: int) -> BlockSeen:
        link = self._reading.link(block)
        if link.certificate is not None and link.certificate not in self._qcs:
            self._qcs[link.certificate] = node
        known = self.blocks[block.id] = BlockSeen(link.round, link.parent, link.parent_round)
        return known

    def commits(self, committed: list[BlockCommitted]) -> dict[str, list[BlockExecuted]]:
        """What each node committed."""
        commits: dict[str, list[BlockExecuted]] = {}
        correct = self._terms.cast.correct
        for tick, node, block, certificate in committed:
            name = self._names[node]
            link = self.blocks.get(block.id) or self._link(block, node)
            executed, unsigned = self._executed(block) if node in correct else ((), ())
            commit = BlockExecuted(
                tick,
                name,
                block.id,
                block.round,
                link.parent,
                link.parent_round,
                certificate,
                executed=executed,
                unsigned=unsigned,
            )
            commits.setdefault(name, []).append(commit)
            if certificate not in self._qcs:
                self._qcs[certificate] = node
        return commits

    def _executed(self, block: Any) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
        """The requests of a block, and those that are not signed. All are executed: markers are never duplicates, one
        names one proposal."""
        known = self._requests.get(block.id)
        if known is None:
            requests = self._reading.requests(block)
            executed = tuple([(client, number) for client, number, _ in requests])
            signed = self._terms.signed
            unsigned = tuple([(client, number) for client, number, request in requests if not signed(request)])
            known = self._requests[block.id] = (executed, unsigned)
        return known

    def certificates(self) -> list[tuple[str, CertificateSeen]]:
        """All that were met."""
        names = self._names
        return [
            (names[node], self._certified(value)) for values in (self._qcs, self._tcs) for value, node in values.items()
        ]

    def held(self, held: Iterable[CertificateHeld]) -> list[tuple[str, CertificateSeen]]:
        """Those that nobody sent."""
        sent = (self._qcs, self._tcs)
        return [
            (self._names[node], self._certified(value))
            for node, value in held
            if not any(value in values for values in sent)
        ]

    def _certified(self, value: Any) -> CertificateSeen:
        told = self._reading.certificate(value)
        return CertificateSeen(told.round, told.block, told.signers, value)
