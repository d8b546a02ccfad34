"""DiemBFT as a protocol under test."""

from __future__ import annotations

from typing_extensions import override

from diembft.faults.registry import BUGS, plant
from diembft.messages.types import (
    BlockRequest,
    BlockResponse,
    ProposalMsg,
    Relay,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
    round_of,
)
from diembft.protocols.cast import Cast
from diembft.protocols.diembft.exploring import DiemBftExploring
from diembft.protocols.diembft.reading import DiemBftReading
from diembft.protocols.diembft.showing import DiemBftShowing
from diembft.protocols.diembft.system import DiemBftSystem
from diembft.protocols.interface import ANSWER, BLOCKS, PROPOSAL, REQUEST, TIMEOUT, VOTE, Crypto, UnderTest


class DiemBft(UnderTest):
    """DiemBFT as it is in `diembft.consensus`, or with planted bugs."""

    name = "diembft"
    reading = DiemBftReading()
    kinds = {  # noqa: RUF012  # the interface has it as a Mapping
        ProposalMsg: PROPOSAL,
        VoteMsg: VOTE,
        TimeoutMsg: TIMEOUT,
        SyncInfo: ANSWER,
        BlockRequest: REQUEST,
        BlockResponse: BLOCKS,
        Relay: REQUEST,
    }
    chain = 2
    accountable = True
    exploring = DiemBftExploring()
    showing = DiemBftShowing()
    bugs = {name: bug.description for name, bug in BUGS.items()}  # noqa: RUF012  # the interface has it as a Mapping

    round_of = staticmethod(round_of)

    @override
    def system(
        self,
        cast: Cast,
        bugs: tuple[str, ...] = (),
        *,
        delay_bound_s: float = 1.0,
        crypto: Crypto = "symbolic",
        seed: int | float = 0,
    ) -> DiemBftSystem:
        return DiemBftSystem(cast, plant(bugs), delay_bound_s, crypto, seed)


DIEMBFT = DiemBft()
