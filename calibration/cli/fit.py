"""``costmodel calibrate fit``: somebody's measurements become a platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costmodel.calibration.cli.finishing import NameOption, PlatformFolderOption, finish, warn_of
from costmodel.cli.options import DEFAULT_WEIGHTS, FormatOption, WeightsOption
from costmodel.cli.output import Format
from costmodel.cli.talk import tracked

__all__ = ["fit"]

_FEW_MODELS = 4
"""Read within two seconds, most of the time."""


def fit(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV: model (ONNX file), latency_ms, batch.")],
    name: NameOption,
    output: PlatformFolderOption = None,
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a platform of a table of measurements."""
    from costmodel.calibration import calibrate
    from costmodel.calibration.table import measurements_from_rows, read_measured_models
    from costmodel.predictor import Predictor

    measured_models = read_measured_models(table)
    predictor = Predictor.from_pretrained(weights)
    with tracked(measured_models, "reading models", few=_FEW_MODELS) as models:
        measurements, problems = measurements_from_rows(models)
    warn_of(problems)
    finish(calibrate(predictor, measurements, name), output, form)
