"""Which code a core is, whether it is a checked one, and whether it is the code that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diembft.consensus import kit, pacemaker, replica, safety
from diembft.consensus.block_tree import BlockTree
from diembft.consensus.parts import Parts
from diembft.consensus.replica import Replica
from diembft.errors import InputError
from diembft.faults import planting
from diembft.host.outlet import carry_out
from diembft.judge import votes
from diembft.messages.types import ProposalMsg
from diembft.protocols.by_name import BUILT_IN
from diembft.protocols.diembft import exploring
from diembft.protocols.diembft.exploring import DiemBftExploring
from diembft.protocols.diembft.protocol import DIEMBFT
from diembft.protocols.hotstuff.protocol import HOTSTUFF
from diembft.twins.exhaustion.core_files import (
    EXPLORATION,
    LEFT_OUT,
    NOT_FOLLOWED,
    SOURCE,
    CoreFiles,
    core_files,
    files_of,
    left_out,
)
from diembft.twins.exhaustion.core_records import CHECKED_CORES
from diembft.twins.exhaustion.core_tokens import counted, token_digest
from diembft.twins.exhaustion.cores import (
    CheckedQuestion,
    CoreRecord,
    core_of,
    digest_here,
    read_records,
    recorded,
    write_record,
)
from diembft.twins.exhaustion.live_code import Comparison
from diembft.twins.exhaustion.live_objects import strange_object
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs import world
from diembft.twins.scenarios.scenario import NO_EXTRAS

TREE = "consensus/block_tree.py"

WORLD = ("twins/runs/world.py", "class World", "class Worlds")

PROTOCOLS = sorted(BUILT_IN)


def record_of(protocol: str, files: CoreFiles) -> CoreRecord:
    question = CheckedQuestion(
        model="barrier",
        options={"quorum_filter": True},
        states=206,
        rounds=8,
        ended="fixed point",
        walks=10,
        steps=240,
        seeds=(1, 2),
        brute_force_rounds=2,
        brute_force_states=444,
        pairs=6,
    )
    return CoreRecord(protocol=protocol, digest=files.digest, files=files.files, questions=(question,), python="3.11.7")


@pytest.fixture(scope="module")
def records() -> list[CoreRecord]:
    """Of the cores as they are."""
    return [record_of(protocol, core_files(protocol)) for protocol in PROTOCOLS]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources."""
    return Path(shutil.copytree(SOURCE, tmp_path / "diembft", ignore=shutil.ignore_patterns("__pycache__")))


def edit(root: Path, file: str, before: str, after: str) -> None:
    text = (root / file).read_text()
    assert before in text
    (root / file).write_text(text.replace(before, after, 1))


# --- tokens


@pytest.mark.parametrize(
    "other",
    [
        "def f(a, b):\n  # a comment\n  return f'{a}' + g(a, b)",
        "\n\ndef f(a, b):\n        return f'{a}' + g(\n            a,  # one\n            b\n        )\n",
        '"""What it is."""\ndef f(a, b):\n    """What it does."""\n    return f\'{a}\' + g(a, b)\n',
        "def f(a, b):\n    return f'{a}' + \\\n        g(a, b)\n",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(other: str) -> None:
    assert token_digest(other) == token_digest("def f(a, b):\n    return f'{a}' + g(a, b)\n")


@pytest.mark.parametrize(
    "other",
    [
        "if a:\n    b()\nc('d')\n",
        "if a:\n    b()\n    c('e')\n",
        "if a:\n    b()\n    c(f'd')\n",
        "if a:\n    b()\n    c('d',)\n",
        "if a:\n    b(); c('d')\n",
        "if a:\n    b()\n    c('d')\n    f'{e()}'\n",
    ],
)
def test_everything_else_counts(other: str) -> None:
    assert token_digest(other) != token_digest("if a:\n    b()\n    c('d')\n")


def test_a_formatted_string_is_one_token_as_it_is_written() -> None:
    string = "rf'''é {a!r:>{width}} {{}}\n  {f\"{b}\"}'''"
    assert list(counted(f"x = {string} + 'ü' + f'{{c}}'  # ü\n")) == ["x", "=", string, "+", "'ü'", "+", "f'{c}'", "\n"]


VERSIONS = ("3.11", "3.12", "3.13")

DIGESTS = """
import runpy, sys
from pathlib import Path
digest = runpy.run_path(sys.argv[1])["token_digest"]
for name in sys.argv[2:]:
    print(digest(Path(name).read_text(encoding="utf-8")).hex())
"""


@cache
def _digest(file: Path) -> str:
    return token_digest(file.read_text(encoding="utf-8")).hex()


def interpreter(version: str) -> str | None:
    """A Python of this version that works, where pyenv keeps them or on the path."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    on_path = shutil.which(f"python{version}")
    found = [*map(str, kept), *([on_path] if on_path else [])]
    return next((python for python in found if subprocess.run([python, "-c", ""], check=False).returncode == 0), None)


@pytest.mark.parametrize("version", VERSIONS)
def test_digests_are_the_same_under_every_python(version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    files = sorted([*SOURCE.rglob("*.py"), *Path(__file__).parents[2].rglob("*.py")])
    command = [python, "-I", "-c", DIGESTS, str(SOURCE / "twins/exhaustion/core_tokens.py"), *map(str, files)]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(there) == len(files)
    assert there == [_digest(file) for file in files]


# --- files

EXPECTED_OF_ALL = {
    *["crypto/interface.py", "host/outlet.py", "machine/effects.py", "machine/events.py"],
    *[f"judge/{name}.py" for name in ("agreement", "certificates", "durability", "order", "votes")],
    *[f"protocols/{name}.py" for name in ("by_name", "cast", "interface", "state_keys", "states")],
    *["trace/values.py", "twins/runs/models.py", "twins/runs/world.py"],
    *[f"twins/exhaustion/{name}.py" for name in ("engine", "expansion", "question", "search")],
}

EXPECTED_OF_DIEMBFT = {
    *[path.relative_to(SOURCE).as_posix() for path in SOURCE.glob("consensus/[a-z]*.py")],
    *[f"messages/{name}.py" for name in ("codec", "digests", "sizes", "types")],
    *["crypto/symbolic.py", "faults/planting.py", "faults/registry.py", "host/keys.py", "host/storage.py"],
    *[
        f"protocols/diembft/{name}.py"
        for name in ("canonical", "concrete", "exploring", "protocol", "reading", "scripted", "system")
    ],
    "trace/diembft.py",
}

EXPECTED_OF_HOTSTUFF = {
    "protocols/chain_keys.py",
    *[f"protocols/hotstuff/{name}.py" for name in ("exploring", "messages", "protocol", "replica")],
}

NOT_IN_HOTSTUFF = ("consensus/", "messages/", "client/", "faults/", "ledger/", "protocols/diembft/")


def test_what_the_core_of_diembft_is() -> None:
    files = set(files_of("diembft"))
    assert files >= EXPECTED_OF_ALL | EXPECTED_OF_DIEMBFT
    assert not files & EXPECTED_OF_HOTSTUFF


@pytest.mark.parametrize("protocol", ["hotstuff", "fast-hotstuff"])
def test_what_the_core_of_hotstuff_is(protocol: str) -> None:
    files = set(files_of(protocol))
    assert files >= EXPECTED_OF_ALL | EXPECTED_OF_HOTSTUFF
    assert not [file for file in files if file.startswith(NOT_IN_HOTSTUFF)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_does_not_count_is_in_no_core(protocol: str) -> None:
    files = files_of(protocol)
    assert not [file for file in files if left_out(file)]
    # Such a package would hide behind a name where it comes from, and imports are not followed through it.
    assert not [file for file in files if "def __getattr__" in (SOURCE / file).read_text().splitlines()]


def test_every_exception_is_of_something_that_is_there() -> None:
    assert [entry for entry in LEFT_OUT if not (SOURCE / entry).exists()] == []
    assert [pair for pair in NOT_FOLLOWED if not all((SOURCE / file).is_file() for file in pair)] == []
    assert [name for name in EXPLORATION if not (SOURCE / "twins/exhaustion" / f"{name}.py").is_file()] in (
        [],
        ["walks"],
    )


def test_a_new_module_counts_by_itself(copy: Path) -> None:
    edit(
        copy, TREE, "    def commit(", "    def newer(self):\n        from ..consensus import newer\n\n    def commit("
    )
    (copy / "consensus" / "newer.py").write_text(
        "if TYPE_CHECKING:\n    import diembft.ledger.log\nelse:\n    import diembft.new"
    )
    (copy / "new.py").write_text("")
    files = files_of("diembft", copy)
    assert set(files) - set(files_of("diembft")) == {"consensus/newer.py", "new.py"}


# --- records


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shipped_code_is_recorded_once_it_has_a_record(protocol: str, records: list[CoreRecord]) -> None:
    core = core_of(protocol, records=records)
    assert (core.because, core.record) == ("", next(record for record in records if record.protocol == protocol))
    assert core.digest == core_files(protocol).digest
    assert len(core.digest) == 32


def test_the_whole_name_of_a_protocol_means_the_same(records: list[CoreRecord]) -> None:
    assert core_of(BUILT_IN["hotstuff"], records=records) == core_of("hotstuff", records=records)


def test_without_a_record_nothing_else_is_amiss() -> None:
    core = core_of("diembft", records=[])
    assert (core.record, core.because) == (None, "no core was recorded yet")


def test_planted_bugs_and_other_protocols_are_never_recorded(records: list[CoreRecord]) -> None:
    planted = core_of("diembft", ("gap_commit", "stale_leader"), records=records)
    assert (planted.record, planted.because) == (None, "bugs are planted: gap_commit, stale_leader")
    other = core_of("my.module:PROTOCOL", records=records)
    assert (other.digest, other.record) == ("", None)
    assert other.because == "protocol my.module:PROTOCOL is not one of ours"


def test_comments_and_layout_keep_the_record(copy: Path, records: list[CoreRecord]) -> None:
    edit(copy, TREE, "if path:\n", "if path:  # a comment\n\n")
    edit(copy, TREE, "digests: Digests, genesis", "digests: Digests,\n      genesis")
    edit(copy, TREE, "Commit what this QC commits", "Commits what this QC commits")
    assert recorded("diembft", core_files("diembft", copy), records)[1] == ""


@pytest.mark.parametrize(
    ("edits", "because"),
    [
        ([(TREE, "if path:", "if not path:")], f"{TREE} differs"),
        (
            [(TREE, "if path:", "if not path:"), ("judge/votes.py", "import", "import sys\nimport")],
            f"{TREE} and judge/votes.py differ",
        ),
        (
            [(TREE, "if path:", "if not path:"), ("judge/votes.py", "NAME = ", "NAME = '' + "), WORLD],
            f"{TREE} and 2 more files differ",
        ),
        (
            [
                ("faults/bugs/gap_commit.py", "class GapVotes", "class Gaps"),
                ("pages/data.py", "import", "import sys\nimport"),
            ],
            "",
        ),
        ([("protocols/hotstuff/replica.py", "class Replica", "class Replicas")], ""),
    ],
)
def test_one_token_loses_the_record_and_names_the_file(
    edits: list[tuple[str, str, str]], because: str, copy: Path, records: list[CoreRecord]
) -> None:
    for file, before, after in edits:
        edit(copy, file, before, after)
    assert recorded("diembft", core_files("diembft", copy), records)[1] == because


def test_each_protocol_has_its_own_digest(copy: Path) -> None:
    before = {protocol: core_files(protocol, copy).digest for protocol in PROTOCOLS}
    assert len(set(before.values())) == len(PROTOCOLS)
    edit(copy, "protocols/hotstuff/replica.py", "class Replica", "class Replicas")
    assert core_files("diembft", copy).digest == before["diembft"]
    assert core_files("hotstuff", copy).digest != before["hotstuff"]
    edit(copy, "consensus/effects.py", "class Reason", "class Reasons")
    edit(copy, "messages/types.py", "class QC", "class Qc")
    assert core_files("diembft", copy).digest != before["diembft"]
    edit(copy, "protocols/hotstuff/replica.py", "class Replicas", "class Replica")
    assert core_files("hotstuff", copy).digest == before["hotstuff"]


def test_records_are_written_so_that_changes_are_seen(tmp_path: Path, records: list[CoreRecord]) -> None:
    path = tmp_path / "cores.json"
    path.write_text("[]")
    for record in reversed(records):
        write_record(record, path=path)
    text = path.read_text()
    assert list(read_records(path)) == records
    assert '\n      "consensus/block_tree.py": "' in text
    assert text.endswith("]\n")
    newer = record_of("diembft", CoreFiles("0" * 32, {TREE: "0" * 12}))
    write_record(newer, keep=True, path=path)
    write_record(newer, keep=True, path=path)
    assert [record.protocol for record in read_records(path)] == ["diembft", *PROTOCOLS]
    write_record(newer, path=path)
    assert read_records(path) == (newer, *[record for record in records if record.protocol != "diembft"])


def test_the_nearest_record_says_what_differs(records: list[CoreRecord]) -> None:
    files = core_files("diembft")
    far = record_of("diembft", CoreFiles("0" * 32, {}))
    near = record_of("diembft", CoreFiles("1" * 32, files.files | {TREE: "0" * 12}))
    assert recorded("diembft", files, [far, near]) == (None, f"{TREE} differs")
    assert recorded("diembft", files, [far, near, *records])[1] == ""


def test_a_file_of_records_that_is_none_is_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "cores.json").write_text('[{"protocol": "diembft"}]')
    with pytest.raises(InputError, match=r"cores\.json"):
        read_records(tmp_path / "cores.json")


def test_the_records_come_with_the_package() -> None:
    assert CHECKED_CORES.parent == SOURCE / "twins" / "exhaustion"
    assert [record.protocol for record in read_records() if record.protocol not in BUILT_IN] == []


# --- what runs


class OtherTree(BlockTree):
    """A subclass."""

    __slots__ = ()


class OtherExploring(DiemBftExploring):
    """A subclass."""


def other(*args: Any, **options: Any) -> Any:
    """Does something else."""


def another_default(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(votes.to_vote, "__defaults__", (1,))


def of(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, value, raising=False)


PATCHES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "BlockTree.commit is not as in consensus/block_tree.py": of(BlockTree, "commit", other),
    "BlockTree.path is not as in consensus/block_tree.py": of(BlockTree, "path", staticmethod(other)),
    "BlockTree is not as in consensus/block_tree.py": of(sys.modules[BlockTree.__module__], "BlockTree", OtherTree),
    "len is not as in consensus/block_tree.py": of(sys.modules[BlockTree.__module__], "len", other),
    "Parts.current_round is not as in consensus/parts.py": of(Parts, "current_round", property(other)),
    "Replica.process_vote_msg is not as in consensus/replica.py": of(Replica, "process_vote_msg", other),
    "Replica.__setattr__ is not as in consensus/replica.py": of(Replica, "__setattr__", other),
    "consecutive is not as in consensus/safety.py": of(safety, "consecutive", other),
    "consecutive is not as in consensus/replica.py": of(replica, "consecutive", other),
    "ROUND_TIMER_DELTAS is not as in consensus/pacemaker.py": of(pacemaker, "ROUND_TIMER_DELTAS", 6),
    "NORMAL_ROUNDS_SINCE_COMMIT is not as in consensus/pacemaker.py": of(pacemaker, "NORMAL_ROUNDS_SINCE_COMMIT", 2.0),
    "Kit.block_tree is not as in consensus/kit.py": of(kit.Kit, "block_tree", OtherTree),
    "CORRECT.block_tree is not as in consensus/kit.py": lambda patch: patch.setitem(
        vars(kit.CORRECT), "block_tree", OtherTree
    ),
    "_KIND_ORDER is not as in protocols/diembft/exploring.py": lambda patch: patch.setitem(
        exploring._KIND_ORDER,
        ProposalMsg,
        7,
    ),
    "DIEMBFT.exploring is not as in protocols/diembft/protocol.py": of(DIEMBFT, "exploring", OtherExploring()),
    "DiemBft.exploring is not as in protocols/diembft/protocol.py": of(type(DIEMBFT), "exploring", OtherExploring()),
    "DiemBft.exploring.order is not as in protocols/diembft/protocol.py": of(DIEMBFT.exploring, "order", other),
    "to_vote is not as in judge/votes.py": another_default,
    "World.start is not as in twins/runs/world.py": of(world.World, "start", other),
    "carry_out is not as in host/outlet.py": of(carry_out, "__kwdefaults__", {"outlet": None}),
}


@pytest.mark.parametrize("because", PATCHES)
def test_what_is_patched_loses_the_record_and_is_named(
    because: str, records: list[CoreRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        PATCHES[because](patch)
        core = core_of("diembft", records=records)
    assert (core.record, core.because) == (None, because)
    assert core_of("diembft", records=records).because == "", "because it is as before"


def test_other_code_in_the_same_function_loses_it(records: list[CoreRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockTree.commit, "__code__", (lambda self, qc: []).__code__)
    assert core_of("diembft", records=records).because == f"BlockTree.commit is not as in {TREE}"


def test_a_patch_of_one_protocol_leaves_the_others(records: list[CoreRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HOTSTUFF, "chain", 2)
    assert core_of("diembft", records=records).because == ""
    assert core_of("hotstuff", records=records).because == "HOTSTUFF.chain is not as in protocols/hotstuff/protocol.py"


@pytest.fixture(scope="module")
def known() -> Comparison:
    comparison = Comparison()
    for file in files_of("diembft"):
        assert comparison.module(file) is None
    return comparison


def node() -> Replica:
    made = world.world_of(DIEMBFT, 4, 1, ()).system.node(0)
    assert isinstance(made, Replica)
    return made


def test_the_objects_that_run_are_of_the_core(known: Comparison) -> None:
    assert strange_object([node()], known) is None


def test_a_subclass_among_the_objects_is_named(known: Comparison) -> None:
    replica_ = node()
    fork = object.__new__(OtherTree)
    for name in BlockTree.__slots__:
        setattr(fork, name, getattr(replica_.tree, name))
    replica_.tree = fork
    assert strange_object([replica_], known) == f"OtherTree of {__name__} runs, and is in no file of the core"


def test_a_subclass_of_a_node_is_named(known: Comparison) -> None:
    class OtherReplica(Replica):
        pass

    replica_ = node()
    replica_.__class__ = OtherReplica
    assert "OtherReplica of" in (strange_object([replica_], known) or "")


def test_an_attribute_in_the_place_of_a_method_is_named(known: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    replica_ = node()
    monkeypatch.setattr(replica_, "step", partial(Replica.step, replica_))
    assert strange_object([replica_], known) == "an attribute of a Replica stands before Replica.step"


@pytest.mark.parametrize("function", [other, partial(other), lambda: None])
def test_a_function_from_elsewhere_is_named(function: Any, known: Comparison) -> None:
    replica_ = node()
    replica_.machine = function
    assert f"of {__name__} runs, and is in no file of the core" in (strange_object([replica_], known) or "")


def test_a_planted_bug_among_the_objects_is_named(known: Comparison) -> None:
    strange = strange_object([world.world_of(DIEMBFT, 4, 1, ("no_vote_lock",)).system], known)
    assert strange == "NoVoteLock of diembft.faults.bugs.no_vote_lock runs, and is in no file of the core"


class TakenForReplica(type):
    """Of a class that says to be Replica."""

    def __eq__(cls, other: object) -> bool:
        return other in (Replica,)

    def __hash__(cls) -> int:
        return hash(Replica)


class RemembersAnother(Replica, metaclass=TakenForReplica):
    """A subclass."""


def test_a_subclass_in_the_system_is_found(records: list[CoreRecord]) -> None:
    """No name of a module is changed, but what one of its functions remembers."""
    planting._mixed.cache_clear()
    assert planting.NO_BUGS.mixed(RemembersAnother) is planting.NO_BUGS.mixed(Replica)
    because = core_of("diembft", records=records).because
    planting._mixed.cache_clear()
    assert because == f"RemembersAnother of {__name__} runs, and is in no file of the core"
    assert core_of("diembft", records=records).because == ""


def test_what_was_remembered_while_it_ran_is_no_change(records: list[CoreRecord]) -> None:
    for question in (
        Question(quorum_filter=True),
        Question("two-phase", twins_lead=True, sets=1),
        Question("lazy", quorum_filter=True, twins_lead=True, crashes=True),
        Question(quorum_filter=True, bugs=("gap_commit",)),
        Question(quorum_filter=True, protocol="hotstuff"),
    ):
        engine = question.engine()
        assert list(engine.successors(engine.initial()[0]))
    assert hash(NO_EXTRAS), "because a value may remember its hash"
    assert [core_of(protocol, records=records).because for protocol in PROTOCOLS] == ["", "", ""]


def test_a_worker_says_which_code_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as workers:
        there = [workers.submit(digest_here, protocol).result() for protocol in ("hotstuff", "my.module:PROTOCOL")]
    assert there == [core_files("hotstuff").digest, ""]
    digest_here.cache_clear()
    monkeypatch.setattr(HOTSTUFF, "chain", 2)
    changed = digest_here("hotstuff")
    digest_here.cache_clear()
    assert len(changed) == 32
    assert changed != there[0]


ASK = """
import msgspec, sys
from diembft.twins.exhaustion.cores import CoreRecord, core_of
records = msgspec.json.decode(sys.stdin.buffer.read(), type=list[CoreRecord])
print(core_of("diembft", records=records).because)
"""


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [("if path:", "if path:  # a comment", ""), ("if path:", "if not path:", f"{TREE} differs")],
)
def test_an_edit_of_the_source_that_runs(
    before: str, after: str, because: str, copy: Path, records: list[CoreRecord]
) -> None:
    edit(copy, TREE, before, after)
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        input=msgspec.json.encode(records),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(copy.parent)},
        cwd=copy.parent,
        check=True,
    )
    assert asked.stdout.decode().strip() == because


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shipped_cores_are_recorded(protocol: str) -> None:
    """Whoever changes a core has it checked: docs/cores.md."""
    assert core_of(protocol).because == ""
    assert core_of(protocol).record is not None
