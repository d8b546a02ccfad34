from __future__ import annotations

from diembft.pages.catalogue import Catalogue
from diembft.pages.data import NONE
from tests.pages.traces import GENESIS, block_on, certificate_of, given_up


def test_a_block_stands_once() -> None:
    catalogue = Catalogue(2)
    block = block_on(GENESIS, 1, 0)
    index = catalogue.block(block)
    assert catalogue.block(block) == index == catalogue.find(block.id)
    assert [shown.round for shown in catalogue.blocks] == [1, 0]
    assert catalogue.blocks[index].parent == catalogue.find(GENESIS.block)
    assert catalogue.blocks[index].known == [NONE, NONE]


def test_a_certificate_tells_of_a_block_that_was_not_seen_and_the_block_fills_it_in() -> None:
    catalogue = Catalogue(1)
    block = block_on(GENESIS, 3, 2)
    index = catalogue.certificates[catalogue.certificate(certificate_of(block, (0, 1, 3)))].block
    assert (catalogue.blocks[index].round, catalogue.blocks[index].author) == (3, NONE)
    catalogue.block(block)
    assert (catalogue.blocks[index].author, catalogue.blocks[index].request_count) == (2, 1)


def test_certificates_differ_by_their_signers() -> None:
    catalogue = Catalogue(1)
    block = block_on(GENESIS, 1, 0)
    first = catalogue.certificate(certificate_of(block, (0, 1, 2)))
    assert catalogue.certificate(certificate_of(block, (0, 1, 2))) == first
    assert catalogue.certificate(certificate_of(block, (1, 2, 3))) != first
    assert catalogue.certificates[first].signers == [0, 1, 2]


def test_a_signer_counts_once() -> None:
    catalogue = Catalogue(1)
    twice = certificate_of(block_on(GENESIS, 1, 0), (2, 0, 2))
    assert catalogue.certificates[catalogue.certificate(twice)].signers == [0, 2]


def test_blocks_of_one_round_are_numbered() -> None:
    catalogue = Catalogue(1)
    for author, round_ in ((0, 1), (1, 1), (2, 2)):
        catalogue.block(block_on(GENESIS, round_, author))
    catalogue.name_blocks()
    assert [block.name for block in catalogue.blocks] == ["B1.1", "genesis", "B1.2", "B2"]


def test_a_certificate_that_a_round_was_given_up_stands_once() -> None:
    catalogue = Catalogue(1)
    left = given_up(4, (0, 0, 0))
    assert catalogue.round_given_up(None) == NONE == catalogue.round_given_up(GENESIS) == catalogue.certificate(left)
    assert catalogue.round_given_up(left) == catalogue.round_given_up(left) == 0
    assert catalogue.given_up[0].signers == [0, 1, 2]


def test_what_a_certificate_commits_may_be_told_later() -> None:
    catalogue = Catalogue(1)
    block = block_on(GENESIS, 1, 0)
    child = block_on(certificate_of(block, (0, 1, 2)), 2, 1)
    index = catalogue.certificate(certificate_of(child, (0, 1, 2), commits=False))
    assert not catalogue.certificates[index].commits
    catalogue.block(block)
    assert catalogue.certificate(certificate_of(child, (0, 1, 2))) == index
    assert (catalogue.certificates[index].commits, catalogue.certificates[index].head) == (
        True,
        catalogue.find(block.id),
    )


def test_genesis_is_one_block() -> None:
    catalogue = Catalogue(1)
    first = catalogue.certificates[catalogue.certificate(GENESIS)].block
    assert catalogue.named(b"genesis", 0) == catalogue.named(b"", 0) == first
