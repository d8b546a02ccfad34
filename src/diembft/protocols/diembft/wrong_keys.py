"""Keys that forget something that matters: what the checks of the key must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diembft.protocols.diembft.canonical import IN_ROUND, OLD, Descent, View
from diembft.protocols.states import Coarsening, Summary


def _views(change: Callable[[View], View]) -> Coarsening:
    def coarsen(found: Summary) -> Summary:
        return found._replace(entries=tuple([entry._replace(view=change(entry.view)) for entry in found.entries]))

    return coarsen


def _chains(change: Callable[[Descent], Descent]) -> Coarsening:
    def coarsen(found: Summary) -> Summary:
        return found._replace(chains=tuple([change(chain) for chain in found.chains]))

    return coarsen


def _swap_copies(found: Summary) -> Summary:
    """The first validator and its twin in the order of their entries, as if they could change places."""
    first, *others, twin = found.entries
    return found._replace(entries=(min(first, twin), *others, max(first, twin)))


def _no_proposals(found: Summary) -> Summary:
    """Who leads, and what it has proposed."""
    return found._replace(
        entries=tuple(
            [
                entry._replace(
                    leads=False,
                    view=entry.view._replace(voted=False, proposal_qc=OLD, proposal_tc_high=OLD, proposal_commit=OLD),
                )
                for entry in found.entries
            ]
        )
    )


def _no_certificates(found: Summary) -> Summary:
    """What is certified."""
    bare = _views(
        lambda view: view._replace(
            high_qc=0, high_commit=0, root=0, tc_high=OLD, proposal_qc=min(view.proposal_qc, 0), proposal_tc_high=OLD
        )
    )(found)
    return bare._replace(base_age=0, chains=())


WRONG_KEYS: Mapping[str, Coarsening] = {
    "proposals": _no_proposals,
    "stages": _views(lambda view: view._replace(stage=IN_ROUND)),
    "certificates": _no_certificates,
    "high_qc": _views(lambda view: view._replace(high_qc=0)),
    "ages": lambda found: _chains(lambda chain: chain._replace(age=0))(found)._replace(base_age=0),
    "commits": _chains(lambda chain: chain._replace(commits=False)),
    "copies": _swap_copies,
    "last": lambda found: found._replace(last=()),
}
"""Keys that forget something that matters, by what it is. `copies` lets a validator and its one twin change places;
`last` forgets the partition of the last step, which the model lazy remembers."""
