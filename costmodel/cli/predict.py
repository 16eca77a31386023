"""``costmodel predict``: from model files to latencies."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.accuracy_report import AccuracyReport
from costmodel.cli.errors import UNSUPPORTED_MODEL, report_error
from costmodel.cli.options import (
    DEFAULT_WEIGHTS,
    BatchOption,
    FileOption,
    FormatOption,
    ShapeOption,
    WeightsOption,
    parse_shapes,
)
from costmodel.cli.output import Format, Output
from costmodel.cli.talk import tracked
from costmodel.errors import UsageError

if TYPE_CHECKING:
    from costmodel.platforms import Platform
    from costmodel.predictor import Predictor

__all__ = ["predict", "resolve_platforms"]

_FEW_MODELS = 4
"""Read within two seconds, most of the time."""


def predict(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="ONNX files; their weights are not needed. With weights for accuracies, architectures as text.",
        ),
    ],
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            metavar="NAME",
            help="Name, alias or glob of a platform, or the folder of a calibrated one; repeat for more. "
            "Default: every platform of the weights.",
        ),
    ] = None,
    batch: BatchOption = None,
    shape: ShapeOption = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="List the N slowest operations. Default: 10 in the table of one prediction, else 0.",
        ),
    ] = None,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
    file: FileOption = None,
) -> None:
    """Predict the latency of models on platforms, or the accuracy of architectures."""
    from costmodel.pretrained.folder import holds_accuracy_weights

    if holds_accuracy_weights(weights):
        if platform or batch is not None or shape or top is not None:
            raise UsageError(
                f"{weights} predicts accuracies of architectures: --platform, --batch, --shape and --top do not go "
                "with it. Leave them out, or name weights for latencies with -w."
            )
        from costmodel.accuracy_predictor import AccuracyPredictor

        Output(form, file).write(AccuracyReport(AccuracyPredictor.from_pretrained(weights), models))
        return
    shapes = parse_shapes(shape)
    if top and form is Format.CSV:
        raise UsageError("--top does not go with --format csv, which has one row per prediction. Use --format json.")
    from costmodel.cli.prediction_report import PredictionReport
    from costmodel.prediction import PredictionFailure
    from costmodel.predictor import Predictor

    predictor = Predictor.from_pretrained(weights)
    requested: list[tuple[Platform, str]] = []
    for pattern in platform or list(predictor.platforms):
        predictor, resolved = resolve_platforms(predictor, pattern)
        requested += [(found, pattern) for found in resolved]
    names = [found.name for found, _ in requested]
    with tracked(models, "reading", few=_FEW_MODELS) as readable:
        outcomes = predictor.predict_many(readable, names, shapes=shapes, batch=batch, on_error="collect")
    aliases = cycle([pattern if pattern in found.aliases else None for found, pattern in requested])
    Output(form, file).write(PredictionReport(list(zip(outcomes, aliases, strict=False)), top))

    errors = {outcome.model: outcome.error for outcome in outcomes if isinstance(outcome, PredictionFailure)}
    codes = [report_error(error, about=model) for model, error in errors.items()]
    if codes:
        raise typer.Exit(codes[0] if len(models) == 1 else UNSUPPORTED_MODEL)


def resolve_platforms(predictor: Predictor, pattern: str) -> tuple[Predictor, list[Platform]]:
    """What ``pattern`` stands for, and the predictor that knows it: a calibrated platform is read when it is named.

    Raises:
        UnknownNameError: Nothing goes by that name.
        WeightsError: A calibrated platform is damaged, or was calibrated on other weights.
    """
    from costmodel.pretrained import find_platform_folder, load_adapter

    folder = None if pattern in predictor.platforms else find_platform_folder(pattern)
    if folder is None:
        return predictor, predictor.platforms.resolve(pattern)
    adapter = load_adapter(folder)
    return predictor.with_platform(adapter), [adapter.platform]
