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
from diembft.trace import records
from diembft.trace.records import Record
from diembft.trace.values import Block, Certificate, Message
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


def account(
    scenario: Scenario, judgement: Judgement, trace: Iterable[Record], *, all_rounds: bool = True
) -> list[Text]:
    """The lines of the account of an executed scenario: what was found first, then round by round what happened, as far
    as the script or a violation goes, or in `all_rounds`."""
    teller = _Teller(scenario)
    for record in trace:
        teller.take(record)
    return teller.tell(judgement, None if all_rounds else told_rounds(scenario, judgement))


def told_rounds(scenario: Scenario, judgement: Judgement) -> int:
    """How many rounds say what there is to say: those that are scripted, until all hear all and nothing else is, and
    until what is violated."""
    violated = [finding.round for finding in judgement.violations if finding.round is not None]
    return max(min(scenario.gst, len(scenario.rounds)), *violated, 1)


class _Teller:
    """Sorts a trace by rounds, and tells it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.blocks: dict[bytes, str] = {}
        self.fates: dict[int, _Fate] = {}
        self.entries: list[_RoundLine] = []
        self.rounds: dict[str, int] = {}
        self.known: set[tuple[int, bytes | None, tuple[int, ...]]] = set()
        """The certificates that some node has held, by round, block and (of a block) signers."""

    # --- sorting

    def take(self, record: Record) -> None:
        """One record of the trace."""
        match record:
            case records.Sent():
                for block in record.message.blocks:
                    self.name(block)
                fate = self.fates[record.number] = _Fate(record.message)
                if record.to:
                    self.entries.append(_RoundLine(record.at, record.message.round, record.node, fate))
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
                line.append(f", by the certificate of round {record.certificate.round}", QUIET)
                self.entries.append(_RoundLine(record.at, record.block.round, record.node, line))
            case records.Crashed() | records.Restarted():
                crashed = isinstance(record, records.Crashed)
                line = Text("crashes" if crashed else "starts again with what it had persisted", LOST)
                self.entries.append(_RoundLine(record.at, self.rounds.get(record.node, 1), record.node, line))
            case _:
                pass

    def name(self, block: Block) -> str:
        """The name of a block: its requests say which node proposed it."""
        node = block.requests[0][0] if block.requests else self.scenario.replicas[block.author]
        return self.blocks.setdefault(block.id, f"{node}{block.round}")

    def named(self, block_id: bytes | None, round_: int) -> str:
        """The name of a block of which the id is given."""
        if block_id is None:
            return "no block"
        return GENESIS if round_ == 0 else self.blocks.get(block_id, f"a block of round {round_}")

    def note_certificates(self, state: records.State) -> None:
        """Certificates that no node held before."""
        high, given_up = state.high, state.given_up
        if high.round > 0 and self.is_new(high):
            line = Text.assemble("holds ", *self.certificate(high))
            if high.commits is not None and high.commits in self.blocks:
                line.append(f", which commits {self.blocks[high.commits]}", QUIET)
            self.entries.append(_RoundLine(state.at, high.round, state.node, line))
        if given_up is not None and self.is_new(given_up):
            line = Text.assemble("holds ", *self.certificate(given_up))
            if given_up.high_rounds:
                line.append(f", the highest known certificate being of round {max(given_up.high_rounds)}", QUIET)
            self.entries.append(_RoundLine(state.at, given_up.round, state.node, line))

    def is_new(self, certificate: Certificate) -> bool:
        """Whether no node held a certificate before; those that give one round up are one."""
        signers = () if certificate.block is None else certificate.signers
        key = (certificate.round, certificate.block, signers)
        if key in self.known:
            return False
        self.known.add(key)
        return True

    def certificate(self, certificate: Certificate) -> Words:
        """A certificate and its signers."""
        if certificate.block is None:
            what = f"a certificate that round {certificate.round} is given up"
        else:
            what = f"a certificate of {self.named(certificate.block, certificate.round)}"
        signers = ",".join([self.scenario.replicas[signer] for signer in certificate.signers])
        return [(what, CERTIFICATE), f", signed by {signers}"]

    # --- telling

    def tell(self, judgement: Judgement, up_to: int | None) -> list[Text]:
        """All lines, of rounds up to this one."""
        rounds: dict[int, list[_RoundLine]] = {}
        for entry in self.entries:
            rounds.setdefault(entry.round, []).append(entry)
        lines = [Text(f"The end: {judgement.ending.value}.")]
        for finding in judgement.findings:
            lines += self.tell_finding(finding)
        lines += [Text(), *[Text(line, QUIET) for line in format_scenario(self.scenario).splitlines()]]
        last = max(rounds, default=0)
        told = last if up_to is None else min(up_to, last)
        for round_ in range(1, told + 1):
            lines += [Text(), self.headline(round_), *self.tell_round(rounds.get(round_, []))]
        if told < last:
            lines += [Text(), Text(f"Rounds {told + 1} to {last} are left out: --all shows them.", QUIET)]
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
        if message.kind == "proposal" and message.blocks:
            block = message.blocks[-1]
            parent = self.named(block.parent, block.parent_round)
            return ["proposes ", (self.name(block), NAMED), f" on {parent}{self.after(message)}"]
        if message.vote is not None:
            return ["votes for ", (self.named(message.vote.block, message.vote.round), NAMED)]
        if message.timeout is not None:
            told = message.timeout
            return [f"gives up on round {told.round}, its highest certificate is of round {told.high_round}"]
        match message.kind:
            case "answer":
                rounds = [certificate.round for certificate in message.certificates if certificate.block is not None]
                given_up = [certificate.round for certificate in message.certificates if certificate.block is None]
                also = f", and that round {max(given_up)} is given up" if given_up else ""
                return [f"tells of a certificate of round {max(rounds, default=0)}{also}"]
            case "request":
                return ["asks for blocks"]
            case "blocks":
                return [f"gives {', '.join([self.name(block) for block in message.blocks]) or 'no blocks'}"]
            case _:
                return [f"sends a {message.kind}"]

    def after(self, message: Message) -> str:
        """What a proposal comes after, if it comes after a round that was given up."""
        rounds = [certificate.round for certificate in message.certificates if certificate.block is None]
        return f", after round {max(rounds)} was given up" if rounds else ""

    def tell_finding(self, finding: Finding) -> list[Text]:
        """What an oracle says, with what shows it; nothing if its property just held."""
        if finding.verdict is Verdict.HELD and not finding.detail:
            return []
        style = {Verdict.HELD: HEARD, Verdict.VIOLATED: VIOLATED, Verdict.UNDECIDED: QUIET}[finding.verdict]
        lines = [Text.assemble((f"{finding.verdict.value.upper()} {finding.oracle}", style), f": {finding.detail}")]
        for certificate in finding.certificates:
            if isinstance(certificate, Certificate):
                lines.append(Text.assemble("    ", *self.certificate(certificate)))
        for message in finding.signed:
            if isinstance(message, Message) and message.sender is not None:
                name = self.scenario.replicas[message.sender]
                lines.append(Text.assemble("    ", (name, NAMED), " ", *self.what(message)))
        return lines


def _grouped(reasons: dict[str, str]) -> Sequence[tuple[str, list[str]]]:
    """Nodes by reason."""
    grouped: dict[str, list[str]] = {}
    for node, reason in reasons.items():
        grouped.setdefault(reason, []).append(node)
    return list(grouped.items())
