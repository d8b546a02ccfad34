"""Who sends what: the workloads of a test case as one plan for each client."""

from collections.abc import Iterable

from msgspec import Struct

from diembft.testcase.case import WorkloadSpec
from diembft.testcase.types import WorkloadType


class ClientPlan(Struct, frozen=True):
    """What one client does in a run. All clients start together."""

    client: str
    """Its name: `client0`, `client1`, ... through all workloads in their order."""
    workload: int
    """The index of its workload in the test case, for reports."""
    type: WorkloadType
    count: int
    """How many requests it sends, numbered from 0."""
    timeout_s: float
    """Seconds from its start until every request must have its f + 1 equal replies, else the workload fails. The
    pauses of a `timed` workload are no time that replies take: they are added to what the test case says."""
    delays_s: tuple[float, ...]
    """For `timed`: the pause after each request but the last. Empty otherwise."""


def client_plans(workloads: Iterable[WorkloadSpec], limit_s: float) -> list[ClientPlan]:
    """One plan for each client of each workload, in order. `limit_s`: how long one without a timeout may take."""
    clients = ((index, workload) for index, workload in enumerate(workloads) for _ in range(workload.num_clients))
    return [
        ClientPlan(
            client=f"client{number}",
            workload=index,
            type=workload.type,
            count=workload.count,
            timeout_s=(limit_s if workload.timeout_s is None else workload.timeout_s) + sum(workload.delays_s),
            delays_s=workload.delays_s,
        )
        for number, (index, workload) in enumerate(clients)
    ]
