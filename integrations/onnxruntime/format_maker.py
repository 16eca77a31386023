"""The process that makes formats of a model, which runs the model and so may crash or hang with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from costmodel.calibration.child import Child, ChildDiedError, ChildHungError
from costmodel.errors import CostModelError, MeasurementError
from costmodel.integrations.onnxruntime.feeds import Feeds
from costmodel.integrations.onnxruntime.model_format import ModelFormat

__all__ = ["FormatMaker", "MadeFormat"]


@dataclass(frozen=True, slots=True)
class MadeFormat:
    """A model in one of the formats.

    Attributes:
        path: The file.
        difference: :func:`~costmodel.integrations.onnxruntime.accuracy.relative_rms_error` of its outputs, where the
            format computes other numbers than the model in fp32; else 0.
    """

    path: Path
    difference: float


@dataclass(frozen=True, slots=True)
class _Request:
    source: Path
    target: Path
    model_format: ModelFormat
    calibration: Sequence[Feeds]


@dataclass(frozen=True, slots=True)
class _Refused:
    reason: str


class FormatMaker:
    """Makes each format of one model once, in a child process.

    Args:
        source: The model in fp32, with fixed sizes.
        folder: Where to put what is made.
        calibration: Inputs to quantise by, and to compare outputs on.
        time_limit_s: A format that takes longer is given up.
    """

    def __init__(self, source: Path, folder: Path, calibration: Sequence[Feeds], time_limit_s: float) -> None:
        self._source = source
        self._folder = folder
        self._calibration = tuple(calibration)
        self._time_limit_s = time_limit_s
        self._child = Child(_Quantizer(), {"OMP_NUM_THREADS": "1"})
        self._made: dict[ModelFormat, MadeFormat | MeasurementError] = {
            ModelFormat.FP32: MadeFormat(source, difference=0.0)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._child.close()

    def make(self, model_format: ModelFormat) -> MadeFormat:
        """The model in ``model_format``; made when it is first asked for.

        Raises:
            MeasurementError: It cannot be made, or what was made does not run.
        """
        if model_format not in self._made:
            self._made[model_format] = self._answer(model_format)
        made = self._made[model_format]
        if isinstance(made, MeasurementError):
            raise made
        return made

    def _answer(self, model_format: ModelFormat) -> MadeFormat | MeasurementError:
        target = self._folder / f"{self._source.stem}.{model_format}.onnx"
        request = _Request(self._source, target, model_format, self._calibration)
        try:
            answer = next(self._child.messages(request, self._time_limit_s))
        except (ChildDiedError, ChildHungError) as error:
            return MeasurementError(f"quantising the model to {model_format} failed: {error}")
        if isinstance(answer, MadeFormat):
            return answer
        assert isinstance(answer, _Refused)
        return MeasurementError(answer.reason)


@dataclass(frozen=True, slots=True)
class _Quantizer:
    """What the child does."""

    def prepare(self) -> None:
        import onnxruntime.quantization  # noqa: F401  # takes a second, which is no model's fault

        logging.disable(logging.WARNING)  # the tools recommend what is done already

    def answer(self, request: _Request, tell: Callable[[object], None]) -> MadeFormat | _Refused:  # noqa: ARG002
        from costmodel.integrations.onnxruntime.accuracy import output_difference
        from costmodel.integrations.onnxruntime.quantization import quantize

        try:
            quantize(request.source, request.target, request.model_format, request.calibration)
            difference = output_difference(request.source, request.target, request.calibration)
        except CostModelError as error:
            return _Refused(str(error))
        except Exception as error:  # whatever it is must not end the tuning
            return _Refused(f"{type(error).__name__}: {error}")
        return MadeFormat(request.target, difference)
