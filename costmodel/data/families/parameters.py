"""Initialisers of a generated network, with their elements or without."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import StringStringEntryProto, TensorProto, numpy_helper

__all__ = ["Parameter"]

_ABSENT_FILE = "weights.bin"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A float32 weight whose elements are drawn from a normal distribution when they are needed at all.

    Attributes:
        name: Name of the initialiser.
        shape: Its sizes.
        std: Standard deviation of the elements.
        mean: Mean of the elements.
    """

    name: str
    shape: tuple[int, ...]
    std: float
    mean: float = 0.0

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def filled(self, rng: np.random.Generator) -> TensorProto:
        """The initialiser with its elements, drawn from ``rng``."""
        elements = rng.standard_normal(self.shape, dtype=np.float32)
        elements *= np.float32(self.std)
        elements += np.float32(self.mean)
        return numpy_helper.from_array(elements, self.name)

    def declared(self) -> TensorProto:
        """The initialiser without its elements: external data in a file that is never written."""
        return TensorProto(
            name=self.name,
            data_type=TensorProto.FLOAT,
            dims=self.shape,
            data_location=TensorProto.EXTERNAL,
            external_data=[StringStringEntryProto(key="location", value=_ABSENT_FILE)],
        )
