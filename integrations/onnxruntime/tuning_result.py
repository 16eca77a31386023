"""What tuning came to: the chosen session, and the evidence for it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from costmodel.errors import DataError, UsageError
from costmodel.files import replaced
from costmodel.integrations.onnxruntime.ranking import EstimatedBy
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT, Variant

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["RESULT_FILE", "CandidateRow", "CandidateStatus", "TuneResult", "make_session"]

RESULT_FILE = "tuning.json"


class CandidateStatus(StrEnum):
    """How far a candidate came."""

    CHOSEN = "chosen"
    MEASURED = "measured"
    """It was measured, and another one was faster."""
    RANKED = "ranked"
    """Others were expected to be faster, so it was not measured."""
    INVALID = "invalid"
    """It cannot be made, does not run, or its outputs are too far off."""


class CandidateRow(BaseModel):
    """One candidate and what is known of it.

    Attributes:
        variant: What it is.
        status: How far it came.
        reason: Why it is invalid; else empty.
        platform: The platform that it is; ``None`` where names leave out what it is.
        estimated_by: Where what it was expected to take comes from.
        estimated_gain: Latency over that of the default session, as expected; ``None`` if nothing was known.
        estimated_ms: Time of one run, as expected.
        estimated_low_ms: Lower end of its 90 % interval.
        estimated_high_ms: Upper end.
        measured_ms: Fastest run; ``None`` where it was not measured.
        measured_spread: How far the visits lie above the fastest run, as a part of it.
        difference: Root mean square of the outputs' error as a part of the outputs; ``None`` where the format was not
            made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: Variant
    status: CandidateStatus
    reason: str = ""
    platform: str | None = None
    estimated_by: EstimatedBy
    estimated_gain: float | None = None
    estimated_ms: float | None = None
    estimated_low_ms: float | None = None
    estimated_high_ms: float | None = None
    measured_ms: float | None = None
    measured_spread: float | None = None
    difference: float | None = None


class TuneResult(BaseModel):
    """The chosen session, and every candidate.

    Attributes:
        schema_version: Version of this layout.
        model: The model as it was given.
        batch: Images per run that it was tuned for.
        default_platform: The platform of the default session that estimates are for.
        session_model: The file to open: the model itself, or its quantised format, which has the tuned sizes.
        session: See :meth:`~costmodel.integrations.onnxruntime.Variant.describe_session`.
        max_difference: How far outputs were allowed to be off.
        candidates: Fastest expected first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    schema_version: Literal[1] = 1
    model: str
    batch: int
    default_platform: str
    session_model: Path
    session: dict[str, JsonValue]
    max_difference: float
    candidates: tuple[CandidateRow, ...]

    @property
    def chosen(self) -> CandidateRow:
        """The candidate to use."""
        return next(row for row in self.candidates if row.status is CandidateStatus.CHOSEN)

    @property
    def default(self) -> CandidateRow | None:
        """The session that onnxruntime opens if it is told nothing, on one thread, if it is among the candidates."""
        return next((row for row in self.candidates if row.variant == DEFAULT_VARIANT), None)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :func:`~costmodel.integrations.onnxruntime.tune` wrote to a folder.

        Raises:
            UsageError: There is nothing of it in the folder.
            DataError: The file is damaged.
        """
        path = Path(folder).resolve() / RESULT_FILE
        try:
            read = cls.model_validate_json(path.read_bytes())
            return read.model_copy(update={"session_model": path.parent / read.session_model})
        except OSError as error:
            raise UsageError(
                f"cannot read {path}: {error.strerror}. Make it with: costmodel tune MODEL -o {folder}"
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(f"{path} is damaged: {first['msg']}. Tune again.") from error

    def save(self, folder: str | Path) -> None:
        """Write it to a folder, for :meth:`load`; a session's model that is in the folder moves with it.

        Raises:
            OSError: It cannot be written.
        """
        target = Path(folder).resolve()
        is_inside = self.session_model.parent == target
        written = self.model_copy(update={"session_model": Path(self.session_model.name)}) if is_inside else self
        with replaced(target / RESULT_FILE) as partial:
            partial.write_text(written.model_dump_json(indent=2) + "\n")


def make_session(result: TuneResult | str | Path) -> onnxruntime.InferenceSession:
    """Open the chosen session.

    Args:
        result: What :func:`~costmodel.integrations.onnxruntime.tune` returned, or the folder that it wrote.

    Raises:
        UsageError: There is no result in the folder, or the model is no longer where it was.
        DataError: The result is damaged.
    """
    import onnxruntime

    tuned = result if isinstance(result, TuneResult) else TuneResult.load(result)
    if not tuned.session_model.is_file():
        raise UsageError(f"no file {tuned.session_model}, which was there when it was tuned; tune again.")
    variant = tuned.chosen.variant
    return onnxruntime.InferenceSession(tuned.session_model, variant.session_options(), providers=variant.providers)
