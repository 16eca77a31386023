"""What the time of an operation is spent on."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["GROWS_WITH_BATCH", "CostTerm"]


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


GROWS_WITH_BATCH = np.isin(np.arange(len(CostTerm)), [CostTerm.FLOPS, CostTerm.ACTIVATION_BYTES])
"""By term, whether there is more of it for more images; reading weights and starting operations is shared by all."""
