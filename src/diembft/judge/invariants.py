"""The invariants of the protocol, judged over the record of a run (docs/protocol.md, "Invariants").

A `Checker` takes the records of a trace one at a time, from any runtime, live or from a file, and says what they
violate. It judges what was sent, made durable and delivered, and never calls the core that did so: quorums are counted
and certificates verified here a second time, on purpose.

Judged are the *correct* nodes: those that no twin, planted bug, Byzantine actor or SetAttribute touched (so far). With
more than f others nothing is promised; whether that is so, the verdict on a run says. Each property is reported once
per set of nodes.

1. `agreement`: the committed chains of any two correct nodes are prefixes of one another.
2. `certified_uniqueness`: at most one block is certified in a round.
3. `honest_vote_once`: a correct node signs at most one vote in a round, and none in a round that it timed out in
   before, restarts included.
4. `monotonicity`: highest_vote_round, highest_qc_round and the number of committed blocks never decrease, also across a
   restart; current_round never decreases while running, and after a restart is at least highest_vote_round.
5. `commit_order`: a block is committed after its ancestors; `execution`: each request executes at most once, and
   correct nodes have equal states at equal heights, also across a restart: what a storage hands back fits together.
6. `certificates`: every QC and TC that a correct node holds or sends verifies.
7. `validity`: every executed request is in its block and was signed by its client.
8. `liveness`: see `_Liveness`, which states its bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import TypeVar

from msgspec import Struct

from diembft.crypto.ed25519 import Ed25519KeyRing
from diembft.crypto.interface import KeyRing
from diembft.crypto.symbolic import SymbolicKeyRing
from diembft.errors import InputError
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    STALE,
    TC,
    BlockResponse,
    LedgerCommitInfo,
    Message,
    ProposalMsg,
    Request,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from diembft.trace.records import (
    Committed,
    Crashed,
    Delivered,
    Evidence,
    Fired,
    Header,
    Partitioned,
    Paused,
    Persisted,
    Record,
    Replied,
    Restarted,
    Sent,
    SetAttribute,
    State,
    Submitted,
    Synchronous,
    TimerCancelled,
    TimerSet,
    Violated,
)

AGREEMENT = "agreement"
CERTIFIED_UNIQUENESS = "certified_uniqueness"
HONEST_VOTE_ONCE = "honest_vote_once"
MONOTONICITY = "monotonicity"
COMMIT_ORDER = "commit_order"
EXECUTION = "execution"
CERTIFICATES = "certificates"
VALIDITY = "validity"
LIVENESS = "liveness"

_Certificate = TypeVar("_Certificate", QC, TC)

_PUBLIC_KEY_SIZE = 32

_CACHED_CERTIFICATES = 4096
"""How many certificates are remembered with what is wrong with them."""


def check(records: Iterable[Record]) -> Iterator[Violated]:
    """All that a trace violates, its header being its first record.

    >>> from diembft import Settings, check_trace, simulate
    >>> list(check_trace(simulate(Settings(requests=1, trace=True)).trace))
    []
    """
    checker: Checker | None = None
    for record in records:
        if checker is None:
            if not isinstance(record, Header):
                raise InputError(f"check_trace: {type(record).__name__}: a trace begins with its header")
            checker = Checker(record)
        else:
            yield from checker.feed(record)
    if checker is None:
        raise InputError("check_trace: the trace is empty, and a trace begins with its header")


class Checker:
    """Judges one run, record by record. Each record costs a constant time on average."""

    def __init__(self, header: Header) -> None:
        self._report = _Report(header)
        self._certificates = _Certificates(header, self._report)
        self._votes = _Votes(self._report)
        self._chains = _Chains(header, self._report)
        self._progress = _Monotonicity(self._report)
        self._liveness = _Liveness(header, self._report, self._chains)

    def finish(self, at: float) -> list[Violated]:
        """What is violated if nothing more happens until then, in seconds since the start of the run."""
        self._report.at = at
        if at > self._liveness.deadline:
            self._liveness.overdue()
        return self._report.take()

    def feed(self, record: Record) -> list[Violated]:
        """What this record shows to be violated; in nearly all cases nothing."""
        report = self._report
        assert not isinstance(record, Header), "because the header is given to the constructor"
        report.at = record.at
        if record.at > self._liveness.deadline:
            self._liveness.overdue()
        match record:
            case Sent():
                self._certificates.sent(record)
                self._votes.signed(record.node, record.message)
            case State():
                self._certificates.state(record)
                self._progress.state(record)
                self._chains.state(record)
                self._liveness.state(record)
            case Persisted():
                if record.last_sent is not None:
                    self._votes.signed(record.node, record.last_sent)
                self._progress.persisted(record)
            case Committed():
                self._certificates.committed(record)
                self._chains.committed(record)
                self._liveness.committed(record)
            case Delivered():
                self._liveness.delivered(record)
            case Submitted():
                self._liveness.submitted(record)
            case Replied():
                self._liveness.replied(record)
            case TimerSet() | TimerCancelled() | Fired():
                self._liveness.timer(record)
            case SetAttribute():
                report.byzantine(record.node)
                self._liveness.byzantine(record.node)
            case Crashed():
                self._liveness.faulted()
                self._liveness.lost(record.node)
            case Restarted():
                self._progress.restarted(record.node)
            case Partitioned() | Paused():
                self._liveness.faulted()
            case Synchronous():
                self._liveness.synchronous(record)
            case Evidence():
                self._certificates.evidence(record)
                self._chains.evidence(record)
            case _:
                pass  # the rest tells nothing about these properties
        return report.take()


class _Report:
    """Who is correct, and what was found."""

    def __init__(self, header: Header) -> None:
        shared = [node.replica for node in header.nodes]
        self.identity = {node.name: node.replica for node in header.nodes}
        self._correct = {node.name: node.correct and shared.count(node.replica) == 1 for node in header.nodes}
        self.at = 0.0
        self._found: list[Violated] = []
        self._known: dict[tuple[str, tuple[str, ...]], None] = {}

    def correct(self, node: str) -> bool:
        """Whether a node is correct, as far as the records tell by now."""
        return self._correct.get(node, False)

    def correct_nodes(self) -> list[str]:
        """All correct nodes, in the order of the header."""
        return [node for node, correct in self._correct.items() if correct]

    def correct_identity(self, replica: int) -> bool:
        """Whether a validator is run by a correct node."""
        return any(self.identity[node] == replica for node in self.correct_nodes())

    def faulty(self) -> int:
        """How many validators are not correct."""
        return len(dict.fromkeys([self.identity[node] for node, correct in self._correct.items() if not correct]))

    def byzantine(self, node: str) -> None:
        """The node is no longer correct."""
        if node in self._correct:
            self._correct[node] = False

    def take(self) -> list[Violated]:
        """What was found since the last time."""
        if not self._found:
            return []
        found, self._found = self._found, []
        return found

    def violated(
        self,
        name: str,
        detail: str,
        *nodes: str,
        round_: int | None = None,
        certificates: tuple[QC, ...] = (),
        votes: tuple[VoteMsg, ...] = (),
    ) -> None:
        """Something is violated; said once for each set of nodes."""
        if (name, nodes) not in self._known:
            self._known[name, nodes] = None
            self._found.append(Violated(self.at, name, detail, nodes, round_, certificates, votes))


class _Certificates:
    """6, and 2 over all certificates that verify, whoever sent them."""

    def __init__(self, header: Header, report: _Report) -> None:
        self._report = report
        self._digests = Digests(header.chain_id, header.epoch)
        self._keys = key_ring(header)
        self._quorum = header.n - (header.n - 1) // 3
        self._genesis: QC | None = None
        self._qcs: dict[QC, str] = {}
        self._tcs: dict[TC, str] = {}
        self._certified: dict[int, QC] = {}

    def sent(self, record: Sent) -> None:
        qcs, tc = _certificates_of(record.message)
        for qc in qcs:
            self._held(record.node, "sends", qc)
        if tc is not None:
            self._held_tc(record.node, "sends", tc)

    def state(self, record: State) -> None:
        self._held(record.node, "holds", record.high_qc)
        self._held(record.node, "holds", record.high_commit_qc)
        if record.last_round_tc is not None:
            self._held_tc(record.node, "holds", record.last_round_tc)

    def committed(self, record: Committed) -> None:
        self._held(record.node, "holds", record.block.qc)
        self._held(record.node, "holds", record.certificate)

    def evidence(self, record: Evidence) -> None:
        if record.certificate is not None:
            self._held(record.node, "holds", record.certificate)

    def _held(self, node: str, verb: str, qc: QC) -> None:
        fault = self._qcs.get(qc)
        if fault is None:
            fault = self._fault(qc)
            _remember(self._qcs, qc, fault)
            if not fault:
                self._is_certified(qc)
        if fault and self._report.correct(node):
            detail = f"{node} {verb} a QC of round {qc.round} that does not verify: {fault}"
            self._report.violated(CERTIFICATES, detail, node, round_=qc.round, certificates=(qc,))

    def _held_tc(self, node: str, verb: str, tc: TC) -> None:
        fault = self._tcs.get(tc)
        if fault is None:
            fault = self._tc_fault(tc)
            _remember(self._tcs, tc, fault)
        if fault and self._report.correct(node):
            detail = f"{node} {verb} a TC of round {tc.round} that does not verify: {fault}"
            self._report.violated(CERTIFICATES, detail, node, round_=tc.round)
        self._held(node, verb, tc.high_qc)

    def _is_certified(self, qc: QC) -> None:
        """A QC that verifies: is its block the only one of its round, and its state the only one of its block?"""
        first = self._certified.setdefault(qc.round, qc).vote_info
        if first.id != qc.vote_info.id:
            detail = f"two blocks are certified in round {qc.round}: {_short(first.id)} and {_short(qc.vote_info.id)}"
            self._report.violated(
                CERTIFIED_UNIQUENESS, detail, round_=qc.round, certificates=(self._certified[qc.round], qc)
            )
        elif first.exec_state_id != qc.vote_info.exec_state_id:
            detail = f"two states are certified for the block of round {qc.round}"
            self._report.violated(EXECUTION, detail, round_=qc.round, certificates=(self._certified[qc.round], qc))

    def _fault(self, qc: QC) -> str:
        """What is wrong with a QC; the empty string if nothing is."""
        vote_info, info = qc.vote_info, qc.ledger_commit_info
        if vote_info.round == 0:
            if self._genesis is None and not qc.signatures and vote_info.id == self._digests.genesis:
                self._genesis = qc
            return "" if qc == self._genesis else "it is of round 0, and not the genesis QC"
        if info.vote_info_hash != self._digests.vote_info(vote_info):
            return "the votes were about something else"
        if vote_info.parent_round >= vote_info.round:
            return "its parent is not of an earlier round"
        if (info.commit_state_id is None) == (vote_info.parent_round + 1 == vote_info.round):
            return "it commits exactly if rounds are consecutive, and this one does not"
        signers = [signer for signer, _ in qc.signatures]
        return self._signers_fault(signers) or self._signature_fault(qc, info)

    def _signature_fault(self, qc: QC, info: LedgerCommitInfo) -> str:
        digest = self._digests.vote(info)
        for signer, signature in qc.signatures:
            if not self._keys.verify(signer, digest, signature):
                return f"validator {signer} did not sign it"
        if not self._keys.verify(qc.author, self._digests.qc(info, qc.signatures), qc.author_signature):
            return f"its author, validator {qc.author}, did not sign it"
        return ""

    def _tc_fault(self, tc: TC) -> str:
        """What is wrong with a TC, its QC left out; the empty string if nothing is."""
        rounds = tc.tmo_high_qc_rounds
        fault = self._signers_fault([signer for signer, _ in tc.tmo_signatures])
        if fault:
            return fault
        if len(rounds) != len(tc.tmo_signatures):
            return "it has not one round for each signature"
        if max(rounds) != tc.high_qc.round or max(rounds) >= tc.round:
            return "its QC is not that of the highest signed round, below its own"
        for (signer, signature), round_ in zip(tc.tmo_signatures, rounds, strict=True):
            if not self._keys.verify(signer, self._digests.timeout(tc.round, round_), signature):
                return f"validator {signer} did not sign it"
        return ""

    def _signers_fault(self, signers: list[int]) -> str:
        distinct = len(dict.fromkeys(signers))
        if distinct != len(signers):
            return "somebody signed twice"
        return "" if distinct >= self._quorum else f"{distinct} signers are no quorum of {self._quorum}"


class _Votes:
    """3: from what is sent, and from what is made durable (a node's vote for itself is not sent)."""

    def __init__(self, report: _Report) -> None:
        self._report = report
        self._votes: dict[tuple[str, int], VoteMsg] = {}
        self._timeouts: dict[tuple[str, int], None] = {}

    def signed(self, node: str, message: Message) -> None:
        match message:
            case VoteMsg():
                self._voted(node, message)
            case TimeoutMsg():
                self._timeouts[node, message.tmo_info.round] = None
            case _:
                pass

    def _voted(self, node: str, vote: VoteMsg) -> None:
        round_ = vote.vote_info.round
        first = self._votes.get((node, round_))
        if first is vote or not self._report.correct(node):
            return
        if first is None:
            if (node, round_) in self._timeouts:
                detail = f"{node} votes in round {round_}, in which it timed out before"
                self._report.violated(HONEST_VOTE_ONCE, detail, node, round_=round_, votes=(vote,))
            self._votes[node, round_] = vote
        elif first.ledger_commit_info != vote.ledger_commit_info:
            detail = f"{node} signs two votes in round {round_}"
            self._report.violated(HONEST_VOTE_ONCE, detail, node, round_=round_, votes=(first, vote))


class _Entry(Struct, frozen=True):
    """One block of the committed chain, as the first correct node delivered it."""

    node: str
    block_id: bytes
    state_id: bytes
    executed: tuple[tuple[str, int], ...]


class _Chains:
    """1, 5 and 7: each node's chain against itself, and against the one that was delivered first."""

    def __init__(self, header: Header, report: _Report) -> None:
        self._report = report
        self._digests = Digests(header.chain_id, header.epoch)
        self._keys = key_ring(header)
        self._chain: list[_Entry] = []
        self._tips: dict[str, tuple[int, bytes, int]] = {
            node.name: (0, self._digests.genesis, 0) for node in header.nodes
        }
        """Of each node: how many blocks it delivered, the id and the round of the last."""
        self.executed: dict[tuple[str, int], int] = {}
        """The height at which each request was executed."""

    def committed(self, record: Committed) -> None:
        node, height, block = record.node, record.height, record.block
        if not self._report.correct(node):
            return
        length, last_id, last_round = self._tips[node]
        self._tips[node] = (height, block.id, block.round)
        if height != length + 1:
            self._out_of_order(record, f"{node} delivers block {height} after block {length}")
        elif block.qc.vote_info.id != last_id:
            self._out_of_order(record, f"{node} delivers at height {height} a block whose parent is not block {length}")
        elif block.round <= last_round:
            self._out_of_order(record, f"{node} delivers a block of round {block.round} after one of {last_round}")
        if not 1 <= height <= len(self._chain):
            if height == len(self._chain) + 1:
                self._chain.append(_entry(record))
                self._first_delivery(record)
            return
        first = self._chain[height - 1]
        if not self._report.correct(first.node):
            self._chain[height - 1] = first = _entry(record)
        if first.block_id != block.id:
            detail = (
                f"{first.node} and {node} commit different blocks at height {height}: "
                f"{_short(first.block_id)} and {_short(block.id)} (round {block.round})"
            )
            certificates = (record.certificate,)
            self._report.violated(AGREEMENT, detail, first.node, node, round_=block.round, certificates=certificates)
        elif (first.state_id, first.executed) != (record.state_id, record.executed):
            detail = f"{first.node} and {node} have different states after block {height}"
            self._report.violated(EXECUTION, detail, first.node, node, round_=block.round)

    def state(self, record: State) -> None:
        if not self._report.correct(record.node):
            return
        delivered = self._tips[record.node][0]
        if record.height != delivered:
            detail = f"{record.node} committed {record.height} blocks and delivered {delivered}"
            self._report.violated(COMMIT_ORDER, detail, record.node)

    def evidence(self, record: Evidence) -> None:
        if record.kind == "unrecoverable" and self._report.correct(record.node):
            self._report.violated(EXECUTION, f"{record.node} does not run again: {record.detail}", record.node)

    def _out_of_order(self, record: Committed, detail: str) -> None:
        self._report.violated(COMMIT_ORDER, detail, record.node, round_=record.block.round)

    def _first_delivery(self, record: Committed) -> None:
        """What was executed in this block, judged once."""
        if not record.executed:
            return
        requests: dict[tuple[str, int], Request] = {}
        for request in record.block.payload:
            requests.setdefault((request.client, request.number), request)
        for key in record.executed:
            name = f"request {key[1]} of {key[0]}"
            if key in self.executed:
                detail = f"{name} is executed in block {self.executed[key]} and again in block {record.height}"
                self._report.violated(EXECUTION, detail, record.node, round_=record.block.round)
            self.executed[key] = record.height
            if key not in requests:
                detail = f"{name} is executed in block {record.height}, which does not hold it"
                self._report.violated(VALIDITY, detail, record.node, round_=record.block.round)
            elif not self._signed(requests[key]):
                detail = f"{name} is executed in block {record.height}, and not signed by its client"
                self._report.violated(VALIDITY, detail, record.node, round_=record.block.round)

    def _signed(self, request: Request) -> bool:
        return self._keys.verify_client(request.client, self._digests.request_of(request), request.signature)


class _Monotonicity:
    """4."""

    def __init__(self, report: _Report) -> None:
        self._report = report
        self._locks: dict[str, tuple[int, int]] = {}
        """The highest (highest_vote_round, highest_qc_round) of each node."""
        self._rounds: dict[str, int] = {}
        """The current round of each node that runs; none between a restart and the first state after it."""
        self._heights: dict[str, int] = {}

    def state(self, record: State) -> None:
        node = record.node
        if not self._report.correct(node):
            return
        self._lock(node, record.highest_vote_round, record.highest_qc_round)
        height = self._heights.get(node, 0)
        if record.height < height:
            self._decreases(node, "the number of committed blocks", height, record.height)
        self._heights[node] = max(height, record.height)
        round_ = self._rounds.get(node)
        if round_ is None:
            at_least = self._locks[node][0]
            if record.current_round < at_least:
                detail = f"{node} starts in round {record.current_round}, below its last signature in round {at_least}"
                self._report.violated(MONOTONICITY, detail, node, round_=record.current_round)
        elif record.current_round < round_:
            self._decreases(node, "current_round", round_, record.current_round)
        self._rounds[node] = record.current_round

    def persisted(self, record: Persisted) -> None:
        if self._report.correct(record.node):
            self._lock(record.node, record.highest_vote_round, record.highest_qc_round)

    def restarted(self, node: str) -> None:
        self._rounds.pop(node, None)

    def _lock(self, node: str, vote_round: int, qc_round: int) -> None:
        highest_vote, highest_qc = self._locks.get(node, (0, 0))
        if vote_round < highest_vote:
            self._decreases(node, "highest_vote_round", highest_vote, vote_round)
        if qc_round < highest_qc:
            self._decreases(node, "highest_qc_round", highest_qc, qc_round)
        self._locks[node] = (max(vote_round, highest_vote), max(qc_round, highest_qc))

    def _decreases(self, node: str, what: str, before: int, after: int) -> None:
        detail = f"{what} of {node} decreases from {before} to {after}"
        self._report.violated(MONOTONICITY, detail, node)


class _Held(Struct):
    """A request that correct nodes hold."""

    nodes: dict[str, None]
    windows: int
    """By how many good windows it must be committed; counted from GST or from when it was first held."""


class _Liveness:
    """8: after GST, a request that a correct node holds commits within a bounded number of rounds and time.

    Judged from a record `Synchronous` until the next fault, if its delay is at most the delta that timers are derived
    from, and while at most f validators are not correct. With L the longest round timer that a correct node started
    since the last progress (or had running then):

    - *Time*: while a correct node holds a request, the highest round of correct nodes rises at least every 3 L + 6
      delta. (The holder's timer runs out, L; its timeout relays the request or brings its round up to date; the
      others' timers run out, L; should rounds have differed, a third L; and messages there and back.)
    - *Rounds*: a request commits within 30 n + b *good windows*: three rounds in a row in which all correct nodes that
      entered them saw the same leader, a correct one, and that all have left. b is the number of requests held when
      it came. (Each window commits a block of a correct leader, which takes waiting requests in turn; 30 n windows
      make it all but certain that a node that alone holds the request has led.)
    """

    WINDOWS_PER_NODE = 30

    def __init__(self, header: Header, report: _Report, chains: _Chains) -> None:
        self._report = report
        self._chains = chains
        self._n = header.n
        self._delta_s = header.delta_s
        self._since: float | None = None
        self._submitted: dict[int, tuple[str, int]] = {}
        self._held: dict[tuple[str, int], _Held] = {}
        self._rounds: dict[str, int] = {}
        self._timers: dict[str, float] = {}
        """The delay of the running round timer of each correct node."""
        self._highest = 0
        self._longest_s = 0.0
        self._progress_at = 0.0
        self.deadline = inf
        """When the highest round must have risen."""
        self._leaders: dict[int, int] = {}
        """Who leads the rounds that not all correct nodes have left; -1 where they disagree."""
        self._left = 0
        """Rounds up to this one all correct nodes have left."""
        self._good_in_row = 0
        self._windows = 0

    # --- synchrony

    def synchronous(self, record: Synchronous) -> None:
        self.faulted()
        if record.delta_s > self._delta_s or self._report.faulty() > (self._n - 1) // 3:
            return
        self._since = record.at
        for held in self._held.values():
            held.windows = self._allowed_windows()
        self._progressed()

    def faulted(self) -> None:
        self._since = None
        self.deadline = inf

    # --- what correct nodes hold

    def submitted(self, record: Submitted) -> None:
        self._submitted[record.number] = (record.request.client, record.request.number)

    def delivered(self, record: Delivered) -> None:
        key = self._submitted.get(record.number)
        if key is None or record.rejected or record.ignored or not self._report.correct(record.node):
            return
        if key in self._chains.executed:
            return
        held = self._held.get(key)
        if held is None:
            self._held[key] = _Held({record.node: None}, self._allowed_windows())
            if len(self._held) == 1:
                self._progressed()
        else:
            held.nodes[record.node] = None

    def replied(self, record: Replied) -> None:
        """A request that was refused is not held."""
        if record.reply.status == STALE:
            self._let_go((record.reply.client, record.reply.number), record.node)

    def lost(self, node: str) -> None:
        """What the node held counts no longer."""
        for key in [key for key, held in self._held.items() if node in held.nodes]:
            self._let_go(key, node)
        self._timers.pop(node, None)
        self._rounds.pop(node, None)

    def byzantine(self, node: str) -> None:
        """The node is no longer correct."""
        self.lost(node)
        if self._report.faulty() > (self._n - 1) // 3:
            self.faulted()

    def committed(self, record: Committed) -> None:
        if self._report.correct(record.node):
            for request in record.block.payload:
                self._held.pop((request.client, request.number), None)

    def _let_go(self, key: tuple[str, int], node: str) -> None:
        held = self._held.get(key)
        if held is not None:
            held.nodes.pop(node, None)
            if not held.nodes:
                del self._held[key]

    # --- progress

    def timer(self, record: TimerSet | TimerCancelled | Fired) -> None:
        if record.timer != "round" or not self._report.correct(record.node):
            return
        if isinstance(record, TimerSet):
            self._timers[record.node] = record.delay_s
            if record.delay_s > self._longest_s:
                self._longest_s = record.delay_s
                self._set_deadline()
        else:
            self._timers.pop(record.node, None)

    def state(self, record: State) -> None:
        if not self._report.correct(record.node):
            return
        round_ = record.current_round
        if round_ > self._left and self._leaders.setdefault(round_, record.leader) != record.leader:
            self._leaders[round_] = -1
        if self._rounds.get(record.node) != round_:
            self._rounds[record.node] = round_
            if round_ > self._highest:
                self._highest = round_
                self._progressed()
            self._leave_rounds(min(self._rounds.values()))

    def _progressed(self) -> None:
        self._progress_at = self._report.at
        self._longest_s = max(self._timers.values(), default=0.0)
        self._set_deadline()

    def _set_deadline(self) -> None:
        if self._since is not None:
            self.deadline = max(self._progress_at, self._since) + 3 * self._longest_s + 6 * self._delta_s

    def overdue(self) -> None:
        """The deadline has passed."""
        self.deadline = inf
        if self._held:
            client, number = next(iter(self._held))
            detail = (
                f"no correct node has gone beyond round {self._highest} since {self._progress_at:g} s, "
                f"while request {number} of {client} waits and the network is synchronous"
            )
            self._report.violated(LIVENESS, detail, round_=self._highest)

    def _leave_rounds(self, lowest: int) -> None:
        """All correct nodes are in round `lowest` or later: which of the rounds before it were good?"""
        if lowest <= self._left + 1:
            return
        for round_ in sorted([round_ for round_ in self._leaders if round_ < lowest]):
            self._leave_until(round_)
            self._left = round_
            leader = self._leaders.pop(round_)
            good = leader >= 0 and self._report.correct_identity(leader)
            self._good_in_row = self._good_in_row + 1 if good else 0
            if self._good_in_row >= 3:
                self._windows += 1
                self._too_many_windows()
        self._leave_until(lowest)

    def _leave_until(self, round_: int) -> None:
        """Rounds before this one that no correct node entered are not good."""
        if self._left + 1 < round_:
            self._left = round_ - 1
            self._good_in_row = 0

    def _allowed_windows(self) -> int:
        return self._windows + self.WINDOWS_PER_NODE * self._n + len(self._held)

    def _too_many_windows(self) -> None:
        """Judge the request that was held first: no later one may take longer by more than what waits before it."""
        if self._since is None or not self._held:
            return
        (client, number), held = next(iter(self._held.items()))
        if self._windows > held.windows:
            detail = f"request {number} of {client} waits at {', '.join(held.nodes)} after {self._windows} good windows"
            self._report.violated(LIVENESS, detail, *held.nodes, round_=self._highest)


def key_ring(header: Header) -> KeyRing:
    """The keys of the run that a header describes."""
    if header.crypto == "symbolic":
        return SymbolicKeyRing(header.n, header.clients)
    keys = {name: key for name, key in header.public_keys.items() if len(key) == _PUBLIC_KEY_SIZE}
    replicas = [keys.get(f"replica{replica}", bytes(_PUBLIC_KEY_SIZE)) for replica in range(header.n)]
    return Ed25519KeyRing(replicas, {client: keys[client] for client in header.clients if client in keys})


def _certificates_of(message: Message) -> tuple[tuple[QC, ...], TC | None]:
    """The certificates that a message carries."""
    match message:
        case ProposalMsg():
            return (message.block.qc, message.high_commit_qc), message.last_round_tc
        case VoteMsg():
            return (message.high_commit_qc,), None
        case TimeoutMsg():
            return (message.tmo_info.high_qc, message.high_commit_qc), message.last_round_tc
        case SyncInfo():
            return (message.high_qc, message.high_commit_qc), message.last_round_tc
        case BlockResponse():
            return tuple([block.qc for block in message.blocks]), None
        case _:
            return (), None


def _entry(record: Committed) -> _Entry:
    return _Entry(record.node, record.block.id, record.state_id, record.executed)


def _remember(cache: dict[_Certificate, str], certificate: _Certificate, fault: str) -> None:
    if len(cache) >= _CACHED_CERTIFICATES:
        del cache[next(iter(cache))]
    cache[certificate] = fault


def _short(digest: bytes) -> str:
    return digest[:4].hex()
