"""What holds of executed requests: once each, asked for by their clients, and with one outcome everywhere.

`execution`: a correct node executes each request once, and correct nodes that execute one block come to one state.
`validity`: a committed block is what its id names, and an executed request is in it and was signed by its client.
Judges of scenarios, which have one name for both, call it `execution` too.
"""

from __future__ import annotations

from diembft.judge.facts import BlockExecuted, CertificateSeen, RequestKey, Roster
from diembft.judge.verdict import Report, violation

EXECUTION = "execution"
VALIDITY = "validity"


class Requests:
    """Executed once by each node, and valid. `validity` is the name of that."""

    def __init__(self, roster: Roster, report: Report, *, validity: str = VALIDITY) -> None:
        self._roster = roster
        self._report = report
        self._validity = validity
        self._executed: dict[str, set[RequestKey]] = {}
        self.executed: set[RequestKey] = set()
        """By any correct node."""

    @property
    def decided(self) -> bool:
        """Whether a correct node executed a request."""
        return bool(self.executed)

    def committed(self, commit: BlockExecuted) -> None:
        """A node executes a block."""
        node = commit.node
        if not (commit.executed or commit.fault) or not self._roster.correct(node):
            return
        if commit.fault:
            self._violated(self._validity, commit, f"committed a block of round {commit.round}: {commit.fault}")
        executed = self._executed.setdefault(node, set())
        told = commit.executed or ()
        own = set(told)
        if commit.unsigned or commit.foreign or len(own) < len(told) or not executed.isdisjoint(own):
            self._judge(commit, executed)
        executed |= own
        self.executed |= own

    def _judge(self, commit: BlockExecuted, before: set[RequestKey]) -> None:
        """What is wrong, request by request, after these."""
        executed = set(before)
        for key in commit.executed or ():
            client, number, _ = key
            if key in executed:
                self._violated(EXECUTION, commit, f"executed request {number} of {client} twice")
            executed.add(key)
            if key in commit.unsigned:
                self._violated(self._validity, commit, f"executed request {number}, which {client} did not sign")
            if key in commit.foreign:
                detail = f"executed request {number} of {client}, which is not in the block"
                self._violated(self._validity, commit, detail)

    def _violated(self, name: str, commit: BlockExecuted, what: str) -> None:
        detail = f"{commit.node} {what}"
        self._report.violated(violation(name, detail, commit.round, (commit.node,), (commit.certificate,)))


class States:
    """execution: what a block does is the same at all correct nodes, and one certified state says what."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._executed: dict[bytes, BlockExecuted] = {}
        self._states: dict[bytes, BlockExecuted] = {}
        """Of each block: the first commit that told what is compared. What a node does not tell is not known."""
        self._certified: dict[bytes, CertificateSeen] = {}

    def committed(self, commit: BlockExecuted) -> None:
        """A node executes a block."""
        if not self._roster.correct(commit.node):
            return
        if commit.executed is not None:
            first = self._first(self._executed, commit)
            if first.executed != commit.executed:
                self._differ(first, commit, f"executed different requests in the block of round {commit.round}")
                return
        if commit.state is not None:
            first = self._first(self._states, commit)
            if first.state != commit.state:
                self._differ(first, commit, f"have different states after the block of round {commit.round}")

    def _first(self, told: dict[bytes, BlockExecuted], commit: BlockExecuted) -> BlockExecuted:
        """The first that a correct node told of this block."""
        first = told.setdefault(commit.block, commit)
        if not self._roster.correct(first.node):
            first = told[commit.block] = commit
        return first

    def _differ(self, first: BlockExecuted, commit: BlockExecuted, what: str) -> None:
        if first.node != commit.node:
            nodes = (first.node, commit.node)
            self._report.violated(violation(EXECUTION, f"{first.node} and {commit.node} {what}", commit.round, nodes))

    def certified(self, certificate: CertificateSeen) -> None:
        """A certificate that verifies: is its state the only one of its block?"""
        if certificate.block is None or certificate.fault:
            return
        first = self._certified.setdefault(certificate.block, certificate)
        if first.state != certificate.state:
            detail = f"two states are certified for the block of round {certificate.round}"
            shows = (first.value, certificate.value)
            self._report.violated(violation(EXECUTION, detail, certificate.round, (), shows))

    def unrecoverable(self, node: str, detail: str) -> None:
        """A node found its storage contradicting itself, or what quorums certified, and does not run again."""
        if self._roster.correct(node):
            self._report.violated(violation(EXECUTION, f"{node} does not run again: {detail}", None, (node,)))
