from __future__ import annotations

from diembft.ledger.key_value import CompareAndSet, Found, Put, encode
from diembft.messages.types import TC
from diembft.pages.catalogue import SHOWN_OPERATION, Catalogue, operation_text, result_text
from diembft.pages.data import NONE
from tests.pages.traces import GENESIS, block_on, certificate_of


def test_a_block_stands_once() -> None:
    catalogue = Catalogue(2)
    block = block_on(GENESIS.qc, 1, 0)
    index = catalogue.block(block)
    assert catalogue.block(block) == index == catalogue.find(block.id)
    assert [shown.round for shown in catalogue.blocks] == [1, 0]
    assert catalogue.blocks[index].parent == catalogue.find(GENESIS.block.id)
    assert catalogue.blocks[index].known == [NONE, NONE]


def test_a_certificate_tells_of_a_block_that_was_not_seen_and_the_block_fills_it_in() -> None:
    catalogue = Catalogue(1)
    block = block_on(GENESIS.qc, 3, 2)
    index = catalogue.certificates[catalogue.certificate(certificate_of(block, (0, 1, 3)))].block
    assert (catalogue.blocks[index].round, catalogue.blocks[index].author) == (3, NONE)
    catalogue.block(block)
    assert (catalogue.blocks[index].author, catalogue.blocks[index].request_count) == (2, 1)


def test_certificates_differ_by_their_signers() -> None:
    catalogue = Catalogue(1)
    block = block_on(GENESIS.qc, 1, 0)
    first = catalogue.certificate(certificate_of(block, (0, 1, 2)))
    assert catalogue.certificate(certificate_of(block, (0, 1, 2))) == first
    assert catalogue.certificate(certificate_of(block, (1, 2, 3))) != first
    assert catalogue.certificates[first].signers == [0, 1, 2]


def test_a_signer_counts_once() -> None:
    catalogue = Catalogue(1)
    twice = certificate_of(block_on(GENESIS.qc, 1, 0), (2, 0, 2))
    assert catalogue.certificates[catalogue.certificate(twice)].signers == [0, 2]


def test_blocks_of_one_round_are_numbered() -> None:
    catalogue = Catalogue(1)
    for author, round_ in ((0, 1), (1, 1), (2, 2)):
        catalogue.block(block_on(GENESIS.qc, round_, author))
    catalogue.name_blocks()
    assert [block.name for block in catalogue.blocks] == ["B1.1", "genesis", "B1.2", "B2"]


def test_a_timeout_certificate_stands_once() -> None:
    catalogue = Catalogue(1)
    tc = TC(4, (0, 0, 0), ((0, b""), (1, b""), (2, b"")), GENESIS.qc)
    assert catalogue.timeout_certificate(None) == NONE
    assert catalogue.timeout_certificate(tc) == catalogue.timeout_certificate(tc) == 0
    assert catalogue.timeout_certificates[0].signers == [0, 1, 2]


def test_operations_can_be_read() -> None:
    assert operation_text(encode(Put(b"x", b"1"))) == "Put(key=x, value=1)"
    assert operation_text(encode(CompareAndSet(b"x", None, b"\xff"))) == "CompareAndSet(key=x, expected=none, value=ff)"
    assert operation_text(b"any text") == "any text"
    assert operation_text(b"\xff\x00") == "ff00"
    assert operation_text(b"bell\x07") == b"bell\x07".hex()
    assert len(operation_text(b"long " * 100)) == SHOWN_OPERATION + 1


def test_results_can_be_read() -> None:
    assert result_text(encode_result()) == "Found(value=b'1')"
    assert result_text(b"\xff\xfe") == "fffe"


def encode_result() -> bytes:
    import msgspec

    return msgspec.msgpack.encode(Found(b"1"))
