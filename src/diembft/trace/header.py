"""The first record of a trace: what ran, and how to run it again."""

from __future__ import annotations

from typing import Annotated, Any, final

from msgspec import Meta, Struct

FORMAT = "diembft-trace"
VERSION = 2

ALWAYS_WRITTEN = ("format", "version")
"""Fields of a header that a file must have, although in memory they are a matter of course."""


class Node(Struct, frozen=True):
    """A running copy of a validator."""

    name: str
    """Unique among nodes and clients."""
    replica: int
    """The identity whose key it holds."""
    correct: bool = True
    """False from the start for twins and Byzantine actors; SetAttribute tells of those made so later. A replica with
    planted bugs counts as correct: what they break is to be seen."""


@final
class Header(Struct, frozen=True, tag_field="type", tag="header"):
    """The first record."""

    runtime: str
    """What ran the protocol: `simulator`, `twins`, `distalgo`, `node`, or the name of another system."""
    protocol: str
    """The protocol's name, such as `diembft`."""
    nodes: tuple[Node, ...]
    """All that ran, clients left out."""
    n: Annotated[int, Meta(ge=1, le=1 << 16)]
    """How many replicas (identities) there are."""
    quorum: Annotated[int, Meta(ge=1, le=1 << 16)]
    """How many signers a certificate needs."""
    chain: Annotated[int, Meta(ge=1)]
    """How many blocks of consecutive rounds, each certified by the next, commit the first one when the last is
    certified: 2 in DiemBFT, 3 in HotStuff."""
    delta_s: Annotated[float, Meta(gt=0)]
    """How long a message between correct nodes takes at most once the network is synchronous, in seconds."""
    clients: tuple[str, ...] = ()
    """Who asked for something; in Twins runs nodes ask in their own names."""
    seed: str = ""
    """What the run was drawn from."""
    replay: str = ""
    """The command that runs the same again, if there is one."""
    title: str = ""
    """One line: the name of a test case and what it shows."""
    scenario: str = ""
    """The one-line text of a Twins scenario."""
    bugs: tuple[str, ...] = ()
    """The names of the bugs that were planted."""
    detail: dict[str, Any] = {}
    """What the protocol has beyond this; of DiemBFT `chain_id`, `epoch`, `crypto` (`symbolic` or `ed25519`), and for
    Ed25519 `public_keys` (base64, of `replica0` ... and of the clients)."""
    format: str = FORMAT
    """Always `diembft-trace`."""
    version: int = VERSION
    """Of this schema."""
