"""``costmodel tvm``: records for the cost model of MetaSchedule, weights from records, how good they are, tuning."""

from __future__ import annotations

import typer

from costmodel.cli.commands import Command, SubcommandGroup
from costmodel.integrations.cli.collect import collect
from costmodel.integrations.cli.evaluate import evaluate
from costmodel.integrations.cli.train import train
from costmodel.integrations.cli.tune import tune

__all__ = ["tvm"]

tvm = typer.Typer(
    cls=SubcommandGroup,
    help="Tune with TVM, and train and test the cost model for it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
for command in (collect, train, evaluate, tune):
    tvm.command(cls=Command)(command)
