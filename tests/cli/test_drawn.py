"""Drawn runs in words."""

from __future__ import annotations

from msgspec import structs

from diembft.cli.drawn import describe
from diembft.client.client import Flood
from diembft.consensus.config import Config
from diembft.simulation.drawing import TWIN, DrawnClient, Stray, draw_run
from diembft.simulation.network import Conditions, Uniform
from diembft.simulation.schedule import Change, Crash, Heal, Partition, Pause, Restart, Resume, Stabilise


def test_what_happens_before_gst_is_told_in_order() -> None:
    drawn = structs.replace(
        draw_run(1, 0),
        seed=7,
        index=3,
        config=Config(n=4, delta_s=0.1, rest=False, window_size=8),
        clients=(DrawnClient(Flood(), 5),),
        strays=(
            Stray(at_s=1.5, number=3, variant=0, nodes=(0, 4), signed=False),
            Stray(at_s=9.25, number=0, variant=1, nodes=(0, 1, 2, 3, 4), signed=True),
        ),
        clock_rates=(1.0, 1.1, 1.0, 1.0, 1.0),
        byzantine=((2, TWIN),),
        before=Conditions(latency=Uniform(0.01, 0.05), loss=0.25),
        schedule=(
            Crash(1, 0, mid_step=True),
            Crash(2, 1),
            Restart(3, 0),
            Pause(4, 4),
            Resume(5, 4),
            Partition(6, ((0, 1), (2, 3, 4))),
            Heal(7),
            Change(8, Conditions(latency=Uniform(0.01, 0.02))),
            Stabilise(9, 0.1),
            Restart(10, 1),
        ),
        gst_s=9.5,
    )
    assert list(describe(drawn)) == [
        "scenario 3 of seed 7: 4 replicas, delta 0.1 s",
        "  clients: flood 5",
        "  Byzantine: replica2 (twin)",
        "  network: uniform delays (low_s 0.01, high_s 0.05), loss 0.25",
        "  unusual: no rest, window_size 8, clock of replica1 1.1",
        "  1.000 s: replica0 crashes in the middle of a step",
        "  1.500 s: a stray client sends request 3, which it did not sign, to replica0 replica2'",
        "  2.000 s: replica1 crashes",
        "  3.000 s: replica0 restarts",
        "  4.000 s: replica2' pauses",
        "  5.000 s: replica2' goes on",
        "  6.000 s: partition replica0 replica1 | replica2 replica3 replica2'",
        "  7.000 s: the network is whole",
        "  8.000 s: network: uniform delays (low_s 0.01, high_s 0.02)",
        "  9.000 s: synchrony",
        "  9.250 s: a stray client sends request 0 to everybody",
        "  9.500 s: GST",
    ]


def test_every_run_has_a_description() -> None:
    for index in range(100):
        first, *_, last = describe(draw_run(1, index))
        assert first.startswith(f"scenario {index} of seed 1: ")
        assert last.endswith(" s: GST")
