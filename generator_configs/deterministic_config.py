# Nothing is drawn: the first scenarios of the enumeration, led by the two replicas with a twin.
from src.testconfig import *

test_case = GenConfig(
    tests=10000, R=5, P=10, K=3, C=10000, L=7, E=1, N=7, F=2,
    random_partitions=False, random_leaders=False, random_configurations=False,
    allow_non_faulty_leaders=False, allow_quorumless_partitions=False,
    out_file="deterministic_config.json",
)  # fmt: skip
