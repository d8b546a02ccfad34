"""`diembft check`: the invariants over a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from diembft.cli import options, output
from diembft.judge.traces import DIEMBFT, Trial
from diembft.judge.verdict import Verdict
from diembft.trace.files import read_trace
from diembft.trace.records import Committed, Ended, Header, Record, State, Violated


@click.command("check")
@click.argument("trace", type=click.Path(path_type=Path))
@options.as_json
def command(trace: Path, as_json: bool) -> int:
    """Check the invariants over TRACE, the record of a run (`-`: standard input).

    Any runtime may have written it. The verdict is on the invariants alone; beside it is told what the run's own
    verdict was (a test case may fail for other reasons).
    """
    summary, trial = _Summary(), Trial(f"{trace}: line")
    violations = list(trial.violated(summary.of(read_trace(trace))))
    header = summary.header
    assert header is not None, "because a trace without one is refused"
    verdicts = trial.verdicts()
    passed = trial.judged and not violations
    if as_json:
        output.say_json(
            {
                "trace": str(trace),
                "held": passed,
                "verdicts": {name: verdict.value for name, verdict in verdicts.items()},
                "verified": header.protocol == DIEMBFT and trial.verified,
                "runtime": header.runtime,
                "protocol": header.protocol,
                "replay": header.replay,
                **summary.counts(),
                "ended": summary.ended,
                "violations": violations,
            }
        )
    else:
        _print(trace, header, summary, violations, trial)
    return output.PASSED if passed else output.FAILED


class _Summary:
    """What a trace holds, noted while it is read."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.records = 0
        self.height = 0
        self.rounds = 0
        self.ended: Ended | None = None

    def of(self, records: Iterator[Record]) -> Iterator[Record]:
        """The same records."""
        for record in records:
            self.records += 1
            match record:
                case Header():
                    self.header = record
                case Committed():
                    self.height = max(self.height, record.height)
                case State():
                    self.rounds = max(self.rounds, record.current_round)
                case Ended():
                    self.ended = record
                case _:
                    pass
            yield record

    def counts(self) -> dict[str, Any]:
        """The figures."""
        return {"records": self.records, "commits": self.height, "rounds": self.rounds}


def _print(trace: Path, header: Header, summary: _Summary, violations: list[Violated], trial: Trial) -> None:
    output.say(Text.assemble(output.verdict_word(trial.judged and not violations), f" {trace}"))
    output.say(
        f"{header.runtime}, {header.protocol}, {len(header.nodes)} nodes: {summary.records:,} records, "
        f"{summary.rounds:,} rounds, {summary.height:,} blocks committed"
    )
    for violated in violations:
        output.say(f"{violated.property}: {violated.detail} (at {violated.at:.3f} s)")
    if not violations and not trial.judged:
        output.say("nothing was judged: no correct node commits, votes, or shows a certificate")
    verdicts = trial.verdicts()
    without = [name for name, verdict in verdicts.items() if verdict is Verdict.UNDECIDED]
    if without and len(without) < len(verdicts):
        output.say(f"judged: {', '.join([name for name in verdicts if name not in without])}")
        output.say(f"not judged, as nothing was told of it: {', '.join(without)}")
    if header.protocol == DIEMBFT and not trial.verified:
        output.say("signatures not verified: they stand in the details, and some are missing")
    if summary.ended is None:
        output.say("the trace breaks off: the run did not end")
    elif not summary.ended.passed:
        output.say(f"the run's own verdict was FAIL: {'; '.join(summary.ended.reasons)}")
    if violations and header.replay:
        output.say(f"again: {header.replay}")
