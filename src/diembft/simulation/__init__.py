"""The simulator: one thread, virtual time, everything from one seed.

Reading order: `network` (the fate of a message), `storage` (what survives a crash), `schedule` (what befalls the
system, and when), `system` (the replicas and clients of one run), `timers` and `simulator` (the driver), `api` (one
simulation in a few lines); then what is built on it: `run_case` (the seed's test cases) and `fuzz` (random
configurations and schedules).
"""
