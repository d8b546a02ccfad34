"""The codec: whatever the bytes are, decoding gives a message or Malformed; what is encoded comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diembft.messages.codec import MAX_FRAME_BYTES, Frame, Malformed, Submit, decode, encode
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    LedgerCommitInfo,
    ProposalMsg,
    Relay,
    Reply,
    Request,
    RequestKind,
    SyncInfo,
    TimeoutInfo,
    TimeoutMsg,
    VoteInfo,
    VoteMsg,
)
from tests.consensus.rig import Craft, altered
from tests.making import reply_to, request_by

FRAME_TYPES = (
    ProposalMsg,
    VoteMsg,
    TimeoutMsg,
    SyncInfo,
    BlockRequest,
    BlockResponse,
    Relay,
    Submit,
    Reply,
)

# --- any values within the constraints of the types

replicas = st.integers(0, 2**16 - 1)
rounds = st.integers(0, 2**62 - 1)
digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(max_size=96)
several_signatures = st.lists(st.tuples(replicas, signatures), max_size=4).map(tuple)
clients = st.text(min_size=1, max_size=64)
sessions = st.binary(min_size=16, max_size=16)
several_bytes = st.lists(st.binary(max_size=50), max_size=4).map(tuple)
requests = st.builds(
    Request, clients, sessions, rounds, st.sampled_from(RequestKind), several_bytes.filter(bool), signatures
)
payloads = st.lists(requests, max_size=3).map(tuple)
vote_infos = st.builds(VoteInfo, digests, rounds, digests, rounds, digests)
commit_infos = st.builds(LedgerCommitInfo, st.none() | digests, digests)
qcs = st.builds(QC, vote_infos, commit_infos, several_signatures, replicas, signatures)
blocks = st.builds(Block, replicas, rounds, rounds, payloads, qcs, digests)
tcs = st.builds(TC, rounds, st.lists(rounds, max_size=4).map(tuple), several_signatures, qcs)
frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(ProposalMsg, blocks, st.none() | tcs, qcs, signatures),
    st.builds(VoteMsg, vote_infos, commit_infos, qcs, replicas, signatures),
    st.builds(TimeoutMsg, st.builds(TimeoutInfo, rounds, qcs, replicas, signatures), st.none() | tcs, qcs),
    st.builds(SyncInfo, rounds, qcs, qcs, st.none() | tcs),
    st.builds(BlockRequest, rounds, digests, digests, st.integers(1, 2**16 - 1)),
    st.builds(BlockResponse, rounds, st.lists(blocks, max_size=3).map(tuple)),
    st.builds(Relay, rounds, payloads),
    st.builds(Submit, requests),
    st.builds(Reply, clients, sessions, rounds, digests, st.sampled_from(["ok", "stale"]), several_bytes),
)


@settings(max_examples=400, deadline=None)
@given(frames)
def test_round_trip(frame: Frame) -> None:
    data = encode(frame)
    assert decode(data) == frame
    assert encode(decode(data)) == data  # type: ignore[arg-type]  # it is a frame, as the line above shows


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    decoded = decode(data)
    assert isinstance(decoded, (*FRAME_TYPES, Malformed))


SAMPLES = [
    encode(frame)
    for craft in [Craft()]
    for block in [craft.block(4, payload=(craft.request(),))]
    for frame in (
        craft.proposal(block, craft.tc(3)),
        craft.vote(block, 1),
        craft.timeout(5, 2, None, craft.tc(4)),
        SyncInfo(6, craft.qc(block), craft.genesis_qc, None),
        BlockRequest(7, block.id, block.id, 1),
        BlockResponse(8, (block, block)),
        Relay(9, (craft.request(),)),
        Submit(craft.request()),
        reply_to("alice", 1, b""),
    )
]


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_mutated_frames(data: bytes, choices: st.DataObject) -> None:
    """Bytes replaced, removed, inserted or cut off: a message or Malformed; a message can be sent on."""
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(data)))
        removed = choices.draw(st.integers(0, 3))
        data = data[:at] + choices.draw(st.binary(max_size=3)) + data[at + removed :]
    decoded = decode(data)
    if isinstance(decoded, Malformed):
        assert decoded.reason
    else:
        assert isinstance(decoded, FRAME_TYPES)
        assert decode(encode(decoded)) == decoded


def test_every_prefix_is_malformed() -> None:
    for data in SAMPLES:
        for end in range(len(data)):
            assert isinstance(decode(data[:end]), Malformed)
        assert isinstance(decode(data + b"\x00"), Malformed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\x93\x07\x00\xdd\xff\xff\xff\xff",
        b"\x93\x06\x00\xdc\xff\xff",
        b"\x91" * 5000,
        b"\x94\x07\x00\x90" + b"\x91" * 100_000 + b"\xc0",
        b"\x92\x08\x94\xa1\xff\x01\xc4\x00\xc4\x00",
        b"\x93\x07\x00\x91\x94\xa0\x01\xc4\x00\xc4\x00",
        b"\x93\x07\xff\x90",
        b"\x93\x07\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x90",
        b"\x93\x07\xcf\x40\x00\x00\x00\x00\x00\x00\x00\x90",
        b"\x93\x0a\x00\x90",
    ],
    ids=lambda data: data[:12].hex(),
)
def test_tricky_bytes(data: bytes) -> None:
    """Lengths far beyond the data, deep nesting, text that is none, empty names, rounds out of range, unknown tags."""
    assert isinstance(decode(data), Malformed)


def test_constraints_are_checked() -> None:
    craft = Craft()
    qc = craft.genesis_qc
    wrong: list[Frame] = [
        SyncInfo(-1, qc, qc, None),
        SyncInfo(1 << 62, qc, qc, None),
        BlockRequest(1, bytes(31), bytes(32), 1),
        BlockRequest(1, bytes(33), bytes(32), 1),
        BlockRequest(1, bytes(32), bytes(32), 0),
        BlockRequest(1, bytes(32), bytes(32), 1 << 16),
        Relay(1, (request_by("", 1),)),
        Relay(1, (request_by("x" * 65, 1),)),
        Relay(1, (request_by("x", -1),)),
        Relay(1, (request_by("x", 1, b"", bytes(97)),)),
        Relay(1, (altered(request_by("x", 1), session=bytes(15)),)),
        Relay(1, (altered(request_by("x", 1), session=bytes(17)),)),
        Relay(1, (altered(request_by("x", 1), kind=3),)),
        Relay(1, (altered(request_by("x", 1), kind=-1),)),
        Relay(1, (altered(request_by("x", 1), operations=()),)),
        BlockResponse(1, (altered(craft.block(1), time_ms=-1),)),
        BlockResponse(1, (altered(craft.block(1), time_ms=1 << 62),)),
        altered(reply_to("x", 1, b""), session=bytes(15)),
    ]
    for frame in wrong:
        assert isinstance(decode(encode(frame)), Malformed), frame


def test_a_frame_over_the_limit_is_not_looked_at() -> None:
    data = encode(Relay(1, ()))
    assert decode(data, limit=len(data)) == Relay(1, ())
    assert decode(data, limit=len(data) - 1) == Malformed(f"{len(data)} bytes, more than {len(data) - 1}")
    assert isinstance(decode(bytes(MAX_FRAME_BYTES + 1)), Malformed)


def test_a_frame_over_the_limit_is_not_written() -> None:
    huge = Submit(request_by("x", 1, bytes(MAX_FRAME_BYTES)))
    with pytest.raises(AssertionError, match="limited far below"):
        encode(huge)
