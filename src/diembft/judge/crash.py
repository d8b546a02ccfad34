"""crash: whatever a node is asked to do it does, within limits.

Violated is it if a step of a node raises an exception, has too many effects or does not end, or if nodes send each
other messages for ever at one moment. A twin runs the code of its replica, and so does a faulty replica that has one:
what happens to them is a defect of that code, as with any other node. So every node counts, correct or not. The run
ends there, and is judged up to there.
"""

from __future__ import annotations

from diembft.judge.facts import Failed
from diembft.judge.verdict import Report, violation

NAME = "crash"


def told(node: str, what: str) -> str:
    """The sentence that says who failed, and how."""
    return f"{node}: {what}"


class Crash:
    """Takes what failed."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def failed(self, failure: Failed) -> None:
        """A node failed."""
        node, round_ = failure.node, failure.round
        self._report.violated(violation(NAME, told(node, failure.what), round_ or None, (node,)))
