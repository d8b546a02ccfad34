"""The contract between a replica and its driver, as one suite that every driver passes.

docs/architecture.md, "The contract of effects", says what a driver promises. `test_contract.py` and `test_crashes.py`
hold each driver to it, by a *rig*: a small adapter, a subclass of `rig.Rig`, one for each driver in `drivers.py`. A rig
runs a system of four validators, whose machines are of a class that the test gives, on the real driver. All that a test
asks of a rig:

- `Rig(kind)`: the driver, with a machine of this class for each node: `kind(config, me, signer, keys, machine, kit,
  recovered)`, made as the driver makes its own replicas. Nothing is started. The class is one of `machines`: it does
  what a test tells it, or it is a replica whose power goes in the middle of a step.
- `start(node)`: for the first time, or again after a crash, from what the node's storage has. Its first event is handed
  in before this returns.
- `crash(node)`: as if the power went; nothing of the node is left but its storage, and what is on its way.
- `hand(node, event)`: one event, handed in now; its effects are carried out before this returns.
- `run(seconds)`: let time go by. A message takes at most `delay_s`, and times that are multiples of `tick_s` are exact.
- `machine(node)`: the machine that runs now, None while it is down.
- `durable(node)`: what the node's storage would hand back if the power went now.
- `sent`: a list to which (node, message, what was durable there) is added as a message leaves a node (`leaves`).
- `put_in_front(make)`: put an outlet in front of the driver's own (`host.outlet`), before anything is started.
- `identities`, `config`: which validator each node is, and the parameters that all share.

What a driver does not have, its rig says: `timers`, `reads` (of committed blocks), `outlet`, `requests` (of clients).
Tests that need it are not run.
"""
