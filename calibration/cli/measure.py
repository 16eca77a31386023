"""``costmodel measure``: from models to latencies, measured on this machine or over TVM's RPC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.calibration.cli.measuring import MeasurerOptions
from costmodel.calibration.cli.option_groups import with_option_groups
from costmodel.calibration.cli.running import IntervalOption, TimeLimitOption, run_campaign
from costmodel.cli.errors import FAILURE
from costmodel.cli.options import BatchOption, FormatOption
from costmodel.cli.output import Format, Output
from costmodel.cli.talk import tracked
from costmodel.errors import UsageError

if TYPE_CHECKING:
    from costmodel.calibration.measurers import Measurer
    from costmodel.calibration.profiling import Profiler
    from costmodel.calibration.sources import ModelSource

__all__ = ["measure"]


@with_option_groups
def measure(
    models: Annotated[
        list[Path] | None, typer.Argument(metavar="[MODEL]...", help="ONNX files; missing weights are made up.")
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", metavar="NAME:COUNT", help="Generated networks of a family; repeat for more."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first network of each family.")] = 0,
    platform: Annotated[
        str | None, typer.Option("--platform", "-p", metavar="NAME", help="Default: made from device and runtime.")
    ] = None,
    batch: BatchOption = None,
    *,
    measuring: MeasurerOptions,
    visits: Annotated[int, typer.Option(min=1, help="Rounds over all models; the fastest run of all counts.")] = 10,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of a model in a round.")] = 3,
    interval: IntervalOption = 5.0,
    time_limit: TimeLimitOption = 120.0,
    journal: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where visits are kept; run again to go on.")
    ] = Path("records.jsonl"),
    dataset: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write records and weightless graphs, as Parquet.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="onnxruntime: also write the time of each kernel and the node it stands for, a JSON file a model.",
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure the latency of models, on this machine or on devices that --runtime tvm-rpc reaches."""
    from costmodel.calibration.campaign import Campaign
    from costmodel.calibration.measurement_report import MeasurementReport
    from costmodel.data.dataset import Dataset

    sources = _sources(models or (), family or (), seed, batch)
    measurer = measuring.measurer(time_limit)
    profiler = None if profile is None else _profiler(measurer, platform, time_limit)
    campaign = Campaign(
        sources,
        measurer,
        journal,
        platform=platform,
        batch=batch,
        visits=visits,
        runs=runs,
        round_interval_s=interval,
        time_limit_s=time_limit,
        workers=measuring.workers or 1,
    )
    records = run_campaign(campaign)
    Output(form).write(MeasurementReport(records))
    measured = [source for source, record in zip(sources, records, strict=True) if record.latency_ms is not None]
    if dataset is not None:
        Dataset.from_journal(journal, (source.load() for source in measured)).save(dataset)
    if profile is not None and profiler is not None:
        _write_profiles(profiler, measured, batch, profile)
    if len(measured) < len(sources):
        raise typer.Exit(FAILURE)


def _profiler(measurer: Measurer, platform: str | None, time_limit_s: float) -> Profiler:
    """What profiles models in the sessions that they are measured in.

    Raises:
        UsageError: They are measured with another runtime than onnxruntime.
    """
    from costmodel.calibration.measurers import OnnxRuntimeMeasurer
    from costmodel.calibration.profiling import Profiler

    if not isinstance(measurer, OnnxRuntimeMeasurer):
        raise UsageError("--profile goes with --runtime onnxruntime, which alone says what its kernels take.")
    return Profiler(measurer, platform=platform, time_limit_s=time_limit_s)


def _write_profiles(profiler: Profiler, sources: Sequence[ModelSource], batch: int | None, folder: Path) -> None:
    """A file for each model, named after it; those of earlier runs are replaced.

    Raises:
        MeasurementError: A model that could be measured cannot be profiled.
        DataError: A file cannot be written.
    """
    with profiler, tracked(sources, "profiling", few=0) as rest:
        for source in rest:
            profiler.profile(source, batch=batch).save(folder / f"{source.name.replace('/', '-')}.json")


def _sources(paths: Sequence[Path], families: Sequence[str], seed: int, batch: int | None) -> list[ModelSource]:
    sources: list[ModelSource] = [*_files(paths)]
    for text in families:
        sources += _networks(text, seed, batch or 1)
    if not sources:
        raise UsageError("nothing to measure. Name ONNX files, or networks to generate: --family resnet:10")
    return sources


def _files(paths: Sequence[Path]) -> Iterator[ModelSource]:
    """The files by their stem, or by their path where stems would clash."""
    from costmodel.calibration.sources import OnnxFile

    stems = [path.stem for path in paths]
    for path in paths:
        yield OnnxFile.at(path, path.stem if stems.count(path.stem) == 1 else str(path))


def _networks(text: str, seed: int, batch: int) -> list[ModelSource]:
    from costmodel.calibration.sources import FamilyNetwork

    name, _, count = text.partition(":")
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"cannot read --family {text!r}; expected NAME:COUNT, e.g. --family resnet:10")
    return [FamilyNetwork(name, seed + offset, batch) for offset in range(int(count))]
