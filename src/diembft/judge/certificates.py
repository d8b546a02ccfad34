"""What holds of certificates: that they verify, that their signers are a quorum, that one block of a round has one.

A block is *certified* by a certificate that verifies, as far as its reader verifies, and that a quorum of distinct
replicas signed, whoever sends or holds it; genesis, of round 0, without any.
"""

from __future__ import annotations

from collections.abc import Iterable

from diembft.judge.facts import NO_BLOCK, CertificateSeen, Roster, Voted
from diembft.judge.verdict import Finding, Report, listed, violation

CERTIFICATES = "certificates"
CERTIFIED_UNIQUENESS = "certified_uniqueness"
QUORUM_PROGRESS = "quorum_progress"


def lacks_quorum(round_: int, signers: Iterable[int], quorum: int) -> bool:
    """Whether a certificate of this round has fewer distinct signers than a quorum."""
    return round_ > 0 and len(frozenset(signers)) < quorum


def rivals(voters: int, f: int) -> bool:
    """Whether so many votes of correct replicas for another block contradict that one of the round is certified."""
    return voters > f


class Certificates:
    """certificates: every certificate that a correct node holds or sends verifies."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report

    def seen(self, node: str, verb: str, certificate: CertificateSeen) -> None:
        """A node holds or sends a certificate; one without a fault says nothing here."""
        if certificate.fault and self._roster.correct(node):
            round_ = certificate.round
            detail = f"{node} {verb} a {certificate.kind} of round {round_} that does not verify: {certificate.fault}"
            shows = () if certificate.block is None else (certificate.value,)
            self._report.violated(violation(CERTIFICATES, detail, round_, (node,), shows))


class CertifiedUniqueness:
    """certified_uniqueness: while a block of a round is certified, no other is, or has f + 1 votes of correct nodes."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._certified: dict[int, dict[bytes, tuple[str, CertificateSeen]]] = {}
        """Of each round: the certified blocks, each with the first certificate and who told it."""
        self._votes: dict[int, dict[bytes, dict[str, Voted]]] = {}
        self.open: dict[int, None] = {}
        """Rounds to settle."""

    def seen(self, node: str, certificate: CertificateSeen) -> None:
        """A node holds or sends a certificate. Only the first one for a block tells anything."""
        block, round_ = certificate.block, certificate.round
        if block is None or not round_ or certificate.fault:
            return  # genesis needs nobody, and whether it is the right one its reader says
        if lacks_quorum(round_, certificate.signers, self._roster.quorum):
            return
        certified = self._certified.setdefault(round_, {})
        if block in certified:
            return
        certified[block] = (node, certificate)
        if len(certified) > 1:
            (first_node, first), *_ = certified.values()
            detail = f"two blocks of round {round_} are certified"
            nodes = self._roster.ordered((first_node, node))
            shows = (first.value, certificate.value)
            self._report.violated(violation(CERTIFIED_UNIQUENESS, detail, round_, nodes, shows))
            return
        self.open[round_] = None

    def voted(self, vote: Voted) -> None:
        """A node votes."""
        if self._roster.correct(vote.node) and vote.block != NO_BLOCK:
            voters = self._votes.setdefault(vote.round, {}).setdefault(vote.block, {})
            if vote.node not in voters:
                voters[vote.node] = vote
                if vote.round in self._certified:
                    self.open[vote.round] = None

    def settle(self) -> None:
        """Hold votes against certified blocks, where either has come: after each fact, or after all."""
        for round_ in self.open:
            for voted_for in self._votes.get(round_, {}):
                self._compare(round_, voted_for)
        self.open.clear()

    def _compare(self, round_: int, block: bytes) -> None:
        """The votes for a block against the certified one of its round, if that is another."""
        certified = self._certified[round_]
        votes = {node: vote for node, vote in self._votes[round_][block].items() if self._roster.correct(node)}
        if block in certified or not rivals(len(votes), self._roster.f):
            return
        nodes = self._roster.ordered(votes)
        detail = f"a block of round {round_} is certified, and {listed(nodes)} voted for another"
        (_, certificate), *_ = certified.values()
        signed = tuple([vote.message for vote in votes.values()])
        self._report.violated(violation(CERTIFIED_UNIQUENESS, detail, round_, nodes, (certificate.value,), signed))


class QuorumProgress:
    """quorum_progress: every certificate names a quorum of distinct signers, and nobody leaves a round without one."""

    def __init__(self, roster: Roster, report: Report, quorumless: int | None) -> None:
        self._roster = roster
        self._report = report
        self._quorumless = quorumless
        self._beyond: dict[str, None] = {}
        self._highest: tuple[int, str] = (0, "")

    def seen(self, node: str, certificate: CertificateSeen, verb: str = "sent") -> None:
        """A node sends or holds a certificate."""
        if lacks_quorum(certificate.round, certificate.signers, self._roster.quorum):
            distinct = ", ".join(self._roster.replicas(certificate.signers))
            kind = type(certificate.value).__name__
            detail = f"{node} {verb} a {kind} of round {certificate.round} signed by {distinct} alone"
            finding = violation(QUORUM_PROGRESS, detail, certificate.round, (node,), (certificate.value,))
            self._report.violated(finding)

    def entered(self, node: str, round_: int) -> None:
        """A node is in a round."""
        if self._quorumless is not None and round_ > self._quorumless:
            self._beyond[node] = None
            if round_ > self._highest[0]:
                self._highest = (round_, node)

    def finding(self) -> Finding | None:
        """That a round was left in which no set held a quorum, by all that was told."""
        round_, node = self._highest
        if not self._beyond:
            return None
        detail = f"{node} is in round {round_}, though no set of round {self._quorumless} held a quorum"
        return violation(QUORUM_PROGRESS, detail, self._quorumless, self._roster.ordered(self._beyond))
