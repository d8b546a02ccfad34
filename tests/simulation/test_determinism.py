"""One drawn run, one trace: byte for byte, in other processes too, whatever the interpreter's hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from diembft.simulation.fuzz import Reached, run_index
from diembft.trace.files import read_trace, write_trace

SCENARIOS = 12
"""So many that among them all kinds of messages and faults occur (which is asserted)."""

SCRIPT = """
import sys
from pathlib import Path
from diembft.simulation.fuzz import run_index
from diembft.trace.files import write_trace
for index in range(int(sys.argv[2])):
    write_trace(Path(sys.argv[1]) / f"{index}.jsonl", run_index(1, index, keep_trace=True).trace)
"""


def test_traces_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    folders = [tmp_path / hash_seed for hash_seed in ("0", "12345")]
    for folder in folders:
        folder.mkdir()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), str(SCENARIOS)],
            env=os.environ | {"PYTHONHASHSEED": folder.name},
        )
        for folder in folders
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    reached = Reached()
    for index in range(SCENARIOS):
        one, other = [folder / f"{index}.jsonl" for folder in folders]
        assert one.read_bytes() == other.read_bytes()
        result = run_index(1, index, keep_trace=True)
        write_trace(folders[0] / "here.jsonl", result.trace)
        assert (folders[0] / "here.jsonl").read_bytes() == one.read_bytes(), "here it is the same trace again"
        write_trace(folders[0] / "again.jsonl", read_trace(one))
        assert (folders[0] / "again.jsonl").read_bytes() == one.read_bytes(), "read back, it is what was written"
        reached.add(result.reached)
    assert min(reached.timeout_certificates, reached.restarts, reached.syncs, reached.byzantine) > 0


def test_a_trace_that_is_read_and_written_is_the_same_file(tmp_path: Path) -> None:
    first, again = tmp_path / "trace.jsonl", tmp_path / "again.jsonl"
    write_trace(first, run_index(1, 0, keep_trace=True).trace)
    write_trace(again, read_trace(first))
    assert again.read_bytes() == first.read_bytes()
