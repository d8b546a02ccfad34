"""The one kind of error that a user's wrong input raises."""


class InputError(Exception):
    """A user's wrong input: one line that names the file, the field and the value. Exit status 2."""
