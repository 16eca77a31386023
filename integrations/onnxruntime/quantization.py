"""Makes the quantised formats of a model, with onnxruntime's own tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from sys import stderr
from tempfile import TemporaryDirectory

from costmodel.calibration.measurers.calls import refusal
from costmodel.errors import MeasurementError
from costmodel.integrations.onnxruntime.feeds import Feeds
from costmodel.integrations.onnxruntime.model_format import ModelFormat
from costmodel.platforms.environment import Environment

__all__ = ["quantize"]

_QUANTIZING_OPS = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})

_FULL_RANGE_ISA = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "neon", "dotprod", "i8mm"})
"""With none of these, products of eight bits are summed in sixteen, which only seven bits of weight do not overflow."""


def quantize(source: Path, target: Path, model_format: ModelFormat, calibration: Sequence[Feeds]) -> None:
    """Write a quantised format of a model.

    Weights are quantised channel by channel.  Activations of the static format take the range that they have in
    ``calibration``.

    Args:
        source: The model in fp32, with fixed sizes.
        target: Where to write it.
        model_format: One of the quantised formats.
        calibration: Inputs that stand for those to come; only the static format needs them.

    Raises:
        MeasurementError: onnxruntime cannot quantise the model, or nothing in it can be.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(prefix="costmodel-ort-") as folder, redirect_stdout(stderr):
        prepared = Path(folder) / "prepared.onnx"
        try:
            # Sizes are fixed, so that the symbolic inference, which fails for many a model, has nothing to add.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            _quantize(prepared, target, model_format, calibration)
        except Exception as error:  # the tools raise what their parts raise
            raise refusal(f"onnxruntime does not quantise the model to {model_format}", error) from error
    _require_quantized(target, model_format)


def _quantize(prepared: Path, target: Path, model_format: ModelFormat, calibration: Sequence[Feeds]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    choices = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": not _has_full_range()}
    if model_format is ModelFormat.INT8_DYNAMIC:
        quantize_dynamic(prepared, target, **choices)
        return
    quantize_static(
        prepared,
        target,
        _Calibration(calibration),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        **choices,
    )


class _Calibration:
    """What onnxruntime's calibration reads, which asks for a class with this method."""

    def __init__(self, feeds: Sequence[Feeds]) -> None:
        self._rest: Iterator[Feeds] = iter(feeds)

    def get_next(self) -> Feeds | None:
        return next(self._rest, None)


def _has_full_range() -> bool:
    machine = Environment.capture(runtime="onnxruntime", runtime_version="", threads=1)
    return bool(_FULL_RANGE_ISA.intersection(machine.isa))


def _require_quantized(path: Path, model_format: ModelFormat) -> None:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    if not any(node.op_type in _QUANTIZING_OPS for node in graph.node):
        raise MeasurementError(f"nothing in the model can be quantised to {model_format}.")
