"""What tests of candidates share.  TVM is imported in the fixtures only, so that it may be missing."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest


@pytest.fixture(scope="session")
def target() -> Any:
    """One core of whatever processor there is."""
    import tvm

    return tvm.target.Target({"kind": "llvm", "num-cores": 1})


def _matmul(size: int) -> Any:
    from tvm import relax

    builder = relax.BlockBuilder()
    x, w = (relax.Var(name, relax.TensorType((size, size), "float32")) for name in "xw")
    with builder.function("main", [x, w]):
        with builder.dataflow():
            output = builder.emit_output(relax.op.matmul(x, w))
        builder.emit_func_output(output)
    return builder.get()


@pytest.fixture(scope="session")
def matmul() -> Any:
    """Makes workloads that multiply two square matrices of a size."""
    from costmodel.integrations.tvm.workloads import Workload

    return lambda size: Workload("matmul", f"matmul-{size}", "a test", partial(_matmul, size))
