"""How large blocks may be so that every message between replicas fits DistAlgo's message buffer."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from diembft.consensus.config import Config
from diembft.errors import InputError
from diembft.messages.sizes import (
    BLOCK_OVERHEAD_BYTES,
    OPERATION_OVERHEAD_BYTES,
    REQUEST_OVERHEAD_BYTES,
    SIGNATURE_BYTES,
)

CERTIFICATES: Final = 4
"""In a proposal, at most: the block's QC, a TC, the QC inside the TC, and the high commit QC. Timeouts and SyncInfo
have as many."""

FIELDS_BYTES: Final = 300
"""What a message takes beside blocks and certificates."""

SMALLEST_PAYLOAD_BYTES: Final = 2000
"""A block must have room for so much: a few requests of the workloads of test cases."""

OPERATIONS_SHARE: Final = 0.4
"""Which part of a block's payload is meant for operations rather than for what requests take beside them."""


def fitted(config: Config, payload_limit: int) -> Config:
    """The configuration with limits such that no message takes more than `payload_limit` bytes.

    Raises InputError where certificates alone would take too much.
    """
    certificate = config.n * SIGNATURE_BYTES + BLOCK_OVERHEAD_BYTES
    fixed = CERTIFICATES * certificate + FIELDS_BYTES
    # An answer of sync holds two blocks, however large they are.
    payload = min(payload_limit - fixed, (payload_limit - FIELDS_BYTES) // 2 - certificate)
    if payload < SMALLEST_PAYLOAD_BYTES:
        least = max(SMALLEST_PAYLOAD_BYTES + fixed, 2 * (SMALLEST_PAYLOAD_BYTES + certificate) + FIELDS_BYTES)
        raise InputError(
            f"--message-buffer-size: {config.n} replicas need {least - payload_limit} bytes more than are given"
        )
    max_block_bytes = min(config.max_block_bytes, int(payload * OPERATIONS_SHARE))
    max_block_requests = min(config.max_block_requests, (payload - max_block_bytes) // REQUEST_OVERHEAD_BYTES)
    further = (payload - max_block_bytes - max_block_requests * REQUEST_OVERHEAD_BYTES) // OPERATION_OVERHEAD_BYTES
    max_block_operations = min(config.max_block_operations, max_block_requests + further)
    return structs.replace(
        config,
        max_block_bytes=max_block_bytes,
        max_block_requests=max_block_requests,
        max_block_operations=max_block_operations,
        max_request_operations=min(config.max_request_operations, max_block_operations),
        max_request_bytes=min(config.max_request_bytes, max_block_bytes),
        max_relayed_bytes=min(config.max_relayed_bytes, payload_limit - FIELDS_BYTES),
        sync_batch_bytes=min(config.sync_batch_bytes, payload_limit - FIELDS_BYTES),
    )
