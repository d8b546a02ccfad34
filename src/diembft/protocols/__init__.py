"""Protocols under test: the interface that the tester knows them by, and those that come with it.

`interface` says what a protocol supplies, `merging` what it may supply besides, so that states which behave alike are
met once. `by_name` finds a protocol by its name. `diembft` is the protocol of this project, `hotstuff` another one that
shares nothing with it.
"""
