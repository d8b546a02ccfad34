"""Bounds on sizes are never too low."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from diembft.messages.codec import MAX_FRAME_BYTES
from diembft.messages.sizes import block_bytes, request_bytes
from diembft.messages.types import Block, Request, RequestKind
from tests.consensus.rig import Craft, altered
from tests.making import request_by

encode = msgspec.msgpack.Encoder().encode

requests = st.builds(
    Request,
    st.text(min_size=1, max_size=64),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**62 - 1),
    st.sampled_from(RequestKind),
    st.lists(st.binary(max_size=300), min_size=1, max_size=40).map(tuple),
    st.binary(max_size=96),
)
WIDEST = request_by("\U0001f600" * 64, 2**62 - 1, bytes(65_536), bytes(96))


@given(requests)
def test_a_request_takes_no_more(request: Request) -> None:
    assert len(encode(request)) <= request_bytes(request)


def test_the_widest_request_takes_no_more() -> None:
    assert len(encode(WIDEST)) <= request_bytes(WIDEST)
    assert len(encode(altered(WIDEST, operations=(bytes(65_536),) * 300))) <= request_bytes(
        altered(WIDEST, operations=(bytes(65_536),) * 300)
    )


@settings(max_examples=50)
@given(st.lists(requests, max_size=5), st.integers(0, 100), st.integers(1, 2**62 - 1))
def test_a_block_takes_no_more(payload: list[Request], signers: int, round_: int) -> None:
    craft = Craft()
    qc = craft.qc(craft.block(1))
    widest = altered(
        qc,
        signatures=tuple((60_000 + signer, bytes(96)) for signer in range(signers)),
        author=60_000,
        author_signature=bytes(96),
        vote_info=altered(qc.vote_info, round=2**62 - 1, parent_round=2**62 - 2),
    )
    block = Block(60_000, round_, 2**62 - 1, tuple(payload), widest, bytes(32))
    assert len(encode(block)) <= block_bytes(block)


def test_the_largest_answers_fit_into_a_frame() -> None:
    config = Craft().config
    widest_block = config.max_block_bytes + config.max_block_requests * (request_bytes(WIDEST) - 65_536)
    assert config.sync_batch_bytes + 2 * widest_block <= MAX_FRAME_BYTES
    assert config.max_relayed_bytes <= MAX_FRAME_BYTES // 2
