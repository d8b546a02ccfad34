"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click
from click.core import ParameterSource
from typing_extensions import override

from diembft.cli import completing
from diembft.cli.parallel import default_jobs
from diembft.crypto.interface import Crypto
from diembft.errors import InputError
from diembft.faults.registry import BUGS
from diembft.judge.expected import EXPECT, Expect
from diembft.protocols.by_name import BUILT_IN, DEFAULT_PROTOCOL, protocol_of
from diembft.testcase.changes import read_block_size
from diembft.testcase.latency import Span, read_span

MAX_JOBS = 256
MOST = 10**9
"""Of anything that is counted, unless less is said: what is more is a slip of the finger."""
MOST_ROUNDS = 1_000
MOST_SECONDS = 1e6
DEFAULT_SETS = 2
DEFAULT_CRYPTO: Crypto = "symbolic"
Runtime: TypeAlias = Literal["simulator", "distalgo"]


def whole(low: int, high: int = MOST) -> click.IntRange:
    """A whole number."""
    return click.IntRange(low, high)


class Seconds(click.FloatRange):
    """A number of seconds, which is a number, and some end of the world away."""

    def __init__(self, *, zero: bool = False) -> None:
        super().__init__(0, MOST_SECONDS, min_open=not zero)

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def read_seed(context: click.Context, parameter: click.Parameter, value: str | None) -> int | float | None:
    """The seed that an option gives: a whole number, or any finite one, as in configuration files."""
    if value is None:
        return None
    for read in (int, float):
        try:
            seed = read(value)
        except ValueError:
            continue
        if math.isfinite(seed):
            return seed
    raise click.BadParameter(f"{value[:60]!r} is not a number.")


seed = click.option(
    "--seed",
    callback=read_seed,
    metavar="NUMBER",
    help="Fixes every choice that is left to chance: the same seed, the same run.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of text.")
jobs = click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, MAX_JOBS),
    default=default_jobs,
    show_default="one for each core",
    help="How many processes to use.",
)
crypto = click.option(
    "--crypto",
    type=click.Choice(["symbolic", "ed25519"]),
    default=DEFAULT_CRYPTO,
    show_default=True,
    help="Signatures: symbolic ones are quick, Ed25519 is what a real service uses.",
)
runtime = click.option(
    "--runtime",
    type=click.Choice(["simulator", "distalgo"]),
    default="simulator",
    show_default=True,
    help="What runs the replicas: one thread in virtual time, or pyDistAlgo's processes in real time, which sign with "
    "Ed25519 unless --crypto says otherwise, and leave logs and ledgers in runs/.",
)
bugs = click.option(
    "--bug",
    "bugs",
    type=click.Choice(list(BUGS)),
    multiple=True,
    metavar="NAME",
    help=f"Plant a bug in all replicas; may be repeated. NAME is one of {', '.join(BUGS)}.",
)
bugs_of_protocol = click.option(
    "--bug",
    "bugs",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.bugs,
    help="Plant a bug in all replicas; may be repeated. NAME is one of those of the protocol: in diembft "
    f"{', '.join(BUGS)}.",
)
expect = click.option(
    "--expect",
    type=click.Choice(EXPECT),
    help="What is to happen for exit status 0: `violation` of each case or scenario of a file, of one at least in a "
    "sample or a search; or `none` [default: violation if a bug is planted, else what a file says, else none].",
)
protocol = click.option(
    "--protocol",
    default=DEFAULT_PROTOCOL,
    show_default=True,
    metavar="NAME",
    shell_complete=completing.protocols,
    help=f"The protocol under test: {', '.join(BUILT_IN)}, or module:name for one of your own (docs/protocols.md).",
)
protocol_instead = click.option(
    "--protocol",
    metavar="NAME",
    shell_complete=completing.protocols,
    help="Another protocol than SCENARIO names, as for `diembft twins run`.",
)
sets = click.option(
    "--sets",
    type=whole(1),
    help=f"Up to so many sets in a partition [default: {DEFAULT_SETS}, or as many as there are nodes].",
)
trace = click.option(
    "--trace", type=click.Path(path_type=Path), metavar="FILE", help="Write the record of the run to FILE."
)
READABLE_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _read_latency(context: click.Context, parameter: click.Parameter, value: str | None) -> Span | None:
    return None if value is None else read_span(value)


def _read_block_size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else read_block_size(value)


latency = click.option(
    "--latency",
    callback=_read_latency,
    metavar="SECONDS",
    help="How long messages take, in place of what cases say: 0.05, or drawn evenly: 0.0002-0.001.",
)
block_size = click.option(
    "--block-size",
    callback=_read_block_size,
    metavar="N",
    help="How many requests a block holds at most, in place of what cases say.",
)


def as_given(crypto: Crypto, bugs: Sequence[str], expected: Expect | None = None) -> list[str]:
    """The options `crypto`, `bugs` and `expect` as words of a command line that repeats a run."""
    words = [] if crypto == DEFAULT_CRYPTO else ["--crypto", crypto]
    words += [] if expected is None else ["--expect", expected]
    for bug in bugs:
        words += ["--bug", bug]
    return words


def check_protocol(protocol: str | None) -> None:
    """Complain about a protocol that there is not, if one is given, and about one that does not keep the contract."""
    if protocol is not None:
        from diembft.twins.runs import contract  # most commands have no protocol, and no use for the tester

        try:
            contract.found(protocol)
        except InputError as error:
            raise InputError(f"--{error}") from None
        contract.require(protocol)


def check_bugs(protocol: str, bugs: Sequence[str]) -> None:
    """Complain about a protocol that there is not, and about bugs that it has not."""
    check_protocol(protocol)
    known = protocol_of(protocol).bugs
    for bug in bugs:
        if bug not in known:
            raise InputError(f"--bug: {bug!r} is none of those of {protocol}: {', '.join(known) or 'it has none'}")


def sets_of(given: int | None, replicas: int, faulty: int) -> int:
    """The value of the option `sets`."""
    return min(DEFAULT_SETS, replicas + faulty) if given is None else given


def is_given(option: str) -> bool:
    """Whether the command line names an option, rather than leaving it to its default."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def crypto_of(runtime: Runtime, crypto: Crypto) -> Crypto:
    """The signatures that a command asks for: where it names none, those that are usual in the runtime."""
    return crypto if is_given("crypto") or runtime == "simulator" else "ed25519"
