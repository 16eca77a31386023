"""Which session is fastest for a model: ranked by prediction, measured as far as one likes, checked for accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from costmodel.errors import UsageError
from costmodel.files import replaced, sole_writer
from costmodel.graph import load_graph
from costmodel.integrations.onnxruntime.candidates import candidate_variants
from costmodel.integrations.onnxruntime.feeds import Feeds, check_feeds, random_feeds
from costmodel.integrations.onnxruntime.fixed_model import read_fixed_model
from costmodel.integrations.onnxruntime.format_maker import FormatMaker
from costmodel.integrations.onnxruntime.gains import Gains
from costmodel.integrations.onnxruntime.ranking import Estimate, rank_variants
from costmodel.integrations.onnxruntime.trial import Trial
from costmodel.integrations.onnxruntime.tuning_result import CandidateRow, CandidateStatus, TuneResult
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT, Variant
from costmodel.predictor import Predictor

__all__ = ["DEFAULT_MAX_DIFFERENCE", "DEFAULT_TOP", "tune"]

DEFAULT_TOP = 2
DEFAULT_MAX_DIFFERENCE = 0.1
_RANDOM_FEEDS = 4


def tune(
    model: str | Path,
    folder: str | Path,
    *,
    variants: Sequence[Variant] | None = None,
    top: int = DEFAULT_TOP,
    max_difference: float = DEFAULT_MAX_DIFFERENCE,
    calibration: Sequence[Feeds] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    batch: int | None = None,
    predictor: Predictor | None = None,
    platform: str | None = None,
    gains: Gains | None = None,
    visits: int = 5,
    time_limit_s: float = 120.0,
    seed: int = 0,
    on_step: Callable[[str], None] = lambda _: None,
) -> TuneResult:
    """Choose the session that runs a model fastest on this machine.

    Candidates are ranked by what they are expected to take.  The first ``top`` of them that are valid are measured,
    with the default session beside them, and the fastest is chosen; a candidate that cannot be made, that crashes,
    hangs, or is too far off in its outputs, is a row that says so.

    Args:
        model: An ONNX file with its weights.
        folder: Where the result goes: ``tuning.json``, and the model's quantised format if that is chosen.
        variants: The candidates; ``None`` for :func:`~.candidates.candidate_variants`.
        top: How many to measure; with 0, the first valid one is chosen unmeasured.
        max_difference: How far outputs may be off, root mean square, as a part of the outputs in fp32.
        calibration: Inputs that stand for those to come, which quantised formats are made and judged by; ``None`` for
            random ones.
        shapes: Sizes of inputs that the file leaves open, by the name of the input.
        batch: Size of the leading dims that it leaves open; 1, if not given.
        predictor: What ranks; ``None`` for the one that comes with the package.
        platform: The platform of the default session, where the predictor knows it under another name than
            :func:`~.variant.default_platform_here`.
        gains: What ranks the variants that the predictor does not know; ``None`` for those that come with the package.
        visits: Visits to each that is measured; the fastest run of all counts.
        time_limit_s: To make a format, and for a visit.
        seed: Of random inputs.
        on_step: Told, for people, what is being done.

    Raises:
        UsageError: ``top`` or ``visits`` is too low, a shape or input contradicts the file, there is no platform of
            that name, or the folder cannot be written.
        UnsupportedModelError: The model cannot be read, or lacks weights.
        MissingDependencyError: No flavour of onnxruntime is installed.
        MeasurementError: No candidate is valid, or a process does not start.
    """
    if top < 0 or visits < 1:
        raise UsageError(f"expected a top of at least 0 and at least one visit, got {top} and {visits}.")
    path, target = Path(model), Path(folder)
    fixed = read_fixed_model(path, shapes=shapes, batch=batch)
    graph = load_graph(fixed)
    candidates = list(dict.fromkeys(variants)) if variants is not None else candidate_variants()
    ranking = rank_variants(graph, candidates, predictor=predictor, platform=platform, gains=gains)
    order = list(ranking.estimates)
    feeds = random_feeds(fixed, _RANDOM_FEEDS, seed) if calibration is None else calibration
    check_feeds(fixed, feeds)
    with _output_folder(target), TemporaryDirectory(prefix="costmodel-ort-") as work:
        source = Path(work) / f"{path.stem}.onnx"
        source.write_bytes(fixed.SerializeToString())
        with FormatMaker(source, Path(work), feeds, time_limit_s) as maker:
            trial = Trial(maker, max_difference, visits, time_limit_s, on_step)
            chosen = trial.measure_first(*_with_default(order, top)) if top else trial.make_first(order)
        result = TuneResult(
            model=str(path),
            batch=graph.batch,
            default_platform=ranking.default_platform,
            session_model=_kept(trial.made[chosen].path, target) if chosen.format.is_quantized else path.resolve(),
            session=chosen.describe_session(),
            max_difference=max_difference,
            candidates=tuple(_row(variant, estimate, trial, chosen) for variant, estimate in ranking.estimates.items()),
        )
        result.save(target)
    return result


def _with_default(order: Sequence[Variant], top: int) -> tuple[Sequence[Variant], int]:
    """What to measure, and how many of it: the default session as well, so that nothing slower can be chosen."""
    if DEFAULT_VARIANT in order[:top] or DEFAULT_VARIANT not in order:
        return order, top
    return [DEFAULT_VARIANT, *(variant for variant in order if variant != DEFAULT_VARIANT)], top + 1


@contextmanager
def _output_folder(folder: Path) -> Iterator[None]:
    """Told before the first candidate, not after the last, if nothing can be written there.

    Raises:
        UsageError: The folder cannot be made or written, or another process writes there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with sole_writer(folder):
            yield
    except OSError as error:
        raise UsageError(f"cannot write in {folder}: {error.strerror}. Choose another folder.") from error


def _kept(quantized: Path, folder: Path) -> Path:
    target = folder.resolve() / quantized.name
    with replaced(target) as partial:
        copyfile(quantized, partial)
    return target


def _row(variant: Variant, estimate: Estimate, trial: Trial, chosen: Variant) -> CandidateRow:
    made, record = trial.made.get(variant), trial.records.get(variant)
    return CandidateRow(
        variant=variant,
        status=_status(variant, trial, chosen),
        reason=trial.reasons.get(variant, ""),
        platform=estimate.platform,
        estimated_by=estimate.by,
        estimated_gain=estimate.gain,
        estimated_ms=estimate.latency_ms,
        estimated_low_ms=estimate.low_ms,
        estimated_high_ms=estimate.high_ms,
        measured_ms=None if record is None else record.latency_ms,
        measured_spread=None if record is None else record.spread,
        difference=None if made is None or not isfinite(made.difference) else made.difference,
    )


def _status(variant: Variant, trial: Trial, chosen: Variant) -> CandidateStatus:
    if variant == chosen:
        return CandidateStatus.CHOSEN
    if variant in trial.reasons:
        return CandidateStatus.INVALID
    return CandidateStatus.MEASURED if variant in trial.records else CandidateStatus.RANKED
