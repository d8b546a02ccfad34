# Partitions, leaders, configurations and scenarios all drawn at random; every replica may lead.
from src.testconfig import *

test_case = GenConfig(
    tests=10000, R=5, P=10, K=3, C=10000, L=7, E=1, N=7, F=2,
    random_partitions=True, random_leaders=True, random_configurations=True,
    allow_non_faulty_leaders=True, allow_quorumless_partitions=False,
    out_file="all_random_config.json",
)  # fmt: skip
