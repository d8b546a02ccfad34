"""Small valid configurations that tests start from and change in one place."""

from typing import Any

from diembft.testcase.case import TestCase
from diembft.testcase.types import (
    Config,
    Failure,
    FailureConfig,
    MsgType,
    Workload,
    WorkloadType,
)
from diembft.testcase.validate import normalise

SOURCE = "here.da"


def workload(**changes: Any) -> Workload:
    return Workload(**{"type": WorkloadType.retransmit, "count": 3, "num_clients": 1, **changes})


def failure(**changes: Any) -> Failure:
    fields = {"src": "_", "dest": "_", "msg_type": MsgType.Wildcard, "round": "_", "prob": 1, **changes}
    return Failure(**fields)


def case(
    *failures: Failure, workloads: Any = (), failure_seed: Any = 2, expect: object = None, **changes: Any
) -> TestCase:
    fields: dict[str, Any] = {
        "num_replicas": 4,
        "num_faulty": 1,
        "workloads": list(workloads),
        "transmission_delay_bound": 0.1,
        "seed": 1,
        **changes,
    }
    return normalise(
        Config(**fields),
        FailureConfig(list(failures), failure_seed),
        name="sample",
        source=SOURCE,
        draw_seed=lambda: 77,
        expect_failure=expect,
    )
