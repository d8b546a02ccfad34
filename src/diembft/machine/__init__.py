"""What any consensus replica without I/O is told and asks for: the vocabulary that drivers and testers share.

A replica is a deterministic state machine: `step(event)` returns the effects that its driver carries out, in order.
DiemBFT's own events and effects are these or extend them; a protocol under test uses them as they are.
"""
