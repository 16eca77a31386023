"""A configuration → trained weights in a folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.errors import DataError
from costmodel.features import feature_schema_hash
from costmodel.graph import VOCABULARY
from costmodel.model import LatencyModelConfig
from costmodel.platforms import Platform
from costmodel.pretrained import Bundle, BundleConfig, load_bundle, save_bundle
from costmodel.training.config import TrainConfig, read_config
from costmodel.training.cross_fit import CrossFit, cross_fit
from costmodel.training.progress import EpochProgress
from costmodel.training.report import TrainingReport, error_quantile, platform_errors
from costmodel.training.sources import gather
from costmodel.training.training_set import TrainingSet

__all__ = ["train"]

_log = logging.getLogger(__name__)
_WIDEST_ERROR = 2.3
"""Log error that stands for "anything": a factor of ten either way."""


def train(
    config_path: Path,
    output_dir: Path,
    *,
    resume: bool = True,
    seed: int | None = None,
    start_from: str | None = None,
    progress: bool = False,
) -> TrainingReport:
    """Train what ``config_path`` describes and write the weights into ``output_dir``.

    The folder also keeps each member's checkpoint and ``metrics.jsonl``, and ``report.json`` and
    ``held_out.csv`` (every network, platform, measured and predicted latency) at the end.

    Args:
        config_path: A TOML file, see :class:`TrainConfig`, or a CSV table of measurements.
        output_dir: Folder of the run.
        resume: Go on from the checkpoints in the folder; otherwise they are removed.
        seed: Instead of the configuration's.
        start_from: Instead of the configuration's.
        progress: Whether to show a progress bar on stderr.

    Raises:
        DataError: The configuration or a source cannot be used.
        WeightsError: The folder holds checkpoints of another run.
    """
    config = read_config(config_path)
    if seed is not None:
        config = config.model_copy(update={"fit": config.fit.model_copy(update={"seed": seed})})
    if start_from is not None:
        config = config.model_copy(update={"start_from": start_from})
    started = load_bundle(config.start_from) if config.start_from else None
    data, platforms = gather(config.sources)
    shape = config.model.for_platforms(len(platforms))
    if started is not None:
        shape = shape.model_copy(update={"trunk": started.config.model.trunk})
    if len(set(data.families)) < config.members:
        raise DataError(
            f"{config.members} members each leave out a share of the architecture families, but the data has only "
            f"{len(set(data.families))}: {', '.join(sorted(set(data.families)))}. Lower `members` or add families."
        )
    if not resume:
        for stale in output_dir.glob("member*/*"):
            stale.unlink()
    _log.info("%d networks of %d families on %d platforms", len(data), len(set(data.families)), len(platforms))
    with EpochProgress(config.members, config.fit.epochs, visible=progress) as bar:
        result = cross_fit(
            data,
            shape,
            config.fit,
            members=config.members,
            run_dir=output_dir,
            on_epoch=bar.advance,
            start_from=started.members if started else (),
        )
    report = TrainingReport(
        name=config.name,
        folder=str(output_dir),
        networks=len(data),
        errors=platform_errors(data, result.held_out_log_ms, result.folds),
    )
    save_bundle(_bundle(config, shape, data, platforms, result, report), output_dir)
    _write_evidence(output_dir, data, result, report)
    return report


def _bundle(
    config: TrainConfig,
    shape: LatencyModelConfig,
    data: TrainingSet,
    platforms: tuple[Platform, ...],
    result: CrossFit,
    report: TrainingReport,
) -> Bundle:
    log_errors = result.held_out_log_ms - np.log(data.latency_ms)
    seen = sorted({int(index) for features in data.features for index in features.op_types})
    bundle_config = BundleConfig(
        feature_schema=feature_schema_hash(),
        name=config.name,
        model=shape,
        members=config.members,
        platforms=platforms,
        seen_op_types=tuple(VOCABULARY[index] for index in seen if index),
        error_quantiles=tuple(min(error_quantile(column), _WIDEST_ERROR) for column in log_errors.T),
        provenance=_provenance(config, report),
    )
    return Bundle(bundle_config, result.members)


def _provenance(config: TrainConfig, report: TrainingReport) -> dict[str, Any]:
    return {
        "networks": report.networks,
        "sources": [source.kind for source in config.sources],
        "start_from": config.start_from,
        "fit": config.fit.model_dump(),
        "errors_on_left_out_families": [error.to_dict() for error in report.errors],
    }


def _write_evidence(output_dir: Path, data: TrainingSet, result: CrossFit, report: TrainingReport) -> None:
    (output_dir / "report.json").write_text(json.dumps([error.to_dict() for error in report.errors], indent=1) + "\n")
    lines = ["network,family,platform,batch,measured_ms,predicted_ms"]
    for row, column in np.argwhere(~np.isnan(data.latency_ms)):
        lines.append(
            f"{data.names[row]},{data.families[row]},{data.platforms[column]},{data.batch[row, column]:.0f},"
            f"{data.latency_ms[row, column]:.6g},{np.exp(result.held_out_log_ms[row, column]):.6g}"
        )
    (output_dir / "held_out.csv").write_text("\n".join(lines) + "\n")
