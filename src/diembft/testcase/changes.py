"""What a command line changes in a test case."""

from msgspec import structs

from diembft.errors import InputError
from diembft.testcase.case import TestCase
from diembft.testcase.latency import Latencies, Span
from diembft.testcase.validate import MAX_BLOCK_SIZE
from diembft.testcase.wording import shown


def changed(
    case: TestCase,
    *,
    seed: int | float | None = None,
    failure_seed: int | float | None = None,
    latency: Span | None = None,
    block_size: int | None = None,
) -> TestCase:
    """The case with these in place of its own; None: its own. A seed alone is that of its failures too."""
    if seed is not None:
        case = structs.replace(case, seed=seed, failure_seed=seed)
    if failure_seed is not None:
        case = structs.replace(case, failure_seed=failure_seed)
    if latency is not None:
        case = structs.replace(case, latencies=Latencies(latency))
    return case if block_size is None else structs.replace(case, block_size=block_size)


def words(latency: Span | None, block_size: int | None) -> tuple[str, ...]:
    """The options of a command line that change these, but for the seeds."""
    return (
        *(() if latency is None else ("--latency", str(latency))),
        *(() if block_size is None else ("--block-size", str(block_size))),
    )


def read_block_size(text: str) -> int:
    """The block size that a command line gives. Raises InputError."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= MAX_BLOCK_SIZE:
        raise InputError(f"--block-size: must be a whole number from 1 to {MAX_BLOCK_SIZE}, not {shown(text)}")
    return int(text)
