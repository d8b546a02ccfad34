from diembft.testcase.types import WorkloadType
from diembft.testcase.workload import ClientPlan, client_plans
from tests.testcase.samples import case, workload


def test_each_client_has_a_plan_and_a_name_of_its_own() -> None:
    workloads = case(
        workloads=[
            workload(num_clients=2, timeout=5),
            workload(num_clients=0),
            workload(type=WorkloadType.timed, count=2, num_clients=1, delays=[0.5]),
            workload(),
        ]
    ).workloads
    assert client_plans(workloads, 900.0) == [
        ClientPlan("client0", 0, WorkloadType.retransmit, 3, 5.0, ()),
        ClientPlan("client1", 0, WorkloadType.retransmit, 3, 5.0, ()),
        ClientPlan("client2", 2, WorkloadType.timed, 2, 1.0 + 0.5, (0.5,)),
        ClientPlan("client3", 3, WorkloadType.retransmit, 3, 900.0, ()),
    ]


def test_no_workloads_no_clients() -> None:
    assert client_plans((), 1.0) == []
