"""The command line: parse, call, print. The only room that prints.

`main` is the entry point; each command or group of commands is a module of its own, listed in `main.COMMANDS`.
`output` holds what all of them print with, `options` the options that several share, `parallel` how work is spread over
processes.
"""
