"""``costmodel train``: from a configuration to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costmodel.cli.talk import wants_progress
from costmodel.errors import UsageError

__all__ = ["train"]


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            exists=True,
            dir_okay=False,
            help="What to train, on which data; or a CSV table: model (ONNX file), platform, latency_ms, batch.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the run. Default: runs/ and CONFIG's own name."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where an interrupted run in the folder stopped.")] = True,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run, instead of CONFIG's.")] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME_OR_DIR", help="Start from these weights, such as nnformer-base, not from nothing."
        ),
    ] = None,
) -> None:
    """Train weights for latencies, or for accuracies of a search space."""
    from costmodel.accuracy_training import describes_accuracies, train_accuracy

    output_dir = output or Path("runs", config.stem)
    if describes_accuracies(config):
        if start_from is not None:
            raise UsageError("--from goes with weights for latencies; leave it out.")
        print(train_accuracy(config, output_dir, resume=resume, seed=seed, progress=wants_progress()))
        return
    from costmodel.training import train as run_training

    print(run_training(config, output_dir, resume=resume, seed=seed, start_from=start_from, progress=wants_progress()))
