"""`diembft twins check-key`: whether the exploration merges only states that behave alike."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text

from diembft.cli import options, output
from diembft.cli.explore import check_size
from diembft.cli.stopping import stoppable
from diembft.errors import InputError
from diembft.protocols.by_name import DEFAULT_PROTOCOL
from diembft.protocols.diembft.wrong_keys import WRONG_KEYS
from diembft.twins.exhaustion.checks import CheckReport, Setting, brute_force, conjecture_of, exact, pairs, walks
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.models import MODELS


@click.command("check-key")
@click.option("--replicas", type=click.IntRange(1, 13), default=4, show_default=True, help="How many replicas.")
@click.option("--faulty", type=options.whole(0), default=1, show_default=True, help="How many have a twin.")
@options.sets
@click.option("--quorum-filter", is_flag=True, help="Some set of each partition holds a quorum.")
@click.option("--model", type=click.Choice(list(MODELS)), default="barrier", show_default=True, help="The model.")
@options.bugs_of_protocol
@options.protocol
@click.option("--crashes", is_flag=True, help="In each round one correct replica may crash and restart.")
@click.option(
    "--choices",
    type=options.whole(1),
    default=16,
    show_default=True,
    help="At most so many choices of a round, drawn; with each, all that renaming makes of it.",
)
@click.option(
    "--brute-rounds",
    type=options.whole(0),
    default=2,
    show_default=True,
    help="Compare with all unreduced states of up to so many rounds.",
)
@click.option("--walks", "walks_", type=options.whole(0), default=50, show_default=True, help="How many random walks.")
@click.option("--pairs", "pairs_", type=options.whole(0), default=20, show_default=True, help="How many merged pairs.")
@click.option(
    "--rounds",
    type=options.whole(1, options.MOST_ROUNDS),
    default=6,
    show_default=True,
    help="How long walks, and paths to pairs, are.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes what is drawn.")
@click.option(
    "--wrong-key",
    type=click.Choice(sorted(WRONG_KEYS)),
    help="Check a key that forgets something instead, to see whether that is caught.",
)
@options.as_json
def command(
    replicas: int,
    faulty: int,
    sets: int | None,
    quorum_filter: bool,
    model: str,
    bugs: tuple[str, ...],
    protocol: str,
    crashes: bool,
    choices: int,
    brute_rounds: int,
    walks_: int,
    pairs_: int,
    rounds: int,
    seed: int,
    wrong_key: str | None,
    as_json: bool,
) -> int:
    """Check the canonical key of the exploration against unreduced states.

    Three checks: unreduced states of a few rounds have the keys that the search finds; random walks through them stay
    inside what the search visits; unreduced states of one key have the same successors. Exit status 1: a check found
    a difference.
    """
    options.check_bugs(protocol, bugs)
    if wrong_key is not None and protocol != DEFAULT_PROTOCOL:
        raise InputError(f"--wrong-key: is about the key of {DEFAULT_PROTOCOL}")
    if not (brute_rounds or walks_ or pairs_):
        raise InputError("--brute-rounds, --walks, --pairs: all are 0, and nothing would be checked")
    sets = options.sets_of(sets, replicas, faulty)
    question = Question(model, replicas, faulty, sets, False, quorum_filter, bugs, crashes, protocol)
    check_size(question)
    setting = Setting(question, exact if wrong_key is None else WRONG_KEYS[wrong_key], choices, seed)
    reports: list[CheckReport] = []
    with stoppable() as stop, output.busy("checks the key") as told:
        if brute_rounds:
            told(f"1 of 3: all unreduced states of {brute_rounds} rounds")
            reports.append(brute_force(setting, brute_rounds))
        if walks_:
            told(f"2 of 3: {walks_} walks")
            reports.append(walks(setting, conjecture_of(setting, rounds), count=walks_, rounds=rounds))
        if pairs_:
            told(f"3 of 3: {pairs_} pairs")
            reports.append(pairs(setting, count=pairs_, rounds=rounds))
    _tell(reports, as_json)
    status = output.FAILED if any(report.differences for report in reports) else output.PASSED
    asked = sum([bool(brute_rounds), bool(walks_), bool(pairs_)])
    return stop.status(status, f"{len(reports)} of {asked} checks were done")


def _tell(reports: Sequence[CheckReport], as_json: bool) -> None:
    """What each check found."""
    if as_json:
        output.say_json([report._asdict() for report in reports])
    else:
        for report in reports:
            line = Text(f" {report.check}: {report.compared}")
            output.say(output.verdict_word(not report.differences) + line)
            for difference in report.differences[:3]:
                output.say(f"  {difference.detail}")
