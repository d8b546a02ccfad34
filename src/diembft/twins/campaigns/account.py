"""The account of one execution, round by round: who heard whom, which votes and certificates formed, what conflicted.

Made from the trace alone. A block is named after the node that proposed it and its round: `a'3`. Lines are text with
colours (`rich.text.Text`); as plain text they lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from rich.text import Text

from diembft.judge.verdict import Finding, Verdict
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
    kind_of,
    round_of,
)
from diembft.trace import records
from diembft.trace.records import Record
from diembft.twins.runs.judging import Judgement
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import format_round, format_scenario

LOST = "red"
HEARD = "green"
NAMED = "bold"
QUIET = "dim"
CERTIFICATE = "cyan"
COMMIT = "magenta"
VIOLATED = "bold red"
HEADLINE = "bold underline"

GENESIS = "genesis"

Words: TypeAlias = list[str | tuple[str, str]]
"""What `Text.assemble` takes: pieces, some with a style."""


@dataclass
class _Fate:
    """What became of one message."""

    message: Message
    heard: list[str] = field(default_factory=list)
    nothing: dict[str, str] = field(default_factory=dict)
    """By receiver: why it refused the message, or why it had no effect."""
    lost: dict[str, str] = field(default_factory=dict)
    """By receiver: why it did not arrive."""


class _RoundLine(NamedTuple):
    """One line of a round: a message of a node, or something else that happened, already in words."""

    at: float
    round: int
    node: str
    what: _Fate | Text


def account(scenario: Scenario, judgement: Judgement, trace: Iterable[Record]) -> list[Text]:
    """The lines of the account of an executed scenario."""
    teller = _Teller(scenario)
    for record in trace:
        teller.take(record)
    return teller.tell(judgement)


class _Teller:
    """Sorts a trace by rounds, and tells it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.blocks: dict[bytes, str] = {}
        self.fates: dict[int, _Fate] = {}
        self.entries: list[_RoundLine] = []
        self.rounds: dict[str, int] = {}
        self.known: set[QC | int] = set()
        """The QCs, and the rounds of the TCs, that some node has held."""

    # --- sorting

    def take(self, record: Record) -> None:
        """One record of the trace."""
        match record:
            case records.Sent():
                self.note_blocks(record.message)
                fate = self.fates[record.number] = _Fate(record.message)
                if record.to:
                    self.entries.append(_RoundLine(record.at, round_of(record.message), record.node, fate))
            case records.Delivered():
                reason = record.rejected or record.ignored
                if reason is None:
                    self.fates[record.number].heard.append(record.node)
                else:
                    self.fates[record.number].nothing[record.node] = reason
            case records.Dropped():
                self.fates[record.number].lost[record.to] = record.reason
            case records.State():
                self.note_certificates(record)
                self.rounds[record.node] = record.current_round
            case records.Committed():
                line = Text.assemble("commits ", (self.name(record.block), COMMIT), f" at height {record.height}")
                line.append(f", by the QC of round {record.certificate.round}", QUIET)
                self.entries.append(_RoundLine(record.at, record.block.round, record.node, line))
            case records.Crashed() | records.Restarted():
                crashed = isinstance(record, records.Crashed)
                line = Text("crashes" if crashed else "starts again with what it had persisted", LOST)
                self.entries.append(_RoundLine(record.at, self.rounds.get(record.node, 1), record.node, line))
            case _:
                pass

    def note_blocks(self, message: Message) -> None:
        """Name the blocks in a message."""
        match message:
            case ProposalMsg():
                self.name(message.block)
            case BlockResponse():
                for block in message.blocks:
                    self.name(block)
            case _:
                pass

    def name(self, block: Block) -> str:
        """The name of a block: its payload says which node proposed it."""
        node = block.payload[0].client if block.payload else self.scenario.replicas[block.author]
        return self.blocks.setdefault(block.id, f"{node}{block.round}")

    def named(self, block_id: bytes, round_: int) -> str:
        """The name of a block of which the id is given."""
        return GENESIS if round_ == 0 else self.blocks.get(block_id, f"a block of round {round_}")

    def note_certificates(self, state: records.State) -> None:
        """Certificates that no node held before."""
        qc, tc = state.high_qc, state.last_round_tc
        if qc.round > 0 and qc not in self.known:
            self.known.add(qc)
            line = Text.assemble("holds ", *self.certificate(qc))
            if qc.commits and qc.vote_info.parent_round > 0:
                line.append(f", which commits {self.named(qc.vote_info.parent_id, qc.vote_info.parent_round)}", QUIET)
            self.entries.append(_RoundLine(state.at, qc.round, state.node, line))
        if tc is not None and tc.round not in self.known:
            self.known.add(tc.round)
            line = Text.assemble("holds ", *self.certificate(tc))
            line.append(f", with a QC of round {max(tc.tmo_high_qc_rounds)}", QUIET)
            self.entries.append(_RoundLine(state.at, tc.round, state.node, line))

    def certificate(self, certificate: QC | TC) -> Words:
        """A certificate and its signers."""
        if isinstance(certificate, QC):
            info = certificate.vote_info
            what, signatures = f"a QC for {self.named(info.id, info.round)}", certificate.signatures
        else:
            what, signatures = f"a TC of round {certificate.round}", certificate.tmo_signatures
        return [(what, CERTIFICATE), f", signed by {','.join([self.scenario.replicas[who] for who, _ in signatures])}"]

    # --- telling

    def tell(self, judgement: Judgement) -> list[Text]:
        """All lines."""
        lines = [Text(line, QUIET) for line in format_scenario(self.scenario).splitlines()]
        rounds: dict[int, list[_RoundLine]] = {}
        for entry in self.entries:
            rounds.setdefault(entry.round, []).append(entry)
        for round_ in range(1, max(rounds, default=0) + 1):
            lines += [Text(), self.headline(round_), *self.tell_round(rounds.get(round_, []))]
        lines += [Text(), Text(f"The end: {judgement.ending.value}.")]
        for finding in judgement.findings:
            lines += self.tell_finding(finding)
        return lines

    def headline(self, round_: int) -> Text:
        """What the scenario says of a round."""
        rounds = self.scenario.rounds
        if round_ <= len(rounds):
            script = format_round(rounds[round_ - 1]).replace("|", " | ")
        else:
            leader = rounds[-1].leader if rounds else self.scenario.replicas[0]
            script = f"{leader} leads all, after the script"
        return Text.assemble((f"Round {round_}: ", HEADLINE), script)

    def tell_round(self, entries: Iterable[_RoundLine]) -> list[Text]:
        """The lines of a round, in order of time; what happens again in the same way is counted behind the first."""
        first: dict[str, tuple[float, Text]] = {}
        times: dict[str, int] = {}
        for entry in entries:
            line = Text.assemble((f"{entry.node:<2}", NAMED), " ")
            line.append_text(self.tell_message(entry.what) if isinstance(entry.what, _Fate) else entry.what)
            first.setdefault(line.plain, (entry.at, line))
            times[line.plain] = times.get(line.plain, 0) + 1
        told = []
        for plain, (at, line) in first.items():
            again = f"  ({times[plain]} times)" if times[plain] > 1 else ""
            told.append(Text.assemble((f"  {at:7.2f}  ", QUIET), line, (again, QUIET)))
        return told

    def tell_message(self, fate: _Fate) -> Text:
        """A message and its fate."""
        line = Text.assemble(*self.what(fate.message))
        if fate.heard:
            line.append(" → ").append(",".join(fate.heard), HEARD)
        for reason, nodes in _grouped(fate.nothing):
            line.append(f" · {','.join(nodes)}: {reason}", QUIET)
        for reason, nodes in _grouped(fate.lost):
            line.append(" ✗ ").append(",".join(nodes), LOST).append(f" ({reason})", QUIET)
        return line

    def what(self, message: Message) -> Words:
        """What a message is, in words."""
        match message:
            case ProposalMsg():
                block, tc = message.block, message.last_round_tc
                parent = self.named(block.qc.vote_info.id, block.qc.round)
                after = "" if tc is None else f", after a TC of round {tc.round}"
                return ["proposes ", (self.name(block), NAMED), f" on {parent}{after}"]
            case VoteMsg():
                info = message.vote_info
                return ["votes for ", (self.named(info.id, info.round), NAMED)]
            case TimeoutMsg():
                info_ = message.tmo_info
                return [f"gives up on round {info_.round}, its highest QC is of round {info_.high_qc.round}"]
            case SyncInfo():
                tc = message.last_round_tc
                also = "" if tc is None else f" and a TC of round {tc.round}"
                return [f"tells of a QC of round {message.high_qc.round}{also}"]
            case BlockRequest():
                return [f"asks for {self.blocks.get(message.id, 'a block')}"]
            case BlockResponse():
                return [f"gives {', '.join([self.name(block) for block in message.blocks]) or 'no blocks'}"]
            case _:
                return [f"sends a {kind_of(message)}"]

    def tell_finding(self, finding: Finding) -> list[Text]:
        """What an oracle says, with what shows it; nothing if its property just held."""
        if finding.verdict is Verdict.HELD and not finding.detail:
            return []
        style = {Verdict.HELD: HEARD, Verdict.VIOLATED: VIOLATED, Verdict.UNDECIDED: QUIET}[finding.verdict]
        lines = [Text.assemble((f"{finding.verdict.value.upper()} {finding.oracle}", style), f": {finding.detail}")]
        for certificate in finding.certificates:
            if isinstance(certificate, QC | TC):
                lines.append(Text.assemble("    ", *self.certificate(certificate)))
        for message in finding.signed:
            if not isinstance(message, VoteMsg | TimeoutMsg):
                continue
            sender = message.sender if isinstance(message, VoteMsg) else message.tmo_info.sender
            lines.append(Text.assemble("    ", (self.scenario.replicas[sender], NAMED), " ", *self.what(message)))
        return lines


def _grouped(reasons: dict[str, str]) -> Sequence[tuple[str, list[str]]]:
    """Nodes by reason."""
    grouped: dict[str, list[str]] = {}
    for node, reason in reasons.items():
        grouped.setdefault(reason, []).append(node)
    return list(grouped.items())
