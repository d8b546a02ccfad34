"""The endpoints of a test case in one thread and in virtual time: all of the driver but DistAlgo itself."""

from pathlib import Path

from diembft.distalgo.case_job import CaseJob
from diembft.distalgo.client_host import ClientHost
from diembft.distalgo.endpoint import RequireFit, Wires
from diembft.distalgo.plan import Plan
from diembft.distalgo.replica_node import ReplicaNode
from diembft.testcase.case import FailureRule, TestCase, WorkloadSpec
from diembft.testcase.latency import Latencies, Span
from diembft.testcase.types import WorkloadType

PAYLOAD_LIMIT = 79_000


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def fits_all(data: bytes, what: str) -> bytes:
    return data


def case_of(
    *failures: FailureRule,
    n: int = 4,
    count: int = 5,
    clients: int = 1,
    type_: WorkloadType = WorkloadType.retransmit,
    timeout_s: float = 60.0,
    latency: Span | None = None,
) -> TestCase:
    pauses_s = (0.3,) * (count - 1) if type_ is WorkloadType.timed else ()
    return TestCase(
        name="rigged",
        description="",
        num_replicas=n,
        num_faulty=0,
        workloads=(WorkloadSpec(type_, count, clients, timeout_s, pauses_s),),
        delay_bound_s=0.1,
        seed=1,
        failures=failures,
        failure_seed=2,
        latencies=Latencies(latency),
    )


class Rig:
    """Runs a case, and carries what endpoints send at once: the delays are those that they draw themselves."""

    def __init__(self, case: TestCase, folder: Path, *, require_fit: RequireFit = fits_all) -> None:
        self.clock = Clock()
        self.plan = Plan(case, PAYLOAD_LIMIT)
        self.job = CaseJob(self.plan, folder, Wires(self.plan.endpoints, self.clock.now_s, require_fit, self.clock))
        n = self.plan.config.n
        self.replicas = [self.job.replica(index) for index in range(n)]
        self.hosts = [self.job.host(index) for index in range(n, self.plan.endpoints)]
        self.endpoints: list[ReplicaNode | ClientHost] = [*self.replicas, *self.hosts]

    def run(self, settle_s: float = 4.0) -> None:
        """Until all clients have ended, and for some time after that."""
        for endpoint in self.endpoints:
            endpoint.start()
        while not all(host.ended for host in self.hosts):
            self._go_on()
        until_s = self.clock.now_s + settle_s
        while self.clock.now_s < until_s:
            self._go_on()

    def _go_on(self) -> None:
        for endpoint in self.endpoints:
            endpoint.work()
            for to, number, data in endpoint.take():
                self.endpoints[to].arrived(endpoint.index, number, data)
        if not any(endpoint.has_mail for endpoint in self.endpoints):
            self.clock.now_s += max(1e-9, min([endpoint.wait_s for endpoint in self.endpoints]))

    def keep(self) -> None:
        """Each endpoint leaves what it recorded."""
        for endpoint in self.endpoints:
            self.job.keep(endpoint.index, endpoint.records)

    @property
    def struck(self) -> list[list[int]]:
        return [replica.struck for replica in self.replicas]

    @property
    def completed(self) -> dict[str, int]:
        return {name: number for host in self.hosts for name, number in host.completed.items()}
