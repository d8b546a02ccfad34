"""The record of a run, judged (docs/judge.md): a reader of traces, live or from a file, from any runtime.

A `Checker` takes the records one at a time, makes facts of them, and asks the properties of this room. It judges what
was sent, made durable and delivered, and never calls the core that did so: quorums are counted and certificates
verified a second time, on purpose. With more than f replicas that are not correct nothing is promised; whether that is
so, the verdict on a run says. Each property is reported once per set of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args

from typing_extensions import override

from diembft.errors import InputError, require_type
from diembft.judge import agreement, certificates, monotonicity, order, requests, votes, waiting
from diembft.judge.agreement import Agreement, by_ids
from diembft.judge.certificates import Certificates, CertifiedUniqueness
from diembft.judge.diembft import DiemBftReader
from diembft.judge.facts import Entered, Numbers, RequestKey, Roster
from diembft.judge.monotonicity import Monotonicity
from diembft.judge.neutral import NeutralReader, Seen, timed_out, voted
from diembft.judge.order import CommitOrder
from diembft.judge.requests import Requests, States
from diembft.judge.verdict import Decided, Finding, Report, Verdict
from diembft.judge.votes import HonestVoteOnce
from diembft.judge.waiting import Waiting
from diembft.trace.consistency import Consistency
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
from diembft.trace.values import Certificate, Message

DIEMBFT = "diembft"
"""The protocol whose details are verified; of others, what stands in neutral terms is judged."""

STALE = "stale"
"""The status of a reply that refuses a request as too old."""

PROPERTIES: Mapping[str, type] = MappingProxyType(
    {
        agreement.NAME: Agreement,
        certificates.CERTIFIED_UNIQUENESS: CertifiedUniqueness,
        votes.NAME: HonestVoteOnce,
        monotonicity.NAME: Monotonicity,
        order.NAME: CommitOrder,
        requests.EXECUTION: Requests,
        certificates.CERTIFICATES: Certificates,
        requests.VALIDITY: Requests,
        waiting.NAME: Waiting,
    }
)
"""What is judged, by name, each with the property that is asked."""


_AFTER_THE_HEADER: tuple[type, ...] = tuple([kind for kind in get_args(Record) if kind is not Header])


def check(records: Iterable[Record]) -> Iterator[Violated]:
    """All that a trace violates, its header being its first record. Raises InputError for what is no trace.

    >>> from diembft import Settings, check_trace, simulate
    >>> list(check_trace(simulate(Settings(requests=1, trace=True)).trace))
    []
    """
    require_type(records, Iterable, "check_trace", "read_trace gives the records of a file")
    return Trial("check_trace: record").violated(records)


class Trial:
    """A whole trace, from anywhere: whether it is one, what it violates, and what was judged of it."""

    def __init__(self, where: str) -> None:
        """`where`: what an InputError names, before the number of the record."""
        self._where = where
        self._checker: Checker | None = None
        self._consistency: Consistency | None = None
        self._violated: dict[str, None] = {}

    def violated(self, records: Iterable[Record]) -> Iterator[Violated]:
        """All that is violated."""
        number = 0
        for number, record in enumerate(records, 1):
            try:
                found = self._take(record)
            except InputError as error:
                raise InputError(f"{self._where} {number}: {error}") from None
            for violated in found:
                self._violated[violated.property] = None
                yield violated
        if number == 0:
            raise InputError(f"{self._where} 1: the trace is empty, and a trace begins with its header")

    def verdicts(self) -> dict[str, Verdict]:
        """Of each property, once all is told; undecided is what there were no facts for."""
        verdicts = {
            name: Verdict.HELD if asked.decided else Verdict.UNDECIDED for name, asked in self._begun().asked.items()
        }
        return verdicts | dict.fromkeys(self._violated, Verdict.VIOLATED)

    @property
    def judged(self) -> bool:
        """Whether at least a commit, a vote or a certificate of a correct node was judged."""
        asked = self._begun().asked
        return any(asked[name].decided for name in (agreement.NAME, votes.NAME, certificates.CERTIFICATES))

    @property
    def verified(self) -> bool:
        """Whether the signatures of all that was judged were there to be verified."""
        return self._begun().verified

    def _begun(self) -> Checker:
        assert self._checker is not None, "because a verdict is asked for when all is told"
        return self._checker

    def _take(self, record: Record) -> list[Violated]:
        checker, consistency = self._checker, self._consistency
        if checker is None or consistency is None:
            if not isinstance(record, Header):
                raise InputError(f"{type(record).__name__}: a trace begins with its header")
            self._consistency = Consistency(record)
            self._checker = Checker(record)
            return []
        if not isinstance(record, _AFTER_THE_HEADER):
            raise InputError(f"{type(record).__name__}: after the header come the other records")
        consistency.take(record)
        return checker.feed(checker.readable(record))


def roster_of(header: Header) -> Roster:
    """Who plays."""
    shared = [node.replica for node in header.nodes]
    correct = [node.name for node in header.nodes if node.correct and shared.count(node.replica) == 1]
    return Roster(header.n, {node.name: node.replica for node in header.nodes}, correct, header.quorum)


class _Found(Report):
    """What was found and not taken yet, each property once per set of nodes."""

    def __init__(self) -> None:
        self.at = 0.0
        self.found: list[Violated] = []
        self._known: dict[tuple[str, tuple[str, ...]], None] = {}

    @override
    def violated(self, finding: Finding) -> None:
        if (finding.oracle, finding.nodes) in self._known:
            return
        self._known[finding.oracle, finding.nodes] = None
        shown, signed = finding.certificates, finding.signed
        self.found.append(
            Violated(self.at, finding.oracle, finding.detail, finding.nodes, finding.round, shown, signed)
        )

    def take(self) -> list[Violated]:
        """What was found since the last time."""
        found, self.found = self.found, []
        return found


class Checker:
    """Judges one run, record by record. Each record costs a constant time on average."""

    def __init__(self, header: Header) -> None:
        roster, found = roster_of(header), _Found()
        self._roster = roster
        self._found = found
        self._reader = DiemBftReader(header) if header.protocol == DIEMBFT else NeutralReader(header)
        self._certificates = Certificates(roster, found)
        self._uniqueness = CertifiedUniqueness(roster, found)
        self._votes = HonestVoteOnce(roster, found)
        self._agreement = Agreement(roster, found, by_ids)
        self._order = CommitOrder(roster, found)
        self._requests = Requests(roster, found)
        self._states = States(roster, found)
        self._numbers = Monotonicity(roster, found)
        self._waiting = Waiting(roster, found, header.delta_s)
        self._last_signed: dict[str, Message] = {}
        self._last_state: dict[str, State] = {}
        self._submitted: dict[int, RequestKey] = {}
        """The requests in messages of clients, by the messages' numbers."""

    @property
    def verified(self) -> bool:
        """Whether signatures were verified, of all that was judged."""
        return self._reader.verified

    def readable(self, record: Record) -> Record:
        """A record of a trace from elsewhere, as `feed` takes it. Raises InputError."""
        return self._reader.readable(record)

    @property
    def asked(self) -> dict[str, Decided]:
        """The properties, by their names."""
        return {
            agreement.NAME: self._agreement,
            certificates.CERTIFIED_UNIQUENESS: self._uniqueness,
            votes.NAME: self._votes,
            monotonicity.NAME: self._numbers,
            order.NAME: self._order,
            requests.EXECUTION: self._requests,
            certificates.CERTIFICATES: self._certificates,
            requests.VALIDITY: self._requests,
            waiting.NAME: self._waiting,
        }

    def finish(self, at: float) -> list[Violated]:
        """What is violated if nothing more happens until then, in seconds since the start of the run."""
        self._found.at = at
        if at > self._waiting.deadline:
            self._waiting.overdue()
        return self._found.take()

    def feed(self, record: Record) -> list[Violated]:
        """What this record shows to be violated; in nearly all cases nothing."""
        # By the identity of the kind: to be no instance of a Struct costs several times as much.
        assert type(record) is not Header, "because the header is given to the constructor"
        found, at = self._found, record.at
        found.at = at
        if at > self._waiting.deadline:
            self._waiting.overdue()
        handler = _HANDLERS.get(type(record))
        if handler is not None:
            handler(self, record)
            if self._uniqueness.open:
                self._uniqueness.settle()
        return found.take() if found.found else []

    def _submitted_request(self, record: Submitted) -> None:
        self._submitted[record.message] = (record.client, record.number, record.session)

    def _replied(self, record: Replied) -> None:
        if record.status == STALE:
            self._waiting.refused(record.node, (record.client, record.number, record.session))

    def _timer_set(self, record: TimerSet) -> None:
        if record.timer == "round":
            self._waiting.timer(record.node, record.delay_s)

    def _timer_ended(self, record: TimerCancelled | Fired) -> None:
        if record.timer == "round":
            self._waiting.timer(record.node, None)

    def _turned(self, record: SetAttribute) -> None:
        self._roster.turn(record.node)
        self._waiting.turned(record.node)

    def _crashed(self, record: Crashed) -> None:
        self._waiting.faulted()
        self._waiting.lost(record.node)

    def _restarted(self, record: Restarted) -> None:
        self._numbers.restarted(record.node)

    def _disturbed(self, _: Partitioned | Paused) -> None:
        self._waiting.faulted()

    def _synchronous(self, record: Synchronous) -> None:
        self._waiting.synchronous(record.at, record.delta_s)

    def _evidence(self, record: Evidence) -> None:
        self._holds(record.node, record.certificate)
        if record.kind == "unrecoverable":
            self._states.unrecoverable(record.node, record.detail)

    def _sent(self, record: Sent) -> None:
        for seen in self._reader.in_message(record.message):
            self._seen(record.node, "sends", seen)
        self._signed(record.node, record.message)

    def _signed(self, node: str, message: Message) -> None:
        if self._last_signed.get(node) is message:
            return  # made durable, then sent, then made durable again
        vote, timeout = message.vote, message.timeout
        if vote is None and timeout is None:
            return
        self._last_signed[node] = message
        if vote is not None:
            signed = voted(node, vote, message)
            self._uniqueness.voted(signed)
            self._votes.voted(signed)
        if timeout is not None:
            self._votes.timed_out(timed_out(node, timeout, message))

    def _state(self, record: State) -> None:
        node = record.node
        # What it held before was judged then; of one that does not verify, nothing is said twice of a node.
        last = self._last_state.get(node, record)
        self._last_state[node] = record
        if record.high is not last.high or last is record:
            self._holds(node, record.high)
        if record.committed_by is not last.committed_by or last is record:
            self._holds(node, record.committed_by)
        if record.given_up is not last.given_up or last is record:
            self._holds(node, record.given_up)
        round_, height = record.current_round, record.height
        self._numbers.numbers(Numbers(node, record.voted_round, record.locked_round, round_, height))
        self._order.told(node, height)
        self._waiting.entered(Entered(record.at, node, round_, record.leader))

    def _persisted(self, record: Persisted) -> None:
        if record.signed is not None:
            self._signed(record.node, record.signed)
        self._numbers.numbers(Numbers(record.node, record.voted_round, record.locked_round))

    def _committed(self, record: Committed) -> None:
        for seen in self._reader.of_block(record.block):
            self._seen(record.node, "holds", seen)
        self._holds(record.node, record.certificate)
        commit = self._reader.committed(record)
        self._order.committed(commit)
        self._agreement.committed(commit)
        self._states.committed(commit)
        self._requests.committed(commit)
        if self._waiting.waits:
            self._waiting.committed(record.node, record.block.requests)

    def _delivered(self, record: Delivered) -> None:
        key = self._submitted.get(record.number)
        if key is None or record.rejected or record.ignored or key in self._requests.executed:
            return
        self._waiting.holds(record.at, record.node, key)

    def _holds(self, node: str, certificate: Certificate | None) -> None:
        if certificate is not None:
            for seen in self._reader.of(certificate):
                self._seen(node, "holds", seen)

    def _seen(self, node: str, verb: str, seen: Seen) -> None:
        """A certificate is told of once, one that does not verify each time."""
        certified, new = seen
        if new:
            self._uniqueness.seen(node, certified)
            self._states.certified(certified)
        if new or certified.fault:
            self._certificates.seen(node, verb, certified)


_HANDLERS: dict[type, Callable[[Checker, Any], None]] = {
    Sent: Checker._sent,
    Delivered: Checker._delivered,
    State: Checker._state,
    Persisted: Checker._persisted,
    Committed: Checker._committed,
    Submitted: Checker._submitted_request,
    Replied: Checker._replied,
    TimerSet: Checker._timer_set,
    TimerCancelled: Checker._timer_ended,
    Fired: Checker._timer_ended,
    SetAttribute: Checker._turned,
    Crashed: Checker._crashed,
    Restarted: Checker._restarted,
    Partitioned: Checker._disturbed,
    Paused: Checker._disturbed,
    Synchronous: Checker._synchronous,
    Evidence: Checker._evidence,
}
"""Other records tell nothing about these properties."""
