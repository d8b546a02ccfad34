"""How long messages take in the network of a test case, before its failure rules add to that.

The delay bound of a case drives timers and nothing else: unless the case or a command line asks for more, messages take
what they take in a local network. A case may name one latency for all links, or one for a replica or one direction of a
link.
"""

from collections.abc import Mapping
from random import Random

from msgspec import Struct

from diembft.errors import LONGEST_S, InputError
from diembft.testcase.fields import Field, is_number, is_sequence, replica_of, replicas_in_words
from diembft.testcase.wording import shown

REST = "_"
"""The key of a mapping that stands for all links that no other key names."""

_WANTED = f"seconds from 0 to {LONGEST_S:,.0f}, or two such numbers (low, high)"


class Span(Struct, frozen=True):
    """From `low_s` to `high_s` seconds, drawn evenly. If they are equal, the time is constant and nothing is drawn."""

    low_s: float
    high_s: float

    def draw_s(self, rng: Random) -> float:
        """One delay, in seconds."""
        span_s = self.high_s - self.low_s
        return self.low_s + span_s * rng.random() if span_s else self.low_s

    def at_most(self, bound_s: float) -> "Span":
        """The same, cut off at a bound."""
        return Span(min(self.low_s, bound_s), min(self.high_s, bound_s))

    def __str__(self) -> str:
        """As a command line has it."""
        return repr(self.low_s) if self.low_s == self.high_s else f"{self.low_s!r}-{self.high_s!r}"


LOCAL = Span(0.0002, 0.001)
"""What a message takes in a local network, in virtual time."""
NOTHING = Span(0.0, 0.0)
"""What is added to the time of a message where the network is a real one."""


class Latencies(Struct, frozen=True):
    """Of all links of a case. Replicas are indices; clients have no names here."""

    rest: Span | None = None
    """Of all links that are not named below; None: as the driver's network is by itself."""
    replicas: dict[int, Span] = {}
    """Of all links of a replica, in both directions."""
    links: dict[tuple[int, int], Span] = {}
    """Of one direction of a link: (sender, receiver)."""

    def of(self, src: int, dest: int, local: Span) -> Span:
        """Of one direction of a link; `local` is what the driver's network is by itself.

        A pair beats a replica, of two replicas the sender's counts, and both beat the rest.
        """
        named = self.links.get((src, dest)) or self.replicas.get(src) or self.replicas.get(dest)
        return named or self.rest or local

    def longest_s(self, local: Span) -> float:
        """The longest that a message can take, in seconds."""
        spans = (self.rest or local, *self.replicas.values(), *self.links.values())
        return max([span.high_s for span in spans])


class Links:
    """The latencies of a case, looked up once for each direction of a link."""

    __slots__ = ("_latencies", "_local", "_spans")

    def __init__(self, latencies: Latencies, local: Span) -> None:
        self._latencies = latencies
        self._local = local
        self._spans: dict[tuple[int, int], Span] = {}

    def draw_s(self, src: int, dest: int, rng: Random) -> float:
        """How long a message takes, in seconds."""
        span = self._spans.get((src, dest))
        if span is None:
            span = self._spans[src, dest] = self._latencies.of(src, dest, self._local)
        return span.draw_s(rng)


LOCAL_NETWORK = Latencies()
"""Nothing is said of any link."""


def latencies(at: Field, value: object, n: int) -> Latencies:
    """What a configuration of n replicas says. Raises InputError."""
    if value is None:
        return LOCAL_NETWORK
    if not isinstance(value, Mapping):
        return Latencies(_span(at, value, f"{_WANTED}, or a mapping of replicas, pairs of them or '_' to these"))
    rest: Span | None = None
    replicas: dict[int, Span] = {}
    links: dict[tuple[int, int], Span] = {}
    for key, entry in value.items():
        place = at.entry(key)
        span = _span(place, entry, _WANTED)
        ends = _ends(key, n)
        if key == REST:
            rest = span
        elif len(ends) == 2:
            if ends in links:
                raise InputError(f"{place.source}: {place.field}: this link has a latency already")
            links[ends[0], ends[1]] = span
        elif ends:
            if ends[0] in replicas:
                raise InputError(f"{place.source}: {place.field}: this replica has a latency already")
            replicas[ends[0]] = span
        else:
            at.fail(f"a mapping whose keys are {replicas_in_words(n)}, pairs of two different ones, or '_'", key)
    return Latencies(rest, replicas, links)


def _ends(key: object, n: int) -> tuple[int, ...]:
    """The replica or the two replicas that a key of a mapping names; empty if it is neither."""
    names = key if is_sequence(key) else (key,)
    ends = tuple([end for name in names if (end := replica_of(name, n)) is not None])
    right = len(ends) == len(names) == len(set(ends)) and len(ends) == (2 if is_sequence(key) else 1)
    return ends if right else ()


def _span(at: Field, value: object, wanted: str) -> Span:
    numbers = tuple(value) if is_sequence(value) else (value, value)
    if len(numbers) == 2:
        low_s, high_s = numbers
        if is_number(low_s) and is_number(high_s) and 0 <= low_s <= high_s <= LONGEST_S:
            return Span(float(low_s), float(high_s))
    return at.fail(wanted, value)


def read_span(text: str) -> Span:
    """The latency that a command line gives: `0.05`, or `0.0002-0.001`. Raises InputError."""
    # Every "-" may be the one between the numbers, or belong to an exponent, as the first and the last of 1e-3-2e-3.
    cuts = [(text[:place], text[place + 1 :]) for place, sign in enumerate(text) if sign == "-"]
    for low, high in ((text, text), *cuts):
        try:
            low_s, high_s = float(low), float(high)
        except ValueError:
            continue
        if 0 <= low_s <= high_s <= LONGEST_S:
            return Span(low_s, high_s)
    right = f"seconds from 0 to {LONGEST_S:,.0f}, such as 0.05, or two such numbers, such as 0.0002-0.001"
    raise InputError(f"--latency: must be {right}, not {shown(text)}")
