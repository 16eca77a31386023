"""The formats that a model's numbers can be stored and computed in."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ModelFormat"]


class ModelFormat(StrEnum):
    """Format of a model file; the value stands in the names of platforms."""

    FP32 = "fp32"
    """As the file is."""
    INT8_QDQ = "int8-qdq"
    """Static quantisation to eight bits, in pairs of QuantizeLinear and DequantizeLinear."""
    INT8_DYNAMIC = "int8-dynamic"
    """Weights in eight bits; activations are quantised at every run, by their range in that run."""

    @property
    def is_quantized(self) -> bool:
        """Whether the format computes other numbers than the file it is made from."""
        return self is not ModelFormat.FP32
