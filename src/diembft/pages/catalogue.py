"""The blocks and certificates of a trace, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from diembft.pages import data
from diembft.pages.data import NONE
from diembft.trace.values import Block, Certificate, RequestName, Vote

SHOWN_REQUESTS = 8
"""How many requests of a block or message are shown."""

GENESIS_ROUND = 0
"""What stands below, such as the parent of genesis where a protocol tells one, is genesis too."""


class Catalogue:
    """Gives every block and certificate an index, by content. Genesis, of round 0, is one block, whatever its id, and
    has one certificate."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self.blocks: list[data.PageBlock] = []
        self.certificates: list[data.PageCertificate] = []
        self.given_up: list[data.PageGivenUp] = []
        self._block_index: dict[bytes, int] = {}
        self._genesis = NONE
        self._certificate_index: dict[tuple[int, str, tuple[int, ...]], int] = {}
        self._given_up_index: dict[tuple[int, tuple[int, ...], tuple[int, ...]], int] = {}

    def find(self, block_id: bytes | None) -> int:
        """The index of a block by its id, NONE if it was not seen."""
        return NONE if block_id is None else self._block_index.get(block_id, NONE)

    def named(self, block_id: bytes, round_: int, parent: bytes | None = None) -> int:
        """The index of a block that something is about; nothing else of it need have been seen."""
        index = self._block_index.get(block_id)
        if index is None:
            index = self._add(block_id, round_)
        if self.blocks[index].parent == NONE and round_ > 0:
            self.blocks[index].parent = self.find(parent)
        return index

    def voted_for(self, vote: Vote) -> int:
        """The index of the block that a vote is for, NONE if it is for none."""
        return NONE if vote.block is None else self.named(vote.block, vote.round, vote.parent)

    def block(self, block: Block) -> int:
        """The index of a block; its parent is taken in as well."""
        index = self._block_index.get(block.id)
        if index is None:
            index = self._add(block.id, block.round)
        entry = self.blocks[index]
        if entry.author == NONE and index != self._genesis:
            entry.author = block.author
            entry.round = block.round
            entry.certificate = self.certificate(block.certificate)
            entry.parent = self.named(block.parent, block.parent_round)
            entry.requests = shown_requests(block.requests)
            entry.request_count = len(block.requests)
        return index

    def certificate(self, certificate: Certificate | None) -> int:
        """The index of a certificate of a block; that block is entered, if need be, by what the certificate tells of
        it. NONE for none, and for one that a round was given up."""
        if certificate is None or certificate.block is None:
            return NONE
        block = self.named(certificate.block, certificate.round, certificate.parent)
        key = (block, certificate.phase, tuple(sorted(set(certificate.signers))))
        if block == self._genesis:
            key = (block, "", ())
        index = self._certificate_index.get(key)
        if index is None:
            index = self._certificate_index[key] = len(self.certificates)
            parent_round = NONE if certificate.parent_round is None else certificate.parent_round
            signers, nothing = list(key[2]), [NONE] * self._nodes
            self.certificates.append(
                data.PageCertificate(
                    block, certificate.round, certificate.phase, parent_round, False, NONE, signers, nothing
                )
            )
        entry = self.certificates[index]
        if certificate.commits is not None and (not entry.commits or entry.head == NONE):
            entry.commits, entry.head = True, self.find(certificate.commits)
        return index

    def round_given_up(self, certificate: Certificate | None) -> int:
        """The index of a certificate that a round was given up, NONE for none."""
        if certificate is None or certificate.block is not None:
            return NONE
        key = (certificate.round, certificate.signers, certificate.high_rounds)
        index = self._given_up_index.get(key)
        if index is None:
            index = self._given_up_index[key] = len(self.given_up)
            signers, high_rounds = list(certificate.signers), list(certificate.high_rounds)
            self.given_up.append(data.PageGivenUp(certificate.round, signers, high_rounds))
        return index

    def name_blocks(self) -> None:
        """Give every block its name: its round, and a number where the round has several."""
        in_round = Counter(block.round for block in self.blocks)
        used: Counter[int] = Counter()
        for block in self.blocks:
            used[block.round] += 1
            if block.round == 0:
                block.name = "genesis"
            elif in_round[block.round] == 1:
                block.name = f"B{block.round}"
            else:
                block.name = f"B{block.round}.{used[block.round]}"

    def _add(self, block_id: bytes, round_: int) -> int:
        if round_ <= GENESIS_ROUND and self._genesis != NONE:
            self._block_index[block_id] = self._genesis
            genesis = self.blocks[self._genesis]
            genesis.id = genesis.id or block_id.hex()  # what knows no id of genesis leaves it out
            return self._genesis
        index = len(self.blocks)
        nothing = [NONE] * self._nodes
        self.blocks.append(data.PageBlock(block_id.hex(), "", round_, NONE, NONE, NONE, list(nothing), list(nothing)))
        self._block_index[block_id] = index
        if round_ <= GENESIS_ROUND:
            self.blocks[index].round = GENESIS_ROUND
            self._genesis = index
        return index


def shown_requests(requests: Iterable[RequestName]) -> list[data.PageRequest]:
    """The first requests."""
    return [data.PageRequest(client, number) for client, number, _ in list(requests)[:SHOWN_REQUESTS]]
