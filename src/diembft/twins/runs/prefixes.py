"""Many scenarios of one shape, executed with what they share: common beginnings once, and equal states once.

An execution pauses whenever a round is entered that nobody was in. Between two pauses it looks up, in its script,
who leads and whom a message reaches, and nothing else of the script matters: scripts that give the same answers to
the same questions go the same way. And where two executions pause in states of one key (`state_key`), they go on
alike. So a run over many scenarios grows a graph of states and of the ways between them, each a tree of questions; a
scenario whose answers are all in the graph costs nothing but the walk.

Each scenario gets the findings that executing it alone gives. Whatever is violated is executed alone, so that what
is told of it is its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from diembft.judge.verdict import Finding
from diembft.protocols.by_name import protocol_of
from diembft.protocols.interface import AFTER_THE_LAST
from diembft.twins.runs.judging import Judgement, judge, run, terms
from diembft.twins.runs.oracles import violated_already
from diembft.twins.runs.oracles.facts import facts_of
from diembft.twins.runs.oracles.terms import Terms, judged_rounds
from diembft.twins.runs.record import Ending, cast_of
from diembft.twins.runs.routes import Routes, routes_of, whole
from diembft.twins.runs.shared import Lookup, LookupAnswer, SharedRun, answer_of
from diembft.twins.runs.state_key import forget_the_past, state_key
from diembft.twins.runs.timed import time_limit
from diembft.twins.scenarios.scenario import NO_EXTRAS, Round, Scenario

KEPT_EXECUTIONS = 3000
"""How many paused executions a graph keeps. Others are executed again when they are needed."""

KEPT_STEPS = 60_000
"""How many steps of replicas a graph remembers before it begins anew: about 200 MB."""

QUORUM = -2
"""As the kind of a Lookup: whether some set of the round holds a quorum."""


class RunShape(NamedTuple):
    """What scenarios of one graph have in common."""

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
    if its protocol cannot share, or if it cannot be executed at all."""
    if scenario.model != "timed" or not scenario.rounds or len(scenario.replicas) < 2:
        return None
    if protocol_of(scenario.protocol).sharing is None:
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


class _State:
    """Executions that are about to enter a round that nobody was in."""

    __slots__ = ("execution", "first")

    def __init__(self, execution: SharedRun) -> None:
        self.execution: SharedRun | None = execution
        """Paused here; None if it is to be executed again."""
        self.first: _Way = None
        """What is asked first on the way to the next state."""


class _Question:
    """What an execution looks up next in its script, and where each answer leads."""

    __slots__ = ("answers", "lookup")

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.answers: dict[LookupAnswer, _Way] = {}


class _Next(NamedTuple):
    """The way leads to this state."""

    state: _State
    ticks: int
    """How long it takes."""
    rounds: int
    """The last round before gst that was asked about: scripts that agree up to it go this way."""


class _End(NamedTuple):
    """The execution ends."""

    findings: tuple[Finding, ...] | None
    """None if something is violated, here or on the way."""
    ending: Ending
    ticks: int
    """From the last state on."""


_Way = _Question | _Next | _End | None
"""None: nothing was executed here yet."""


class Graph:
    """Executes scenarios of one shape. Rounds are numbered as they are first given."""

    def __init__(self, example: Scenario) -> None:
        shape = shape_of(example)
        assert shape is not None, "because the caller has looked whether it can be shared"
        self.states = 0
        """How many different states were met."""
        self.executed = 0
        """How many ways from state to state were executed."""
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
        self._known: dict[bytes, _State] = {}
        self._recent: OrderedDict[_State, None] = OrderedDict()
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
        state = walk[-1].state if walk else self._root
        while True:
            way = _follow(state.first, routes)
            if way is None:
                way = self._execute([self._root, *[step.state for step in walk]], routes)
            if isinstance(way, _End):
                break
            walk.append(way)
            state = way.state
        ticks = sum([step.ticks for step in walk]) + way.ticks
        if way.findings is None or ticks > self._limit:
            return None
        promising = self._promising
        promises = self._lively and all(promising[number] for number in path)
        return Judgement(way.findings, way.ending, ticks, promises)

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

    def _begin(self) -> _State:
        """Forget all, and start from the first event."""
        self._known.clear()
        self._recent.clear()
        execution = SharedRun(self._protocol, self._system, self._script, self._last, after=self._after)
        self._tally = execution.tally
        return _State(execution)

    def _execute(self, walked: list[_State], routes: list[Routes]) -> _Next | _End:
        """Execute the way from the last state on, and note it."""
        self.executed += 1
        self._set_script(routes)
        execution = self._resumed(walked).fork()
        began, highest = execution.now, execution.highest
        paused = execution.go_on()
        # What follows gst is the same for all scenarios of this shape.
        asked: dict[Lookup, LookupAnswer] = {
            lookup: answer for lookup, answer in execution.asked if lookup.round <= self._gst
        }
        way: _Next | _End
        if paused:
            entered = execution.pending_round
            for round_ in range(max(1, highest), min(entered, self._gst + 1)):
                asked[Lookup(round_, QUORUM, 0, 0)] = self._script[round_].has_quorum
            so_far = self._terms_of(routes[1:entered])
            if violated_already(facts_of(execution.record, so_far), so_far):
                way = _End(None, Ending.COMPLETE, 0)
            else:
                rounds = max([lookup.round for lookup in asked], default=0)
                way = _Next(self._joined(execution), execution.now - began, rounds)
        else:
            judgement = judge(execution.record, self._terms_of(routes[1:]))
            findings = None if judgement.violations else judgement.findings
            way = _End(findings, judgement.ending, judgement.end - began)
        _note(walked[-1], asked, way)
        return way

    def _joined(self, execution: SharedRun) -> _State:
        """The state of the graph that this one equals: an old one, or a new one."""
        forget_the_past(execution, self._gst)
        key = state_key(execution, self._terms)
        state = self._known.get(key)
        if state is None:
            state = self._known[key] = _State(execution)
            self.states += 1
            self._keep(state)
        return state

    def _keep(self, state: _State) -> None:
        self._recent[state] = None
        if len(self._recent) > KEPT_EXECUTIONS:
            oldest, _ = self._recent.popitem(last=False)
            oldest.execution = None

    def _resumed(self, walked: list[_State]) -> SharedRun:
        """The execution that is paused in the last state; if it was forgotten, the way to it is executed again."""
        at = len(walked) - 1
        while walked[at].execution is None:
            at -= 1
        execution = walked[at].execution
        assert execution is not None, "because the root keeps its own"
        if at:
            self._recent.move_to_end(walked[at])
        for state in walked[at + 1 :]:
            execution = execution.fork()
            execution.go_on()
            forget_the_past(execution, self._gst)
            state.execution = execution
            self._keep(state)
        return execution

    def _set_script(self, routes: list[Routes]) -> None:
        script, leaders = self._script, self._system.leaders
        script.clear()
        script.update(enumerate(routes[1:], 1))
        leaders.clear()
        leaders.update([(round_, table.leader) for round_, table in script.items()])
        leaders[AFTER_THE_LAST] = self._after.leader

    def _terms_of(self, routes: list[Routes]) -> Terms:
        """The terms of the scenario, or of the beginning of one, of these rounds."""
        quorumless = next((round_ for round_, table in enumerate(routes, 1) if not table.has_quorum), None)
        leaders = tuple([table.leader for table in routes])
        return self._terms._replace(last=len(routes), leaders=leaders, quorumless=quorumless)


def _follow(way: _Way, routes: list[Routes]) -> _Next | _End | None:
    """Where a script leads."""
    while isinstance(way, _Question):
        lookup = way.lookup
        table = routes[lookup.round]
        way = way.answers.get(table.has_quorum if lookup.kind == QUORUM else answer_of(lookup, table))
    return way


def _note(state: _State, asked: dict[Lookup, LookupAnswer], way: _Next | _End) -> None:
    """Add a way to the tree of questions of a state."""
    question: _Question | None = None
    answer: LookupAnswer = 0
    for lookup, next_answer in asked.items():
        node = state.first if question is None else question.answers.get(answer)
        if node is None:
            node = _Question(lookup)
            if question is None:
                state.first = node
            else:
                question.answers[answer] = node
        assert isinstance(node, _Question), "because an execution that goes on is not at its end"
        assert node.lookup == lookup, "because the same answers lead to the same question"
        question, answer = node, next_answer
    if question is None:
        state.first = way
    else:
        question.answers[answer] = way


class PrefixRuns:
    """Runs scenarios of any shapes, each with what it shares with those before it. Neighbours share most."""

    def __init__(self) -> None:
        self.graphs: dict[RunShape, Graph] = {}

    def run(self, scenario: Scenario) -> Judgement:
        """Execute and judge a scenario: the same answer as `judging.run` gives."""
        shape = shape_of(scenario)
        if shape is None:
            return run(scenario)
        graph = self.graphs.get(shape)
        if graph is None:
            graph = self.graphs[shape] = Graph(scenario)
        judgement = graph.judge([graph.number(round_) for round_ in scenario.rounds])
        return run(scenario) if judgement is None else judgement
