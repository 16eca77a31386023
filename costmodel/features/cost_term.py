"""What the time of an operation is spent on."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CostTerm"]


class CostTerm(IntEnum):
    """The four terms of the physical prior, in the order of its rates."""

    FLOPS = 0
    """Arithmetic."""
    ACTIVATION_BYTES = 1
    """Reading and writing activations."""
    WEIGHT_BYTES = 2
    """Reading weights."""
    OPERATIONS = 3
    """Starting the operation, whatever its size."""
