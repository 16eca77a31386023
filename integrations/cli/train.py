"""``costmodel tvm train``: from tuning records to the weights of a cost model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.talk import say, wants_progress
from costmodel.errors import DataError, UsageError
from costmodel.integrations.cli.interrupts import interruptible
from costmodel.integrations.cli.options import RecordsArgument, TargetOption, matching
from costmodel.integrations.cli.reading import read_folders
from costmodel.units import counted

if TYPE_CHECKING:
    from costmodel.integrations.tvm.learning import CandidateFitConfig
    from costmodel.integrations.tvm.learning.pretraining import TrainedMembers
    from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
    from costmodel.integrations.tvm.records import TaskRecords

__all__ = ["train"]

logger = logging.getLogger(__name__)

_DIM, _DEPTH = 64, 2


def train(
    records: RecordsArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", dir_okay=False, help="The weights, which end in .safetensors as a rule."
        ),
    ],
    start_from: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME_OR_FILE", help="Weights to start from, not from nothing."),
    ] = None,
    members: Annotated[int, typer.Option(min=1, metavar="N", help="Models whose predictions are averaged.")] = 4,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Gradient steps of each.")] = 2400,
    dim: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Width of the models.  [default: {_DIM}, or --from's]")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Blocks of the models.  [default: {_DEPTH}, or --from's]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first model; each of the others has the next one.")] = 0,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out tasks of this name or kind, to test on; repeat for more."),
    ] = None,
    target: TargetOption = None,
) -> None:
    """Train the cost model's weights from tuning records."""
    from costmodel.integrations.tvm.learning import CandidateFitConfig
    from costmodel.integrations.tvm.learning.pretraining import train_members
    from costmodel.integrations.tvm.weights import save_weights
    from costmodel.training.progress import EpochProgress

    started = _started(start_from, dim, depth)
    shape = started[0].config if started else _shape(dim or _DIM, depth or _DEPTH)
    _make_folder(output)
    config = CandidateFitConfig(steps=steps, seed=seed)
    checkpoint = output.with_name(f".{output.name}.partial")
    with interruptible("stopped. Members that are finished are kept; run the same command again to go on."):
        tasks, targets = read_folders(records, target)
        tasks = _to_learn_from(tasks, without or ())
        with EpochProgress(members, steps, visible=wants_progress()) as bar:
            trained = train_members(
                tasks,
                shape,
                config,
                members=members,
                start_from=started,
                checkpoint=checkpoint,
                on_step=lambda member, step, _: bar.advance(member, step, {}),
            )
    save_weights(trained.members, output, _provenance(tasks, targets, config, trained, start_from))
    checkpoint.unlink(missing_ok=True)
    losses = ", ".join(f"{loss:.3f}" for loss in trained.final_losses)
    learned = f"learned from {counted(sum(map(len, tasks)), 'candidate')} of {counted(len(tasks), 'task')}"
    say(f"{output} has {counted(members, 'member')} that {learned}; final loss of each: {losses}")


def _started(start_from: str | None, dim: int | None, depth: int | None) -> tuple[CandidateModel, ...]:
    from costmodel.integrations.tvm.weights import load_weights

    if start_from is None:
        return ()
    if dim is not None or depth is not None:
        raise UsageError("--from has a width and a depth already; leave out --dim and --depth.")
    return load_weights(start_from)[0]


def _shape(dim: int, depth: int) -> CandidateModelConfig:
    from costmodel.integrations.tvm.model import CandidateModelConfig

    shape = CandidateModelConfig.of_size(dim, depth)
    if dim % shape.trunk.heads:
        raise UsageError(f"expected --dim to be a multiple of {shape.trunk.heads}, the model's heads, got {dim}.")
    return shape


def _make_folder(output: Path) -> None:
    """Now, since a folder that cannot be made is better told before training than after."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {output.parent}: {error.strerror}. Choose another place with -o."
        ) from error


def _to_learn_from(tasks: Sequence[TaskRecords], without: Sequence[str]) -> list[TaskRecords]:
    """The tasks that are not left out and have an order to learn.

    Raises:
        UnknownNameError: Nothing matches what is to be left out.
        DataError: There are none.
    """
    from costmodel.integrations.tvm.learning.pretraining import usable_tasks

    left_out = {task.name for task in matching(tasks, without)}
    wanted = [task for task in tasks if task.name not in left_out]
    usable = usable_tasks(wanted)
    if not usable:
        raise DataError(
            "no task is left to learn from: expected one with two candidates or more. Leave out fewer with --without, "
            "or measure more: costmodel tvm collect"
        )
    names = {task.name for task in usable}
    short = [task.name for task in wanted if task.name not in names]
    if short:
        logger.warning("left out, since fewer than two candidates ran: %s", ", ".join(short))
    return usable


def _provenance(
    tasks: Sequence[TaskRecords],
    targets: Sequence[Any],
    config: CandidateFitConfig,
    trained: TrainedMembers,
    start_from: str | None,
) -> dict[str, Any]:
    from costmodel.integrations.tvm.targets import as_json

    return {
        "tasks": [task.name for task in tasks],
        "candidates": sum(map(len, tasks)),
        "targets": [as_json(target) for target in targets],
        "versions": {package: version(package) for package in ("nnformer-costmodel", "apache-tvm", "torch")},
        "fit": config.model_dump(mode="json", exclude={"seed"}),
        "start_from": start_from,
        "seeds": list(trained.seeds),
        "final_losses": list(trained.final_losses),
    }
