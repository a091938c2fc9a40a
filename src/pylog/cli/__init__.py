"""The ``pylog`` command. One file of this folder is one command, imported only when it runs."""

from __future__ import annotations

import importlib
from typing import cast

import click

from pylog import __version__

# name → help line, so that `pylog --help` imports no command
COMMANDS = {
    "serve": "Run a broker.",
    "topic": "Create, list, describe, change and delete topics.",
    "produce": "Write records from standard input or files.",
    "consume": "Read records to standard output.",
    "group": "List, describe, reset and delete groups.",
    "log": "Look into, check and repair data folders.",
    "demo": "Show a commit log at work on two real streams.",
    "bench": "Measure brokers side by side.",
}


class LazyGroup(click.Group):
    """A group whose commands live in modules of this package as ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pylog.cli.{cmd_name}")
        return cast(click.Command, module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pylog")
def main() -> None:
    """A commit-log broker that speaks Apache Kafka's wire protocol."""
