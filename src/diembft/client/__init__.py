"""The client as a state machine without I/O: `client` is the machine, `events` what goes in and what comes out."""
