"""The DistAlgo runtime: pyDistAlgo on today's Python, and test cases and Twins scenarios on it.

`python -m diembft.distalgo ARGS...` is `python -m da ARGS...` of pyDistAlgo 1.1.0, on Python 3.11 to 3.13, for any
DistAlgo program: `runtime` sees to that. In reading order: `adapter` (what is adapted, and why), `ast37` (the
compiler's syntax tree), `repairs` (what is wrong in 1.1.0 itself), `program` (helpers for `.da` files), `launch` (a
program as a command, bounded in time). These need the standard library alone, so that the adapter can serve any
program.

Then the driver: `run.da` (the processes of a test case), `endpoint`, `replica_node` and `client_host` (what is in one),
`plan`, `limits`, `folder` and `case_job` (the case as a whole); `testexec.da` (the processes of Twins scenarios),
`stepping` and `twins_scenarios`; `command` (both for the command line).
"""
