"""``costmodel tvm``: records for the cost model of MetaSchedule, weights from records, and how good they are."""

from __future__ import annotations

import typer

from costmodel.cli.commands import Command, SubcommandGroup
from costmodel.integrations.cli.collect import collect
from costmodel.integrations.cli.evaluate import evaluate
from costmodel.integrations.cli.train import train

__all__ = ["tvm"]

tvm = typer.Typer(
    cls=SubcommandGroup,
    help="Train and test the cost model that TVM tunes with.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
for command in (collect, train, evaluate):
    tvm.command(cls=Command)(command)
