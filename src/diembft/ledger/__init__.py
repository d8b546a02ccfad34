"""Replicated state machines behind the protocol's small interface.

`application` says what an application is; `sessions` makes a `diembft.consensus.state_machine.StateMachine` of one by
adding the window of executed requests per client; `key_value` and `append_log` are applications.
"""
