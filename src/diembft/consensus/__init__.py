"""The protocol: a deterministic state machine without I/O. `replica.py` is where to begin."""
