"""Times of kernels become shares of operations, and predictions are held against them."""

import numpy as np
import pytest
import torch

from costmodel.features import GraphFeatures
from costmodel.training.kernel_shares import KernelShares, kernel_share_loss


def chain(*edges, nodes):
    return GraphFeatures(
        op_types=np.zeros(nodes, dtype=np.int64),
        tokens=np.zeros((nodes, 1), dtype=np.float32),
        work=np.zeros((nodes, 3), dtype=np.float32),
        kernels=np.zeros(nodes, dtype=np.int64),
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2),
        op_index=np.arange(nodes),
        batch=1,
    )


def test_an_operation_without_a_kernel_ran_in_that_of_its_reader():
    features = chain((0, 1), (1, 2), nodes=3)

    shares = KernelShares.of_times({"relu": 3.0, "pool": 1.0}, features, [("conv", "norm"), ("relu",), ("pool",)])

    assert shares.groups.tolist() == [0, 0, 1]
    assert shares.shares.tolist() == [0.75, 0.25]


def test_operations_of_one_node_are_one_group():
    features = chain((0, 1), nodes=3)

    shares = KernelShares.of_times({"gelu": 2.0, "fc": 2.0}, features, [("gelu",), ("gelu",), ("fc",)])

    assert shares.groups.tolist() == [0, 0, 1]
    assert shares.shares.tolist() == [0.5, 0.5]


def test_kernels_of_one_operation_are_added_and_strangers_count_nowhere():
    features = chain((0, 1), nodes=2)

    shares = KernelShares.of_times(
        {"conv": 1.0, "norm": 2.0, "reorder": 9.0, "fc": 1.0}, features, [("conv", "norm"), ("fc",)]
    )

    assert shares.shares.tolist() == [0.75, 0.25]


def test_an_operation_that_nobody_reads_and_no_kernel_names_took_no_time():
    shares = KernelShares.of_times({"conv": 1.0}, chain((0, 1), nodes=2), [("conv",), ("output",)])

    assert shares.groups.tolist() == [0, 1]
    assert shares.shares.tolist() == [1.0, 0.0]


def test_without_any_known_time_there_are_no_shares():
    assert KernelShares.of_times({"other": 1.0}, chain(nodes=1), [("conv",)]) is None


def test_the_loss_is_the_part_of_the_time_at_the_wrong_place():
    known = KernelShares(np.array([0, 0, 1]), np.array([0.5, 0.5]))
    op_ms = torch.tensor([[9.0, 9.0], [1.0, 9.0], [2.0, 9.0], [1.0, 9.0]])  # a network of one operation stands first

    assert kernel_share_loss(op_ms, [(1, 0, known)]).item() == pytest.approx(0.25)
    assert kernel_share_loss(op_ms, [(1, 1, known)]).item() == pytest.approx(1 / 6)
    assert kernel_share_loss(op_ms, [(1, 0, known), (1, 1, known)]).item() == pytest.approx((0.25 + 1 / 6) / 2)
    assert kernel_share_loss(op_ms, []).item() == 0
