from __future__ import annotations

import numpy as np
import pytest
import torch

from costmodel.features import FEATURE_NAMES, GraphFeatures
from costmodel.features.graph_batch import collate
from costmodel.features.kernel_class import KernelClass
from costmodel.graph import VOCABULARY
from costmodel.model import LatencyModel, LatencyModelConfig, NNFormerConfig


def model(**options: float | bool) -> LatencyModel:
    """Two platforms; weights far from their zero start, so that every term matters."""
    torch.manual_seed(0)
    trunk = NNFormerConfig(num_op_types=len(VOCABULARY), num_features=len(FEATURE_NAMES), dim=16, depth=2, ffn_ratio=2)
    built = LatencyModel(LatencyModelConfig(trunk=trunk, num_platforms=2, head_width=8, **options))
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return built.eval()


def graph(nodes: int, seed: int, kernel: KernelClass = KernelClass.CONV) -> GraphFeatures:
    rng = np.random.default_rng(seed)
    parents = [rng.integers(0, child, rng.integers(1, 3)) for child in range(1, nodes)]
    edges = sorted({(int(p), child) for child, those in enumerate(parents, start=1) for p in those})
    return GraphFeatures(
        op_types=rng.integers(0, len(VOCABULARY), nodes),
        tokens=rng.random((nodes, len(FEATURE_NAMES)), dtype=np.float32),
        work=(rng.random((nodes, 3)) * 1e7).astype(np.float32),
        kernels=np.full(nodes, kernel),
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2),
        op_index=np.arange(nodes),
        batch=1,
    )


ONES = torch.ones(1, 2)
CONV = torch.tensor([KernelClass.CONV])


def test_a_graph_alone_is_predicted_as_in_a_batch():
    graphs = [graph(nodes, seed) for seed, nodes in enumerate((7, 30, 1))]
    together = model()(collate(graphs), torch.ones(3, 2)).log_ms
    for row, single in enumerate(graphs):
        torch.testing.assert_close(model()(collate([single]), ONES).log_ms[0], together[row], atol=1e-5, rtol=1e-5)


def test_operations_add_up_to_the_network():
    output = model()(collate([graph(20, 0)]), ONES)
    torch.testing.assert_close(output.op_ms.sum(0), output.log_ms[0].exp())


def test_without_work_the_overhead_is_the_prior():
    built = model()
    prior = built.log_prior(torch.zeros(1, 3), CONV, torch.ones(1, 2))
    torch.testing.assert_close(prior[0], built.log_rates[KernelClass.CONV, :, 3])


def test_weights_are_read_once_a_batch():
    built = model()
    work = torch.tensor([[0.0, 0.0, 8e6]])
    small, large = (built.log_prior(work, CONV, torch.full((1, 2), size)) for size in (1.0, 64.0))
    torch.testing.assert_close(small, large)


def test_activations_and_flops_grow_with_the_batch():
    built = model()
    with torch.no_grad():
        built.log_rates[..., 3] = -30.0
    work = torch.tensor([[1e9, 1e6, 0.0]])
    small, large = (built.log_prior(work, CONV, torch.full((1, 2), size)) for size in (1.0, 64.0))
    torch.testing.assert_close(large - small, torch.full((1, 2), 64.0).log(), rtol=1e-4, atol=1e-4)


def test_each_class_of_kernels_has_its_own_rates():
    built = model()
    work = torch.tensor([[1e9, 1e6, 1e6]]).expand(len(KernelClass), 3)
    prior = built.log_prior(work, torch.arange(len(KernelClass)), torch.ones(len(KernelClass), 2))
    assert len(prior.unique(dim=0)) == len(KernelClass)
    shared = model(kernel_rates=False).log_prior(work, torch.arange(len(KernelClass)), torch.ones(len(KernelClass), 2))
    assert len(shared.unique(dim=0)) == 1


def test_work_on_weights_does_not_grow_with_the_batch():
    alone = graph(1, 0, KernelClass.ON_WEIGHTS)
    small, large = (model()(collate([alone]), torch.full((1, 2), size)).log_ms for size in (1.0, 64.0))
    torch.testing.assert_close(small, large)


@pytest.mark.parametrize("limit", [0.1, 3.0])
def test_the_correction_stays_within_its_limit(limit: float):
    built = model(correction_limit=limit)
    correction = built.correction(1e3 * torch.randn(50, 16), torch.ones(50, 2))
    assert correction.abs().max() <= limit


def test_the_network_correction_scales_every_operation_alike():
    plain, corrected = model(graph_correction_limit=0.0), model(graph_correction_limit=0.5)
    plain.load_state_dict(
        {name: tensor for name, tensor in corrected.state_dict().items() if not name.startswith("graph_head")}
    )
    batch = collate([graph(9, 3)])
    ratio = corrected(batch, ONES).op_ms / plain(batch, ONES).op_ms
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-4, atol=1e-6)
    assert (ratio - 1).abs().max() > 1e-3


def test_without_the_prior_the_work_plays_no_part_in_an_operation():
    built = model(use_prior=False, graph_correction_limit=0.0)
    before, after = graph(6, 1), graph(6, 1)
    after.work[:] *= 100
    torch.testing.assert_close(built(collate([before]), ONES).op_ms, built(collate([after]), ONES).op_ms)
