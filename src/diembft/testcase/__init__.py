"""The seed's test configurations: formats, workloads, failure rules, verdict. Used by every driver.

Reading order: `types` (what a configuration file is written with), `case` (the same, validated and frozen),
`validate` (from the one to the other), `loader` (finds and reads a file; the only module here with I/O), `changes`
(what a command line changes), then what drivers ask: `workload` (who sends what), `latency` (how long a message takes),
`failures` (its fate), `outcome` (did it hold).
"""
