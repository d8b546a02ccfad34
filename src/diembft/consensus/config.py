"""What all validators of one system agree on before it starts, and the arithmetic of quorums."""

from __future__ import annotations

from msgspec import Struct

from diembft.messages.codec import MAX_FRAME_BYTES
from diembft.messages.sizes import OPERATION_OVERHEAD_BYTES, REQUEST_OVERHEAD_BYTES

MAX_BATCH_BYTES = MAX_FRAME_BYTES // 2
"""The most that the blocks or requests of one message may be allowed to take: certificates need room as well."""


def max_faulty(n: int) -> int:
    """f: how many of n validators may be Byzantine, (n - 1) // 3."""
    return (n - 1) // 3


def quorum_size(n: int) -> int:
    """How many distinct validators make a certificate: n - f.

    Any two quorums share n - 2f >= f + 1 validators, one of them correct, for every n; 2f + 1 would not do (2f + 1 = 3
    of 5 would share only one, which may be the faulty one).
    """
    return n - max_faulty(n)


class Config(Struct, frozen=True, kw_only=True):
    """The parameters of one system. Times are in seconds unless a name says otherwise, sizes in bytes."""

    n: int
    """Number of validators, at least 1."""
    chain_id: str = "diembft"
    epoch: int = 0

    delta_s: float = 1.0
    """The bound on a message's delay after GST, as far as it is known; timers are derived from it."""
    timer_growth: float = 1.2
    """Factor on the round timer for each round since the last commit beyond the normal two."""
    max_timer_s: float = 60.0
    """Where the growth of the round timer ends."""
    rest: bool = True
    """Whether leaders rest when there is no work. Otherwise they propose empty blocks for ever."""

    max_clock_ahead_ms: int = 2000
    """How far the time of a block may be ahead of a validator's clock and still get its vote, in milliseconds."""

    window_size: int | None = None
    """Leader reputation: how many QCs are looked at; default n."""
    exclude_size: int | None = None
    """Leader reputation: how many distinct last authors are left out, f to 2f; default f."""

    max_block_requests: int = 1000
    max_block_bytes: int = 1_000_000
    """Limit on the operations of one block, in bytes."""
    max_block_operations: int = 10_000
    max_request_bytes: int = 65_536
    """Limit on the operations of one request, in bytes."""
    max_request_operations: int = 1000
    max_waiting_requests: int = 100_000
    max_waiting_per_client: int = 10_000
    max_relayed_requests: int = 500
    """How many waiting requests are passed on to peers at once, and taken from one."""
    max_relayed_bytes: int = 2_000_000
    """How many bytes the requests that are passed on at once may take on the wire."""
    max_rounds_ahead: int = 10
    """How far ahead of the current round votes are kept."""
    max_pending_blocks: int = 1000
    """How many blocks above the last commit are kept."""
    sync_batch: int = 100
    """How many blocks one answer may bring; one more comes with them, to certify the last."""
    sync_batch_bytes: int = 4_000_000
    """How many bytes on the wire one answer may take, unless it carries two blocks only."""

    def __post_init__(self) -> None:
        assert self.n >= 1, "because a system has at least one validator"
        assert self.delta_s > 0, "because timers are derived from the delay bound"
        assert self.timer_growth >= 1, "because timers do not shrink without commits"
        assert self.window >= 1, "because leaders are drawn from the signers in the window"
        assert self.max_clock_ahead_ms >= 0, "because clocks differ"
        assert (
            min(self.max_block_requests, self.max_request_operations, self.max_relayed_requests, self.sync_batch) >= 1
        ), "because a limit of nothing would stop everything"
        assert min(self.max_rounds_ahead, self.max_pending_blocks) >= 1, "because one round follows another"
        assert self.max_request_bytes <= self.max_block_bytes, "because every request must fit into a block"
        assert self.max_request_operations <= self.max_block_operations, "because every request must fit into a block"
        assert self.sync_batch_bytes >= 2 * self.max_block_bytes, "because an answer must hold two blocks"
        most_request_bytes = (
            self.max_request_bytes + self.max_request_operations * OPERATION_OVERHEAD_BYTES + REQUEST_OVERHEAD_BYTES
        )
        assert self.max_relayed_bytes >= most_request_bytes, "because every request must fit into a message"
        most_blocks_bytes = 2 * (
            self.max_block_bytes
            + self.max_block_operations * OPERATION_OVERHEAD_BYTES
            + self.max_block_requests * REQUEST_OVERHEAD_BYTES
        )
        assert max(most_blocks_bytes, self.sync_batch_bytes, self.max_relayed_bytes) <= MAX_BATCH_BYTES, (
            "because two blocks, an answer and a relay must fit into a message"
        )
        assert self.f <= self.excluded <= 2 * self.f, "because the report allows f <= exclude_size <= 2f"

    @property
    def f(self) -> int:
        """How many validators may be Byzantine."""
        return max_faulty(self.n)

    @property
    def quorum(self) -> int:
        """How many distinct validators make a certificate."""
        return quorum_size(self.n)

    @property
    def at_least_one_correct(self) -> int:
        """f + 1: any so many distinct validators include a correct one."""
        return self.f + 1

    @property
    def window(self) -> int:
        """The window of leader reputation in use."""
        return self.n if self.window_size is None else self.window_size

    @property
    def excluded(self) -> int:
        """The number of excluded authors in use."""
        return self.f if self.exclude_size is None else self.exclude_size

    @property
    def kept_commits(self) -> int:
        """How many committed blocks are kept at hand: what leader reputation walks over, and what one answer to a
        peer needs.

        The walk begins at the parent of the QC of two rounds ago; of the same round's validators some have committed
        one block more than others, and they must draw the same leader.
        """
        return max(2 * self.window + 1, self.sync_batch)
