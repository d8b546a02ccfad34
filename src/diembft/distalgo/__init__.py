"""The DistAlgo runtime: pyDistAlgo on today's Python, and what a DistAlgo program of this project needs.

`python -m diembft.distalgo ARGS...` is `python -m da ARGS...` of pyDistAlgo 1.1.0, on Python 3.11 to 3.13, for any
DistAlgo program. Reading order: `adapter` (what is adapted, and why), `ast37` (the compiler's syntax tree),
`faults` (what is wrong in 1.1.0 itself), `program` (helpers for `.da` files).

These modules need the standard library alone, so that the adapter can serve any program.
"""
