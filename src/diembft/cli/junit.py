"""Results as JUnit XML, which build servers and editors read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from diembft.cli.case_runs import CaseReport
from diembft.files import replacing, writing

SUITE = "diembft"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no file of XML may have in it."""


def write(
    path: Path, runs: Sequence[tuple[str, CaseReport]], not_run: Sequence[str], because: str, real_s: float
) -> None:
    """Write what came of each case, by name, and which were not run. Raises InputError or NotWritten."""
    failed = sum([not run.verdict.passed for _, run in runs])
    counts = {
        "tests": str(len(runs) + len(not_run)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(len(not_run)),
        "time": f"{real_s:.3f}",
    }
    top = ElementTree.Element("testsuites", {"name": SUITE, **counts})
    suite = ElementTree.SubElement(top, "testsuite", {"name": SUITE, **counts})
    for name, run in runs:
        case = _case(suite, name, run.real_s)
        if not run.verdict.passed:
            _add_failure(case, run)
        ElementTree.SubElement(case, "system-out").text = _xml(f"again: {run.replay}")
    for name in not_run:
        ElementTree.SubElement(_case(suite, name, 0.0), "skipped", {"message": f"not run: {because}"})
    ElementTree.indent(top)
    with writing(path), replacing(path) as partial:
        ElementTree.ElementTree(top).write(partial, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, name: str, real_s: float) -> ElementTree.Element:
    attributes = {"classname": f"{SUITE}.test", "name": _xml(name), "time": f"{real_s:.3f}"}
    return ElementTree.SubElement(suite, "testcase", attributes)


def _add_failure(case: ElementTree.Element, run: CaseReport) -> None:
    reasons = [f"{reason.kind}: {reason.text}" for reason in run.verdict.reasons]
    if run.verdict.expect_failure is not None:
        reasons.append(f"expected to fail with {run.verdict.expect_failure}")
    kind = run.verdict.reasons[0].kind if run.verdict.reasons else "passed"
    failure = ElementTree.SubElement(case, "failure", {"message": _xml(reasons[0]), "type": kind})
    failure.text = _xml("\n".join(reasons))


def _xml(text: str) -> str:
    """The text without what XML cannot hold, even escaped."""
    return _NOT_XML.sub("?", text)
