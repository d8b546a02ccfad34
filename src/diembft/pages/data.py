"""What a page shows, as values: the JSON that the page's script reads.

A trace repeats itself: every message carries certificates, most of them known. Here blocks, certificates and messages
stand once, in lists, and refer to each other by index; NONE, which is -1, is nothing. A *step* is what happened to one
node at one moment: a cause (a message handled, a timer, a crash ...) with all that the node did about it. Steps are
the unit of replay. What is a part of a page is called so (`PageBlock`), for messages and traces have blocks of their
own. These values are filled in while a trace is read, so they are not frozen; nothing changes them once `PageData` is
made.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

RULES_KNOWN = "diembft"
"""The protocol whose rules for votes and commits pages know."""
NONE = -1
"""The index of nothing."""


class PageNode(Struct):
    """A lane of the diagram: a node, or (after all nodes) a client."""

    name: str
    short: str
    """A label of a few characters."""
    replica: int
    """NONE for a client."""
    correct: bool
    twin: bool
    """Whether it shares its identity with another node."""


class PageRequest(Struct, omit_defaults=True):
    """A client's request, with a word or two on it."""

    client: str
    number: int
    text: str = ""


class PageBlock(Struct, omit_defaults=True):
    """A block that was proposed, or that a certificate names."""

    id: str
    """Hexadecimal."""
    name: str
    """`B` and the round; `B5.1`, `B5.2` where a round has several."""
    round: int
    author: int
    """A replica; NONE if only a certificate of the block was seen."""
    parent: int
    certificate: int
    """That of the parent, inside the block."""
    known: list[int]
    """For each node the first step at which it had the block."""
    committed: list[int]
    """For each node the step at which it committed the block."""
    requests: list[PageRequest] = []
    """The first few of the payload."""
    request_count: int = 0
    column: int = 0
    row: int = 0


class PageCertificate(Struct):
    """A certificate of a block."""

    block: int
    round: int
    phase: str
    """Of the votes in it, where there are several."""
    parent_round: int
    """Of the certified block; NONE if nothing tells it."""
    commits: bool
    """Whether it commits a block."""
    head: int
    """The newest block that it commits; NONE if that was not seen."""
    signers: list[int]
    """Distinct, sorted."""
    known: list[int]
    """For each node the first step at which it had the certificate."""


class PageGivenUp(Struct):
    """A certificate that a round was given up."""

    round: int
    signers: list[int]
    high_rounds: list[int]
    """For each signer the highest certified round that it told, as far as that is known."""


class PageDelivery(Struct, omit_defaults=True):
    """What became of a message on its way to one node."""

    to: int
    fate: str
    """`delivered`, `rejected`, `ignored`, `lost` or `in flight`."""
    at: float
    reason: str = ""
    step: int = NONE


class PageMessage(Struct, omit_defaults=True):
    """A message that was sent, to one or several nodes."""

    number: int
    kind: str
    round: int
    node: int
    at: float
    deliveries: list[PageDelivery]
    step: int = NONE
    """The step in which it was sent; NONE if before the window."""
    sender: int = NONE
    """The identity that a proposal, vote or timeout names."""
    block: int = NONE
    """Proposed or voted for."""
    phase: str = ""
    """Of a vote."""
    parent_round: int = NONE
    """Of the block voted for."""
    high_round: int = NONE
    """Of a timeout: the highest certified round that its sender says it knows."""
    certificate: int = NONE
    """Of a proposal: that of the block's parent."""
    certificates: list[int] = []
    """The other certificates of blocks in it."""
    given_up: int = NONE
    """The certificate in it that a round was given up."""
    blocks: list[int] = []
    requests: list[PageRequest] = []


class PageState(Struct):
    """The state of a node after a step."""

    round: int
    leader: int
    voted_round: int
    locked_round: int
    """NONE if the protocol has no lock."""
    high: int
    """The highest certificate that it knows."""
    committed_by: int
    """The certificate that commits the newest block that it committed."""
    given_up: int
    """The certificate by which it entered its round, if that was after one that was given up."""
    height: int


class PageCommit(Struct):
    """A block delivered as committed."""

    block: int
    height: int
    certificate: int


class PageTimerChange(Struct, omit_defaults=True):
    """A timer was set anew, or (without `delay_s`) cancelled."""

    timer: str
    delay_s: float | None = None
    round: int = NONE


class PageStep(Struct, omit_defaults=True):
    """What happened to one node at one moment. `node` is NONE for what concerns no single node."""

    at: float
    kind: str
    """The type of the record that is the cause (`delivered`, `fired`, `violated` ...); without one `started`,
    and later `acted`."""
    node: int = NONE
    message: int = NONE
    delivery: int = NONE
    text: str = ""
    """A word or two: the timer that fired, the client, the attribute set."""
    round: int = NONE
    sets: list[list[int]] = []
    """Of a partition."""
    state: PageState | None = None
    sent: list[int] = []
    commits: list[PageCommit] = []
    persisted: str = ""
    timers: list[PageTimerChange] = []
    evidence: list[str] = []


class Band(Struct):
    """A round on the time axis: from its first entry by any node to that of the next."""

    round: int
    start: float
    end: float
    leaders: list[int]
    """The replicas that lead it in the view of some node whose state was not tampered with."""
    sets: list[list[int]]
    """The partition scripted for the messages of this round; empty if none is."""


class Side(Struct, omit_defaults=True):
    """One of the blocks that conflict, with who stands behind it."""

    block: int
    certificates: list[int]
    """Those that certify the block."""
    commit_certificate: int = NONE
    """By which its first committer learnt that it is committed."""
    committed_by: list[int] = []
    """Nodes."""
    chain: list[int] = []
    """From the first block after the fork to the newest block that shows the commit."""
    votes: list[int] = []
    """The messages that carried votes for the blocks of the chain."""
    voters: list[int] = []
    """The replicas that voted for the block."""


class PageStatement(Struct):
    """One of the things that an equivocator said, and to whom."""

    node: int
    message: int
    block: int
    heard: list[int]
    """The nodes that it reached."""


class PageEquivocation(Struct):
    """One identity, one round, and two different proposals or votes."""

    replica: int
    kind: str
    round: int
    phase: str
    """Of the votes."""
    told: list[PageStatement]


class PageVote(Struct):
    """A vote that shows a violation."""

    replica: int
    round: int
    phase: str
    block: int


class Lost(Struct):
    """Messages of one type that were lost for another reason than a partition, which walls show."""

    kind: str
    senders: list[int]
    """Nodes."""
    receivers: list[int]
    """Nodes, the same for each sender."""
    reason: str


class StoryRound(Struct):
    """What happened in a round that matters to a violation."""

    round: int
    leaders: list[int]
    sets: list[list[int]]
    certificates: list[int]
    """Of blocks of this round."""
    timeouts: list[int]
    """The replicas that gave the round up."""
    lost: list[Lost]


class Observation(Struct, omit_defaults=True):
    """Something seen in the messages that the protocol's rules do not allow; `text` is one sentence."""

    rule: str
    text: str
    step: int = NONE
    block: int = NONE


class Story(Struct):
    """A violation: which property, shown by what, and how it came about; or a failure without one, and how it ended."""

    step: int
    """At which it was noted: for oracles that judge a finished run, at its end."""
    moment: int
    """The step by which what shows it had happened."""
    property: str
    meaning: str
    detail: str
    nodes: list[int]
    round: int
    certificates: list[int]
    """As the record names them."""
    votes: list[PageVote]
    """Those that the record names."""
    sides: list[Side]
    fork: int
    """The last common block of the sides."""
    both: list[int]
    """Replicas that signed certificates on both sides."""
    equivocations: list[PageEquivocation]
    observations: list[Observation]
    rounds: list[StoryRound]
    violation: bool = True
    """Whether a property is violated; otherwise `property` is what failed, and all is told of the run's end."""


class Window(Struct):
    """Which part of the trace a page shows."""

    first_round: int
    last_round: int
    all_rounds: int
    """The highest round of the trace."""
    steps_before: int
    steps_after: int
    whole: bool
    cut_s: float | None
    """When the page ends within its last round, which is too large; None if the whole round is shown."""


class PageData(Struct):
    """All that one page shows."""

    title: str
    scenario: str
    """The script of a Twins run, on several lines."""
    protocol: str
    runtime: str
    n: int
    quorum: int
    delta_s: float
    seed: str
    replay: str
    nodes: list[PageNode]
    replicas: list[str]
    """The name of each identity."""
    shorts: list[str]
    """A label of a few characters for each identity."""
    passed: bool | None
    """None if the trace has no end record."""
    reasons: list[str]
    figures: dict[str, Any]
    window: Window
    start_states: list[PageState | None]
    start_status: list[str]
    """Of each node at the beginning of the window: `up`, `crashed` or `paused`."""
    blocks: list[PageBlock]
    certificates: list[PageCertificate]
    given_up: list[PageGivenUp]
    messages: list[PageMessage]
    steps: list[PageStep]
    bands: list[Band]
    stories: list[Story] = field(default_factory=list)
