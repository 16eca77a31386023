"""``costmodel tune``: from an ONNX file to the onnxruntime session that runs it fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.calibration.cli.running import TimeLimitOption
from costmodel.cli.options import (
    BatchOption,
    FormatOption,
    ShapeOption,
    parse_shapes,
)
from costmodel.cli.output import Format, Output, Report
from costmodel.cli.predict import resolve_platforms
from costmodel.cli.talk import wants_progress
from costmodel.errors import UsageError
from costmodel.integrations.onnxruntime.model_format import ModelFormat

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.integrations.onnxruntime.tuning_result import CandidateRow, TuneResult
    from costmodel.predictor import Predictor

__all__ = ["SessionTuningReport", "tune"]


def tune(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file with its weights.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            file_okay=False,
            help="Folder of the session's options and of the quantised model, if that is chosen.  "
            "[default: tuned/ and the model's name]",
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Measure this many candidates and the default session; 0 goes by prediction."
        ),
    ] = 2,
    model_format: Annotated[
        list[ModelFormat] | None,
        typer.Option("--model-format", help="Formats to choose from; repeat for more.  [default: all]"),
    ] = None,
    graph_optimization: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL", help="none, basic, extended or all; repeat for more.  [default: all and extended]"
        ),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, metavar="N", help="Threads that run it; repeat for more.  [default: 1]")
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Execution providers; repeat for more.  [default: all that are installed]"),
    ] = None,
    session_config: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Also try with this session-config entry; repeat for more at once."),
    ] = None,
    max_difference: Annotated[
        float,
        typer.Option(min=0, metavar="FRACTION", help="How far outputs may be off, RMS, as a part of those in fp32."),
    ] = 0.1,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Inputs to quantise by, .npz with an array for each input, stacked.  [default: random ones]",
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            "-p",
            metavar="NAME",
            help="Platform of the default session, or the folder of a calibrated one.  "
            "[default: this machine, if it is known]",
        ),
    ] = None,
    gains: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Mean gains to rank by what is not predicted.  [default: the package's own]"),
    ] = None,
    visits: Annotated[int, typer.Option(min=1, help="Rounds over what is measured; the fastest run counts.")] = 5,
    time_limit: TimeLimitOption = 120.0,
    shape: ShapeOption = None,
    batch: BatchOption = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            "-w",
            metavar="NAME_OR_DIR",
            help="Weights to rank by: a name or a folder.  "
            "[default: nnformer-ort if it knows the platform, else nnformer-base]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random inputs.")] = 0,
    form: FormatOption = Format.TABLE,
) -> None:
    """Choose the onnxruntime session, and the model's format, that run a model fastest on this machine."""
    from costmodel.integrations.onnxruntime.candidates import DEFAULT_GRAPH_OPTIMIZATIONS, candidate_variants
    from costmodel.integrations.onnxruntime.feeds import load_feeds
    from costmodel.integrations.onnxruntime.gains import Gains
    from costmodel.integrations.onnxruntime.session_config import parse_session_config
    from costmodel.integrations.onnxruntime.shipped_predictor import shipped_predictor
    from costmodel.integrations.onnxruntime.tuning import tune as run_tuning
    from costmodel.predictor import Predictor

    variants = candidate_variants(
        formats=model_format or tuple(ModelFormat),
        graph_optimizations=graph_optimization or DEFAULT_GRAPH_OPTIMIZATIONS,
        threads=threads or (1,),
        providers=provider,
        session_config=parse_session_config(session_config or []),
    )
    target = folder or Path("tuned", model.stem)
    predictor = Predictor.from_pretrained(weights) if weights else shipped_predictor(platform)
    if platform is not None:
        predictor, platform = _known(predictor, platform)
    with _status() as on_step:
        result = run_tuning(
            model,
            target,
            variants=variants,
            top=top,
            max_difference=max_difference,
            calibration=None if calibration is None else load_feeds(calibration),
            shapes=parse_shapes(shape),
            batch=batch,
            predictor=predictor,
            platform=platform,
            gains=None if gains is None else Gains.load(gains),
            visits=visits,
            time_limit_s=time_limit,
            seed=seed,
            on_step=on_step,
        )
    Output(form).write(SessionTuningReport(result, target))


_COLUMNS = (
    "variant",
    "status",
    "platform",
    "estimated_by",
    "estimated_gain",
    "estimated_ms",
    "measured_ms",
    "difference",
    "reason",
)


class SessionTuningReport(Report):
    """The chosen session, and what is known of each candidate.

    Args:
        result: What tuning came to.
        folder: Where it was written.
    """

    def __init__(self, result: TuneResult, folder: Path) -> None:
        self._result = result
        self._folder = folder

    def document(self) -> dict[str, object]:
        """The fields of :class:`~costmodel.integrations.onnxruntime.TuneResult`, as in ``tuning.json``."""
        return self._result.model_dump(mode="json")

    def columns(self) -> Sequence[str]:
        """What decides about a candidate."""
        return _COLUMNS

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per candidate, the variant by its name."""
        for row in self._result.candidates:
            yield {**{name: getattr(row, name) for name in _COLUMNS}, "variant": row.variant.name}

    def tables(self) -> Iterable[RenderableType]:
        """One line per candidate, then the session."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("variant", overflow="fold")
        for heading in ("expected", "expected ms", "known by", "measured ms", "outputs off"):
            table.add_column(heading, justify="right")
        table.add_column("status", overflow="fold")
        for row in self._result.candidates:
            table.add_row(row.variant.name, *_cells(row))
        yield table
        yield ""
        yield from _sentences(self._result, self._folder)


def _cells(row: CandidateRow) -> tuple[str, ...]:
    return (
        "" if row.estimated_gain is None else f"x {row.estimated_gain:.2f}",
        _ms(row.estimated_ms),
        str(row.estimated_by),
        _ms(row.measured_ms),
        "" if row.difference is None else f"{row.difference:.1e}",
        f"{row.status}: {row.reason}" if row.reason else str(row.status),
    )


def _sentences(result: TuneResult, folder: Path) -> Iterator[str]:
    from costmodel.integrations.onnxruntime.ranking import EstimatedBy
    from costmodel.integrations.onnxruntime.tuning_result import RESULT_FILE

    chosen, default = result.chosen, result.default
    if chosen.measured_ms is not None and default is not None and default.measured_ms is not None:
        times = default.measured_ms / chosen.measured_ms
        yield (
            f"{chosen.variant.name} takes {_ms(chosen.measured_ms)} ms where the default session takes "
            f"{_ms(default.measured_ms)} ms: {times:.2f} times as fast"
        )
    else:
        yield f"{chosen.variant.name} is expected to be fastest; nothing was measured"
    if any(row.estimated_by is EstimatedBy.PRIOR for row in result.candidates):
        yield (
            "what is known by the prior is the mean gain on other networks, whatever this one is: the weights have no "
            f"platforms beside {result.default_platform}"
        )
    yield f"the model to open is {result.session_model}; its session's options are in {folder / RESULT_FILE}"


def _ms(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.4g}"


def _known(predictor: Predictor, pattern: str) -> tuple[Predictor, str]:
    """The predictor that knows the one platform that ``pattern`` stands for, and its name.

    Raises:
        UnknownNameError: Nothing goes by that name.
        UsageError: It stands for several.
    """
    predictor, found = resolve_platforms(predictor, pattern)
    if len(found) > 1:
        raise UsageError(f"--platform {pattern!r} stands for {len(found)} platforms; name one of them.")
    return predictor, found[0].name


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is being done."""
    if not wants_progress():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update
