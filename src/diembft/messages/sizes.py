"""How many bytes values take on the wire: bounds that are quick to compute, and never too low."""

from __future__ import annotations

from diembft.messages.types import QC, Block, Request

REQUEST_OVERHEAD_BYTES = 400
"""What a request of one operation takes beside it: a client's name may take 256 bytes, a signature 96."""

OPERATION_OVERHEAD_BYTES = 5
"""What each further operation takes beside its bytes."""

SIGNATURE_BYTES = 110
"""What a signer and the signature take."""

BLOCK_OVERHEAD_BYTES = 600
"""What a block takes beside its requests and signatures."""


def operations_bytes(request: Request) -> int:
    """The bytes of the operations alone, as limits on requests and blocks count them."""
    return sum(map(len, request.operations))


def request_bytes(request: Request) -> int:
    """At least what the request takes."""
    further = (len(request.operations) - 1) * OPERATION_OVERHEAD_BYTES
    return operations_bytes(request) + further + REQUEST_OVERHEAD_BYTES


def block_bytes(block: Block) -> int:
    """At least what the block takes."""
    return (
        sum([request_bytes(request) for request in block.payload]) + _signatures_bytes(block.qc) + BLOCK_OVERHEAD_BYTES
    )


def _signatures_bytes(qc: QC) -> int:
    return len(qc.signatures) * SIGNATURE_BYTES
