"""A path of choices as a scenario, and back: so that what an exploration found can be kept, run, shrunk and shown."""

from __future__ import annotations

from diembft.errors import InputError
from diembft.protocols.states import Sets
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.by_model import choices_of, in_order
from diembft.twins.runs.models import Choice, renamed
from diembft.twins.scenarios.scenario import (
    NO_EXTRAS,
    Extras,
    NodeSets,
    Round,
    Scenario,
    default_gst,
    replica_names,
    whole_round,
)


def scenario_of(question: Question, path: tuple[int, ...], name: str = "") -> Scenario:
    """The scenario of a path: which initial state, then the choice of each step.

    A choice names the leader of the next round, so that one whole round closes the scenario.
    """
    model = question.engine().model
    replicas = replica_names(question.replicas)
    twins = tuple([f"{replica}'" for replica in replicas[: question.faulty]])
    choices = [model.choices[index] for index in path[1:]]
    leaders = [_leaders(model.choices)[path[0]], *[choice.leader for choice in choices]]
    rounds = [_round(replicas, twins, leader, choice) for leader, choice in zip(leaders[:-1], choices, strict=True)]
    rounds.append(whole_round(replicas, twins, replicas[leaders[-1]]))
    return Scenario(
        replicas=replicas,
        twins=twins,
        rounds=tuple(rounds),
        gst=default_gst(rounds),
        bugs=question.bugs,
        name=name,
        protocol=question.protocol,
        model=question.model,  # type: ignore[arg-type]  # a Question has checked that it is a model
    )


def path_of(question: Question, scenario: Scenario) -> tuple[int, ...]:
    """The path of a scenario of this question, without the whole round that closes it.

    Raises InputError for a scenario that the question does not cover.
    """
    scenario = in_order(scenario)
    asked = (question.protocol, question.model, question.replicas, question.faulty, tuple(sorted(question.bugs)))
    cast = (len(scenario.replicas), len(scenario.twins))
    if asked != (scenario.protocol, scenario.model, *cast, scenario.bugs) or not scenario.rounds:
        raise InputError(
            f"scenario {scenario.name}: is not of the protocol, the model, the nodes and the bugs that are explored"
        )
    model = question.engine().model
    leaders = _leaders(model.choices)
    index = {renamed(choice, {}): number for number, choice in enumerate(model.choices)}
    choices = choices_of(scenario)
    last = scenario.rounds[-1]
    if last == whole_round(scenario.replicas, scenario.twins, last.leader):
        choices.pop()
    first = scenario.replicas.index(scenario.rounds[0].leader)
    if first not in leaders:
        raise InputError(f"rounds[0].leader: {scenario.rounds[0].leader!r} does not lead in this exploration")
    for number, choice in enumerate(choices):
        if renamed(choice, {}) not in index:
            raise InputError(f"rounds[{number}]: is not among the choices that are explored")
    return (leaders.index(first), *[index[renamed(choice, {})] for choice in choices])


def _leaders(choices: tuple[Choice, ...]) -> list[int]:
    """Who may lead: as the initial states are numbered."""
    return sorted({choice.leader for choice in choices})


def _round(replicas: tuple[str, ...], twins: tuple[str, ...], leader: int, choice: Choice) -> Round:
    names = replicas + twins

    def named(sets: Sets) -> NodeSets:
        return tuple([tuple([names[node] for node in members]) for members in sets])

    timeouts = choice.timeout_partition
    crashed = () if choice.crash is None else (names[choice.crash],)
    extras = Extras(
        timeout_partition=None if timeouts is None or timeouts == choice.partition else named(timeouts),
        timers="early" if choice.early else None,
        order="reversed" if choice.reverse else None,
        crash=crashed,
        restart=crashed,
    )
    return Round(replicas[leader], named(choice.partition), (), NO_EXTRAS if extras == NO_EXTRAS else extras)
