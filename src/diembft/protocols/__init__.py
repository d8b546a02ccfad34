"""Protocols under test: the interface that the tester knows them by, and those that come with it.

`interface` says what a protocol supplies, `by_name` finds one by its name. `diembft` is the protocol of this project,
`hotstuff` another one that shares nothing with it.
"""
