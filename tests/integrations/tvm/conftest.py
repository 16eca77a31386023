"""What tests of candidates share.  TVM is imported in the fixtures only, so that it may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest


@pytest.fixture(scope="session")
def target() -> Any:
    """One core of whatever processor there is."""
    import tvm

    return tvm.target.Target({"kind": "llvm", "num-cores": 1})


@pytest.fixture(scope="session")
def matmul() -> Any:
    """Makes workloads that multiply two square matrices of a size."""
    from tvm import relax

    from costmodel.integrations.tvm.workloads import Workload, relax_module

    def of_size(size: int) -> Workload:
        square = (size, size)
        return Workload("matmul", f"matmul-{size}", "a test", partial(relax_module, [square, square], relax.op.matmul))

    return of_size


@pytest.fixture(scope="session")
def intrinsics() -> None:
    """TVM's tensor intrinsics, which tuning contexts that tests make themselves would take a minute to import."""
    from costmodel.integrations.tvm.intrinsics import import_intrinsics

    import_intrinsics()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Models as small as these only wait for other threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
