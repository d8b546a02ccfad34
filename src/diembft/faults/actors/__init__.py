"""Byzantine actors, one a file: a replica that plays by the rules, wrapped in something that does not.

An actor holds one validator's key, uses it as it likes, and never makes a signature in another's name, except garbage.
`registry.ACTORS` has them by name.
"""
