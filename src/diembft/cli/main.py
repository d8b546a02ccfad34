"""The entry point: all commands, and one place where what goes wrong becomes a line and an exit status."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib import import_module

import click
from typing_extensions import override

from diembft import __version__
from diembft.cli import output
from diembft.cli.stopping import second_interrupt_ends
from diembft.errors import InputError

COMMANDS = {
    "run": "run.command",
    "test": "test.command",
    "list": "list.command",
    "fuzz": "fuzz.command",
    "view": "view.view",
    "plot": "view.plot",
    "check": "check.command",
    "check-protocol": "check_protocol.command",
    "twins": "twins.group",
}
"""Every command or group of commands, and where it is: each has a module of its own."""


class Commands(click.Group):
    """Imports a command when it is asked for, so that the others cost it nothing."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*COMMANDS, *super().list_commands(ctx)])

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name].split(".")
        command = getattr(import_module(f"diembft.cli.{module}"), name)
        assert isinstance(command, click.Command), "because that is what COMMANDS names"
        return _with_statuses(command)


def _with_statuses(command: click.Command) -> click.Command:
    """The command whose help ends with what its exit status says; so for those in a group."""
    command.epilog = output.STATUSES
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _with_statuses(inner)
    return command


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=output.STATUSES,
)
@click.version_option(__version__, "--version", "-V", prog_name="diembft", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> int | None:
    """DiemBFT v4: run the protocol under injected failures, and see whether it holds."""
    return output.help_without_command(context)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (default: that of this process). Returns the exit status."""
    output.prepare_streams()
    with second_interrupt_ends():
        try:
            status = _carried_out(arguments)
            output.finish()
        except output.NotPrinted as error:
            status = output.give_up(error)
    return status


def _carried_out(arguments: Sequence[str] | None) -> int:
    before = sys.stdout
    try:
        status = cli.main(args=arguments, prog_name="diembft", standalone_mode=False)
    except click.ClickException as error:
        output.complain(error.format_message())
        return output.BAD_INPUT
    except InputError as error:
        for line in getattr(error, "lines", (str(error),)):  # of a protocol that breaks its contract
            output.complain(line)
        return output.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        output.complain("interrupted")
        return output.INTERRUPTED
    except output.NotPrinted:
        raise
    except SystemExit:  # by click, which puts something in the place of a stream that nobody reads
        if sys.stdout is before:
            raise
        return output.CLOSED_PIPE
    except OSError as error:
        if error.errno == errno.ENOSPC and error.filename is None:  # a help text: files are named
            raise output.not_printed(error) from error
        named = f"{error.filename}: " if error.filename else ""
        output.complain(f"{named}{error.strerror or error}")
        return output.BROKEN
    except Exception as error:
        what = _blamed(error)
        if what is None:
            raise
        output.complain(what)
        return output.BAD_INPUT
    return status if isinstance(status, int) else output.PASSED


def _blamed(error: Exception) -> str | None:
    """One line on an exception that came from a user's own protocol; None if it is one of ours."""
    from diembft.twins.runs.contract import blamed_of_all  # commands without Twins do without

    return blamed_of_all(error)
