"""`diembft check-protocol`: whether a protocol of one's own keeps the contract of the tester."""

from __future__ import annotations

import click
from rich.text import Text

from diembft.cli import options, output
from diembft.twins.runs import contract


@click.command("check-protocol")
@click.argument("name", metavar="MODULE:NAME")
@options.as_json
def command(name: str, as_json: bool) -> int:
    """Check that the protocol MODULE:NAME keeps the contract of docs/protocols.md: what the other commands rely on.

    One scenario is executed. Types are looked at; steps are repeated by nodes made anew, in this process and in fresh
    ones with another PYTHONHASHSEED; copies of nodes run ahead and behind. `diembft twins run`, `explore`, `replay` and
    `shrink` check the same but for the fresh processes before they begin. Exit status 1: a rule does not hold.
    """
    with output.busy(f"checks {name}"):
        report = contract.report(contract.found(name), name, processes=True)
    if as_json:
        flaws = [flaw._asdict() for flaw in report.flaws]
        output.say_json({"protocol": name, "passed": not flaws, "checked": report.checked, "flaws": flaws})
        return output.FAILED if report.flaws else output.PASSED
    for rule in report.checked:
        whats = [flaw.what for flaw in report.flaws if flaw.rule == rule]
        output.say(Text.assemble(output.verdict_word(not whats), f" {rule}: {contract.RULES[rule]}"))
        for what in whats:
            output.say(f"  {what}")
    left_out = [rule for rule in contract.RULES if rule not in report.checked]
    if left_out and report.flaws:
        output.say(f"not checked: {', '.join(left_out)}")
    return output.FAILED if report.flaws else output.PASSED
