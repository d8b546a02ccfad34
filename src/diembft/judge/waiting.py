"""liveness: a request that a correct node holds commits within a bounded number of rounds and time after GST."""

from __future__ import annotations

from math import inf

from msgspec import Struct

from diembft.judge.facts import Entered, RequestKey, Roster
from diembft.judge.verdict import Report, violation

NAME = "liveness"

DISPUTED = -1
"""As the leader of a round: correct nodes name different ones."""


class _Held(Struct):
    """A request that correct nodes hold."""

    nodes: dict[str, None]
    windows: int
    """By how many good windows it must be committed; counted from GST or from when it was first held."""


class Waiting:
    """Judged from a promise of synchrony until the next fault, if its delay is at most the delta that timers are
    derived from, and while at most f validators are not correct. With L the longest round timer that a correct node
    started since the last progress (or had running then):

    - *Time*: while a correct node holds a request, the highest round of correct nodes rises at least every 3 L + 6
      delta. (The holder's timer runs out, L; its timeout relays the request or brings its round up to date; the
      others' timers run out, L; should rounds have differed, a third L; and messages there and back.)
    - *Rounds*: a request commits within 30 n + b *good windows*: three rounds in a row in which all correct nodes that
      entered them saw the same leader, a correct one, and that all have left. b is the number of requests held when
      it came. (Each window commits a block of a correct leader, which takes waiting requests in turn; 30 n windows
      make it all but certain that a node that alone holds the request has led.)
    """

    WINDOWS_PER_NODE = 30

    def __init__(self, roster: Roster, report: Report, delta_s: float) -> None:
        self._roster = roster
        self._report = report
        self._n = roster.n
        self._delta_s = delta_s
        self._since: float | None = None
        self.decided = False
        """Whether a correct node held a request while the network was synchronous."""
        self._held: dict[RequestKey, _Held] = {}
        self._rounds: dict[str, int] = {}
        self._timers: dict[str, float] = {}
        """The delay of the running round timer of each correct node."""
        self._highest = 0
        self._longest_s = 0.0
        self._progress_at = 0.0
        self.deadline = inf
        """When the highest round must have risen."""
        self._leaders: dict[int, int] = {}
        """Who leads the rounds that not all correct nodes have left; -1 where they disagree."""
        self._left = 0
        """Rounds up to this one all correct nodes have left."""
        self._good_in_row = 0
        self._windows = 0

    @property
    def waits(self) -> bool:
        """Whether a correct node holds a request."""
        return bool(self._held)

    # --- synchrony

    def synchronous(self, at: float, delta_s: float) -> None:
        """The driver promises that from now on messages between correct nodes take at most so long."""
        self.faulted()
        if delta_s > self._delta_s or self._roster.faulty() > (self._n - 1) // 3:
            return
        self._since = at
        self.decided = self.decided or bool(self._held)
        for held in self._held.values():
            held.windows = self._allowed_windows()
        self._progressed(at)

    def faulted(self) -> None:
        """The promise of synchrony is over."""
        self._since = None
        self.deadline = inf

    # --- what correct nodes hold

    def holds(self, at: float, node: str, key: RequestKey) -> None:
        """A node was given a request that nobody executed yet."""
        if not self._roster.correct(node):
            return
        held = self._held.get(key)
        if held is None:
            self.decided = self.decided or self._since is not None
            self._held[key] = _Held({node: None}, self._allowed_windows())
            if len(self._held) == 1:
                self._progressed(at)
        else:
            held.nodes[node] = None

    def lost(self, node: str) -> None:
        """What the node held counts no longer."""
        for key in [key for key, held in self._held.items() if node in held.nodes]:
            self.refused(node, key)
        self._timers.pop(node, None)
        self._rounds.pop(node, None)

    def turned(self, node: str) -> None:
        """The node is no longer correct."""
        self.lost(node)
        if self._roster.faulty() > (self._n - 1) // 3:
            self.faulted()

    def committed(self, node: str, requests: tuple[RequestKey, ...]) -> None:
        """A node delivers a block with these requests."""
        if self._roster.correct(node):
            for key in requests:
                self._held.pop(key, None)

    def refused(self, node: str, key: RequestKey) -> None:
        """A node that refused a request holds it no longer."""
        held = self._held.get(key)
        if held is not None:
            held.nodes.pop(node, None)
            if not held.nodes:
                del self._held[key]

    # --- progress

    def timer(self, node: str, delay_s: float | None) -> None:
        """A round timer was started, or (None) ended."""
        if not self._roster.correct(node):
            return
        if delay_s is None:
            self._timers.pop(node, None)
            return
        self._timers[node] = delay_s
        if delay_s > self._longest_s:
            self._longest_s = delay_s
            self._set_deadline()

    def entered(self, entry: Entered) -> None:
        """A node is in this round, or still in it; it says who leads it."""
        node, round_, leader = entry.node, entry.round, entry.leader
        if not self._roster.correct(node):
            return
        if leader is not None and round_ > self._left and self._leaders.setdefault(round_, leader) != leader:
            self._leaders[round_] = DISPUTED
        if self._rounds.get(node) != round_:
            self._rounds[node] = round_
            if round_ > self._highest:
                self._highest = round_
                self._progressed(entry.at)
            self._leave_rounds(min(self._rounds.values()))

    def _progressed(self, at: float) -> None:
        self._progress_at = at
        self._longest_s = max(self._timers.values(), default=0.0)
        self._set_deadline()

    def _set_deadline(self) -> None:
        if self._since is not None:
            self.deadline = max(self._progress_at, self._since) + 3 * self._longest_s + 6 * self._delta_s

    def overdue(self) -> None:
        """The deadline has passed."""
        self.deadline = inf
        if self._held:
            client, number, _ = next(iter(self._held))
            detail = (
                f"no correct node has gone beyond round {self._highest} since {self._progress_at:g} s, "
                f"while request {number} of {client} waits and the network is synchronous"
            )
            self._report.violated(violation(NAME, detail, self._highest))

    def _leave_rounds(self, lowest: int) -> None:
        """All correct nodes are in round `lowest` or later: which of the rounds before it were good?"""
        if lowest <= self._left + 1:
            return
        for round_ in sorted([round_ for round_ in self._leaders if round_ < lowest]):
            self._leave_until(round_)
            self._left = round_
            leader = self._leaders.pop(round_)
            good = leader >= 0 and self._roster.correct_replica(leader)
            self._good_in_row = self._good_in_row + 1 if good else 0
            if self._good_in_row >= 3:
                self._windows += 1
                self._too_many_windows()
        self._leave_until(lowest)

    def _leave_until(self, round_: int) -> None:
        """Rounds before this one that no correct node entered are not good."""
        if self._left + 1 < round_:
            self._left = round_ - 1
            self._good_in_row = 0

    def _allowed_windows(self) -> int:
        return self._windows + self.WINDOWS_PER_NODE * self._n + len(self._held)

    def _too_many_windows(self) -> None:
        """Judge the request that was held first: no later one may take longer by more than what waits before it."""
        if self._since is None or not self._held:
            return
        (client, number, _), held = next(iter(self._held.items()))
        if self._windows > held.windows:
            detail = f"request {number} of {client} waits at {', '.join(held.nodes)} after {self._windows} good windows"
            self._report.violated(violation(NAME, detail, self._highest, tuple(held.nodes)))
