"""A fixed piece of work, timed beside every model to tell a slow model from a slow moment."""

from __future__ import annotations

from functools import cache
from time import thread_time_ns

import numpy as np
from jaxtyping import Float

__all__ = ["reference_kernel_ms"]

_SIZE = 384
"""113 MFLOP: 1 to 3 ms on one core; three matrices of 0.6 MB, which do not fit in the first cache."""

_REPEATS = 3


def reference_kernel_ms() -> float:
    """CPU time in milliseconds of one float32 matrix product of size 384, the fastest of three."""
    return min(_time_product_ns() for _ in range(_REPEATS)) / 1e6


def _time_product_ns() -> int:
    left, right, out = _operands()
    start = thread_time_ns()
    np.matmul(left, right, out=out)
    return max(thread_time_ns() - start, 1)


@cache
def _operands() -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((_SIZE, _SIZE), dtype=np.float32) for _ in range(2))
    np.matmul(left, right)  # the library's own warm-up
    return left, right, np.empty_like(left)
