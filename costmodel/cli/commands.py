"""The group of commands: our own, and those that other packages bring as plug-ins.

A plug-in is an entry point in the group ``costmodel.commands``: its name is the
command, its object a function that typer can read, or a ``typer.Typer`` with
commands of its own.  It is imported only when it
is asked for or listed, and one that cannot be loaded spoils no other command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from costmodel.cli.errors import INTERRUPTED
from costmodel.cli.talk import Verbosity, set_verbosity
from costmodel.errors import CostModelError, UnknownNameError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["PLUGIN_GROUP", "Command", "CommandGroup", "SubcommandGroup"]

PLUGIN_GROUP = "costmodel.commands"

# Typer hands out click's objects, or since 0.2x those of its own copy of click, under no public name.
_ClickParameter = Any
_ClickContext = Any
_ClickCommand = Any


class Command(TyperCommand):
    """A command that also takes the options every command takes."""

    def __init__(self, *args: Any, params: list[_ClickParameter] | None = None, **settings: Any) -> None:
        super().__init__(*args, params=[*(params or []), *_common_params()], **settings)


class SubcommandGroup(TyperGroup):
    """A command that has commands, and takes the options every command takes."""

    def __init__(self, *args: Any, params: list[_ClickParameter] | None = None, **settings: Any) -> None:
        super().__init__(*args, params=[*(params or []), *_common_params()], **settings)


class CommandGroup(SubcommandGroup):
    """Commands that were registered here, then the plug-ins."""

    def invoke(self, ctx: _ClickContext) -> Any:
        """Run the command that was asked for.

        Raises:
            Exit: Ctrl-C where the command has no more to say of it.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("stopped.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    def list_commands(self, ctx: _ClickContext) -> list[str]:
        """Names of all commands."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in _plugins() if name not in own)]

    def get_command(self, ctx: _ClickContext, cmd_name: str) -> _ClickCommand:
        """The command called ``cmd_name``, imported now if it is a plug-in.

        Raises:
            UnknownNameError: There is no such command.
        """
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        plugin = _plugins().get(cmd_name)
        if plugin is None:
            raise UnknownNameError("command", cmd_name, self.list_commands(ctx), "See: costmodel --help")
        try:
            return _command(plugin.name, plugin.load())
        except Exception as error:  # whatever a stranger's module raises must stay in its own command
            return _broken_command(plugin, error)


def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow, and our own commands do without

    return {plugin.name: plugin for plugin in entry_points(group=PLUGIN_GROUP)}


def _broken_command(plugin: EntryPoint, cause: Exception) -> _ClickCommand:
    """A stand-in that is listed like any command and, when called, says why the real one is missing."""

    def command() -> None:
        raise CostModelError(
            f"the command {plugin.name!r} comes from {plugin.value!r}, which cannot be loaded: "
            f"{type(cause).__name__}: {cause}. Repair or remove the package that brings it."
        ) from cause

    command.__doc__ = "(cannot be loaded)"
    return _command(plugin.name, command, {"ignore_unknown_options": True, "allow_extra_args": True})


def _command(
    name: str, function: Callable[..., object] | typer.Typer, context_settings: dict[str, object] | None = None
) -> _ClickCommand:
    if isinstance(function, typer.Typer):
        return typer.main.get_command(function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, context_settings=context_settings)(function)
    return typer.main.get_command(app)


def _verbosity_setter(verbosity: Verbosity) -> Callable[[bool], None]:
    def set_if_given(given: bool) -> None:
        if given:
            set_verbosity(verbosity)

    return set_if_given


@cache
def _common_params() -> tuple[_ClickParameter, ...]:
    """Options accepted before and after the command's name; none of them reaches the command itself."""

    def common(
        quiet: Annotated[
            bool,
            typer.Option(
                "--quiet", "-q", help="Say nothing but errors on stderr.", callback=_verbosity_setter(Verbosity.QUIET)
            ),
        ] = False,
        verbose: Annotated[
            bool,
            typer.Option("--verbose", "-v", help="Say more on stderr.", callback=_verbosity_setter(Verbosity.VERBOSE)),
        ] = False,
        debug: Annotated[
            bool,
            typer.Option(
                "--debug", help="Say all, with the traceback of an error.", callback=_verbosity_setter(Verbosity.DEBUG)
            ),
        ] = False,
    ) -> None: ...

    app = typer.Typer(add_completion=False)
    app.command()(common)
    params = typer.main.get_command(app).params
    for param in params:
        param.expose_value = False
    return tuple(params)
