"""The command line as a whole: its commands, its version, and what happens to errors."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from costmodel.cli.commands import Command, CommandGroup
from costmodel.cli.errors import report_error
from costmodel.cli.inspect import inspect
from costmodel.cli.platforms import platforms
from costmodel.cli.predict import predict
from costmodel.cli.search import search
from costmodel.cli.talk import Verbosity, set_verbosity
from costmodel.cli.train import train

__all__ = ["app", "main"]

# Plain help: rich would take as long to import as all the rest of `costmodel --help`.
app = typer.Typer(
    name="costmodel",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (predict, platforms, inspect, train, search):
    app.command(cls=Command)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"costmodel {version('nnformer-costmodel')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Predict a network's latency, with an interval, on a platform you name."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process.

    Args:
        arguments: What was typed after ``costmodel``; ``None`` takes it from the process.

    Raises:
        SystemExit: Always; 0 ok, 1 failure, 2 usage, 3 unsupported model, 130 interrupted.
    """
    _spare_the_garbage_collector()
    set_verbosity(Verbosity.NORMAL)
    try:
        app(args=arguments, prog_name="costmodel")
    except Exception as error:  # the last stop: nobody should read a traceback unasked
        sys.exit(report_error(error))
    sys.exit()


def _spare_the_garbage_collector() -> None:
    # Most of what a command makes is the modules it imports, which live until it ends.  To look for garbage
    # among them, now and then and once more at the end, takes a third of the time that `predict` takes.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
