"""Whatever a replica may send fits the message buffer."""

import pytest

from diembft.consensus.config import Config
from diembft.distalgo.limits import fitted
from diembft.errors import InputError
from diembft.messages.codec import encode
from diembft.messages.sizes import REQUEST_OVERHEAD_BYTES
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockResponse,
    LedgerCommitInfo,
    ProposalMsg,
    Relay,
    Request,
    SyncInfo,
    TimeoutInfo,
    TimeoutMsg,
    VoteInfo,
)
from tests.making import request_by

DIGEST = b"\xff" * 32
SIGNATURE = b"\xff" * 64
LATE = (1 << 61) + 1


def largest(config: Config) -> tuple[QC, TC]:
    signatures = tuple([(65_000 + replica, SIGNATURE) for replica in range(config.n)])
    info = LedgerCommitInfo(DIGEST, DIGEST)
    qc = QC(VoteInfo(DIGEST, LATE, DIGEST, LATE, DIGEST), info, signatures, 65_000, SIGNATURE)
    return qc, TC(LATE, (LATE,) * config.n, signatures, qc)


def requests(count: int, size: int) -> tuple[Request, ...]:
    """So many, with operations of so many bytes in all."""
    sizes = [size // count + (number < size % count) for number in range(count)]
    return tuple([request_by("c" * 64, LATE + n, b"o" * bytes_, SIGNATURE) for n, bytes_ in enumerate(sizes)])


@pytest.mark.parametrize("n", [1, 4, 13, 40, 100])
@pytest.mark.parametrize("limit", [79_480, 500_000])
def test_every_message_fits(n: int, limit: int) -> None:
    config = fitted(Config(n=n), limit)
    qc, tc = largest(config)
    payload = requests(config.max_block_requests, config.max_block_bytes)
    block = Block(65_000, LATE, LATE, payload, qc, DIGEST)
    relayed = min(config.max_relayed_requests, config.max_relayed_bytes // REQUEST_OVERHEAD_BYTES)
    for message in (
        ProposalMsg(block, tc, qc, SIGNATURE),
        BlockResponse(LATE, (block, block)),
        TimeoutMsg(TimeoutInfo(LATE, qc, 65_000, SIGNATURE), tc, qc),
        SyncInfo(LATE, qc, qc, tc),
        Relay(LATE, requests(relayed, config.max_relayed_bytes - relayed * REQUEST_OVERHEAD_BYTES)),
    ):
        assert len(encode(message)) <= limit


def test_what_fits_anyhow_stays() -> None:
    config = Config(n=4)
    assert fitted(config, 10_000_000) == config


@pytest.mark.parametrize("n", [4, 13])
def test_too_small_a_buffer_is_said_with_what_is_missing(n: int) -> None:
    with pytest.raises(InputError) as refusal:
        fitted(Config(n=n), 3_000)
    words = str(refusal.value).split()
    assert words[:3] == ["--message-buffer-size:", str(n), "replicas"]
    missing = int(words[4])
    assert fitted(Config(n=n), 3_000 + missing).max_block_requests >= 1
    with pytest.raises(InputError):
        fitted(Config(n=n), 3_000 + missing - 1)
