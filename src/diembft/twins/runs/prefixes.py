"""Many scenarios of one shape, executed with what they share: their common beginnings, once.

An execution pauses whenever a round is entered that nobody was in. Between two pauses it looks up, in its script,
who leads and whom a message reaches, and nothing else of the script matters: scripts that give the same answers to
the same questions go the same way. So a run over many scenarios grows a tree of questions, with an execution that can
be forked at each pause; a scenario whose answers are all in the tree costs nothing but the walk.

No two states are ever compared, and nothing is forgotten: what a scenario is judged by is the record of an execution,
step by step the one that it would have had alone. All this takes is that replicas are deterministic and that forks are
independent, whatever the protocol; which states behave alike, and what cannot matter any more, nobody has to know.

Whatever is violated is executed alone, so that what is told of it is its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from diembft.errors import InputError
from diembft.protocols.by_name import protocol_of
from diembft.protocols.interface import AFTER_THE_LAST
from diembft.twins.runs.judging import Judgement, judge, run, terms
from diembft.twins.runs.oracles.terms import Terms, judged_rounds
from diembft.twins.runs.record import cast_of
from diembft.twins.runs.routes import Routes, routes_of, whole
from diembft.twins.runs.shared import Lookup, LookupAnswer, SharedRun, answer_of
from diembft.twins.runs.timed import time_limit
from diembft.twins.scenarios.scenario import NO_EXTRAS, Round, Scenario

KEPT_EXECUTIONS = 3000
"""How many paused executions a tree keeps. Others are executed again when they are needed."""

KEPT_STEPS = 60_000
"""How many steps of replicas a tree remembers before it begins anew: about 200 MB."""

QUORUM = -2
"""As the kind of a Lookup: whether some set of the round holds a quorum."""


class RunShape(NamedTuple):
    """What scenarios of one tree have in common."""

    replicas: tuple[str, ...]
    twins: tuple[str, ...]
    bugs: tuple[str, ...]
    rounds: int
    gst: int
    synchronous: tuple[Round, ...]
    """The rounds after gst."""
    leader: str
    """Of the last round, and of all after it."""
    delay_bound_s: float
    timeout_s: float
    protocol: str


def shape_of(scenario: Scenario) -> RunShape | None:
    """The shape of a scenario; None if it must be executed alone: in another network model, if a round has extras, or
    if it cannot be executed at all."""
    if scenario.model != "timed" or not scenario.rounds or len(scenario.replicas) < 2:
        return None
    if any(round_.extras is not NO_EXTRAS and round_.extras != NO_EXTRAS for round_ in scenario.rounds):
        return None
    gst = scenario.synchronous_from
    return RunShape(
        scenario.replicas,
        scenario.twins,
        scenario.bugs,
        len(scenario.rounds),
        gst,
        scenario.rounds[gst:],
        scenario.rounds[-1].leader,
        scenario.delay_bound_s,
        scenario.timeout_s,
        scenario.protocol,
    )


class _Pause:
    """Executions that went the same way, and are about to enter a round that nobody was in."""

    __slots__ = ("execution", "first")

    def __init__(self, execution: SharedRun) -> None:
        self.execution: SharedRun | None = execution
        """Paused here; None if it is to be executed again."""
        self.first: _Way = None
        """What is asked first on the way to the next pause."""


class Question:
    """What an execution looks up next in its script, and where each answer leads."""

    __slots__ = ("answers", "lookup")

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.answers: dict[LookupAnswer, _Way] = {}


class _Next(NamedTuple):
    """The way leads to this pause."""

    pause: _Pause
    rounds: int
    """The last round before gst that was asked about: scripts that agree up to it go this way."""


class _End(NamedTuple):
    """The execution ends."""

    judgement: Judgement | None
    """None if something is violated."""


_Way = Question | _Next | _End | None
"""None: nothing was executed here yet."""


class Tree:
    """Executes scenarios of one shape. Rounds are numbered as they are first given."""

    def __init__(self, example: Scenario) -> None:
        shape = shape_of(example)
        assert shape is not None, "because the caller has looked whether it can be shared"
        self.executed = 0
        """How many ways from pause to pause were executed."""
        self._last = shape.rounds
        self._gst = shape.gst
        self._protocol = protocol_of(example.protocol)
        self._system = self._protocol.system(
            cast_of(example.replicas, example.twins), example.bugs, delay_bound_s=example.delay_bound_s
        )
        self._terms: Terms = terms(example)
        self._lively = bool(judged_rounds(self._terms))
        self._limit = time_limit(example)
        self._cast = (example.replicas, example.twins)
        self._after = whole(self._system.cast, routes_of(*self._cast, example.rounds[-1]).leader)
        self._numbers: dict[Round, int] = {}
        self._routes: list[Routes] = []
        self._promising: list[bool] = []
        self._script: dict[int, Routes] = {}
        self._recent: OrderedDict[_Pause, None] = OrderedDict()
        self._root = self._begin()
        self._path: Sequence[int] = ()
        """Of the scenario before this one."""
        self._walk: list[_Next] = []
        """The way that it went."""

    def number(self, round_: Round) -> int:
        """The number of a round, which must be in normal form."""
        number = self._numbers.get(round_)
        if number is None:
            number = self._numbers[round_] = len(self._routes)
            routes = routes_of(*self._cast, round_)
            self._routes.append(routes)
            silences = any(drop.msg_type == "*" for drop in round_.exceptions)
            self._promising.append(routes.has_quorum and not silences)
        return number

    def judge(self, path: Sequence[int]) -> Judgement | None:
        """What the oracles say of the scenario of these rounds; None if something is violated: execute it alone."""
        if self._tally.steps > KEPT_STEPS:
            self._root = self._begin()
            self._walk = []
        routes = [self._after, *[self._routes[number] for number in path]]
        walk = self._common_walk(path)
        pause = walk[-1].pause if walk else self._root
        while True:
            way = _follow(pause.first, routes)
            if way is None:
                way = self._execute([self._root, *[step.pause for step in walk]], routes)
            if isinstance(way, _End):
                break
            walk.append(way)
            pause = way.pause
        if way.judgement is None:
            return None
        promising = self._promising
        promises = self._lively and all(promising[number] for number in path)
        return way.judgement._replace(promises_liveness=promises)

    def _common_walk(self, path: Sequence[int]) -> list[_Next]:
        """The beginning of the walk before this one that this one shares for sure."""
        common = 0
        for new, old in zip(path, self._path, strict=False):
            if new != old:
                break
            common += 1
        kept = 0
        for step in self._walk:
            if step.rounds > common:
                break
            kept += 1
        self._path = path
        del self._walk[kept:]
        return self._walk

    # --- growing

    def _begin(self) -> _Pause:
        """Forget all, and start from the first event."""
        self._recent.clear()
        execution = SharedRun(
            self._protocol,
            self._system,
            self._script,
            self._last,
            after=self._after,
            limit=self._limit,
            pauses=self._gst,
        )
        self._tally = execution.tally
        return _Pause(execution)

    def _execute(self, walked: list[_Pause], routes: list[Routes]) -> _Next | _End:
        """Execute the way from the last pause on, and note it."""
        self.executed += 1
        self._set_script(routes)
        execution = self._resumed(walked).fork()
        paused = execution.go_on()
        # What follows gst, and what precedes round 1, is the same for all scenarios of this shape.
        asked: dict[Lookup, LookupAnswer] = {
            lookup: answer for lookup, answer in execution.asked if 1 <= lookup.round <= self._gst
        }
        way: _Next | _End
        if paused:
            way = _Next(_Pause(execution), max([lookup.round for lookup in asked], default=0))
            self._keep(way.pause)
        else:
            by = self._terms_of(routes[1:], asked)
            judgement = judge(execution.record, by)
            way = _End(None if judgement.violations else judgement)
        self._note(walked[-1], asked, way)
        return way

    def _keep(self, pause: _Pause) -> None:
        self._recent[pause] = None
        if len(self._recent) > KEPT_EXECUTIONS:
            oldest, _ = self._recent.popitem(last=False)
            oldest.execution = None

    def _resumed(self, walked: list[_Pause]) -> SharedRun:
        """The execution that is paused at the last pause; if it was forgotten, the way to it is executed again."""
        at = len(walked) - 1
        while walked[at].execution is None:
            at -= 1
        execution = walked[at].execution
        assert execution is not None, "because the root keeps its own"
        if at:
            self._recent.move_to_end(walked[at])
        for pause in walked[at + 1 :]:
            execution = execution.fork()
            execution.go_on()
            pause.execution = execution
            self._keep(pause)
        return execution

    def _set_script(self, routes: list[Routes]) -> None:
        script, leaders = self._script, self._system.leaders
        script.clear()
        script.update(enumerate(routes[1:], 1))
        leaders.clear()
        leaders.update([(round_, table.leader) for round_, table in script.items()])
        leaders[AFTER_THE_LAST] = self._after.leader

    def _terms_of(self, routes: list[Routes], asked: dict[Lookup, LookupAnswer]) -> Terms:
        """The terms of the scenario of these rounds; what they are read from is asked, too.

        That is the first round without a quorum. Of leaders, oracles want those after gst alone.
        """
        quorumless = None
        for round_, table in enumerate(() if self._protocol.timed_rounds else routes, 1):
            if round_ <= self._gst:
                asked[Lookup(round_, QUORUM, 0, 0)] = table.has_quorum
            if not table.has_quorum:
                quorumless = round_
                break
        leaders = tuple([table.leader for table in routes])
        return self._terms._replace(last=len(routes), leaders=leaders, quorumless=quorumless)

    def _note(self, pause: _Pause, asked: dict[Lookup, LookupAnswer], way: _Way) -> None:
        """Add a way to the tree of questions of a pause. Raises InputError if replicas are not deterministic."""
        question: Question | None = None
        answer: LookupAnswer = 0
        for lookup, next_answer in asked.items():
            node = pause.first if question is None else question.answers.get(answer)
            if node is None:
                node = Question(lookup)
                if question is None:
                    pause.first = node
                else:
                    question.answers[answer] = node
            if not isinstance(node, Question) or node.lookup != lookup:
                raise InputError(
                    f"protocol {self._protocol.name}: what began alike did not go on alike: its replicas are not "
                    "deterministic, or a fork of one shares what changes with it"
                )
            question, answer = node, next_answer
        if question is None:
            pause.first = way
        else:
            question.answers[answer] = way


def _follow(way: _Way, routes: list[Routes]) -> _Next | _End | None:
    """Where a script leads."""
    while isinstance(way, Question):
        lookup = way.lookup
        table = routes[lookup.round]
        way = way.answers.get(table.has_quorum if lookup.kind == QUORUM else answer_of(lookup, table))
    return way


class PrefixRuns:
    """Runs scenarios of any shapes, each with what it shares with those before it. Neighbours share most."""

    def __init__(self) -> None:
        self.trees: dict[RunShape, Tree] = {}

    def run(self, scenario: Scenario) -> Judgement:
        """Execute and judge a scenario: the same answer as `judging.run` gives."""
        shape = shape_of(scenario)
        if shape is None:
            return run(scenario)
        tree = self.trees.get(shape)
        if tree is None:
            tree = self.trees[shape] = Tree(scenario)
        judgement = tree.judge([tree.number(round_) for round_ in scenario.rounds])
        return run(scenario) if judgement is None else judgement
