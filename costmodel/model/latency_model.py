"""From a graph to milliseconds on every platform: NN-Former corrects a physical prior, operation by operation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from costmodel.features.graph_batch import GraphBatch
from costmodel.model.nn_former import NNFormer, NNFormerConfig

__all__ = ["LatencyModel", "LatencyModelConfig", "LatencyOutput"]


class LatencyModelConfig(BaseModel):
    """Shape of a :class:`LatencyModel`.

    Attributes:
        trunk: The graph transformer.
        num_platforms: Platforms with a head of their own.
        head_width: Hidden units of the platform head.
        correction_limit: The correction stays within a factor ``exp(±correction_limit)`` of the prior.
        use_prior: Whether the correction starts from the physical prior (else from one millisecond an operation).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: NNFormerConfig
    num_platforms: int
    head_width: int = 32
    correction_limit: float = 3.0
    use_prior: bool = True


class LatencyOutput(NamedTuple):
    """Latencies of a batch of graphs on every platform.

    Attributes:
        log_ms: Natural logarithm of each graph's latency in milliseconds.
        op_ms: Milliseconds of each operation; they add up to the graph's latency.
    """

    log_ms: Float[Tensor, "graphs platforms"]
    op_ms: Float[Tensor, "nodes platforms"]


class LatencyModel(nn.Module):
    r"""Sum of per-operation contributions, each a physical prior times a bounded learned correction.

    For operation *i* of a network run at batch *b* on platform *p*:

    .. math::
        \mathrm{prior}_i &= \log\bigl(b\,F_i / C_p + (b\,A_i + W_i) / B_p + O_p\bigr) \\
        \delta_i &= L \tanh(g_p(h_i, b) / L) \\
        \mathrm{latency} &= \textstyle\sum_i \exp(\mathrm{prior}_i + \delta_i)

    with *F*, *A*, *W* the FLOPs, activation bytes and weight bytes per image, three learned constants a
    platform (compute rate *C*, bandwidth *B*, overhead *O*), *h* NN-Former's node embedding and *g* a small
    head that is zero at the start.  The trunk never sees platform or batch, so one pass over a graph serves
    every platform.

    Where we differ from the paper (Xu et al., CVPR 2025): its readout predicts one number for the graph from
    summed embeddings and static features (:class:`costmodel.model.SumReadout`).
    """

    def __init__(self, config: LatencyModelConfig) -> None:
        super().__init__()
        self.config = config
        platforms, width, dim = config.num_platforms, config.head_width, config.trunk.dim
        self.trunk = NNFormer(config.trunk)
        # log ms per GFLOP, log ms per MB, log ms per operation: a mid-range device until fitted.
        self.log_rates = nn.Parameter(torch.tensor([-2.0, -3.0, -5.0]).repeat(platforms, 1))
        self.project = nn.Linear(dim, width)
        self.scale = nn.Parameter(torch.zeros(platforms, width))
        self.shift = nn.Parameter(torch.zeros(platforms, width))
        self.batch_slope = nn.Parameter(torch.zeros(width))
        self.weight = nn.Parameter(torch.zeros(platforms, width))
        self.bias = nn.Parameter(torch.zeros(platforms))

    def forward(self, batch: GraphBatch, batch_sizes: Float[Tensor, "graphs platforms"]) -> LatencyOutput:
        """Predict every graph on every platform, at the batch size given for each pair."""
        node_batch = batch_sizes[batch.graph_index]
        log_op_ms = self.correction(self.trunk(batch), node_batch)
        if self.config.use_prior:
            log_op_ms = log_op_ms + self.log_prior(batch.work, node_batch)
        op_ms = log_op_ms.exp()
        graph_ms = op_ms.new_zeros(batch.num_graphs, op_ms.shape[1]).index_add_(0, batch.graph_index, op_ms)
        return LatencyOutput(graph_ms.log(), op_ms)

    def log_prior(
        self, work: Float[Tensor, "nodes 3"], node_batch: Float[Tensor, "nodes platforms"]
    ) -> Float[Tensor, "nodes platforms"]:
        """Log milliseconds of each operation from its work and the platform's three rates."""
        gflops, activation_mb, weight_mb = work[:, :1] * 1e-9, work[:, 1:2] * 1e-6, work[:, 2:] * 1e-6
        per_gflop, per_mb, per_op = self.log_rates.exp().unbind(-1)
        moved_mb = node_batch * activation_mb + weight_mb
        return (node_batch * gflops * per_gflop + moved_mb * per_mb + per_op).log()

    def correction(
        self, nodes: Float[Tensor, "nodes dim"], node_batch: Float[Tensor, "nodes platforms"]
    ) -> Float[Tensor, "nodes platforms"]:
        """Bounded log correction of each operation on each platform."""
        hidden = self.project(nodes).unsqueeze(1) * (1 + self.scale) + self.shift
        hidden = hidden + node_batch.log2().unsqueeze(-1) / 8 * self.batch_slope
        raw = (nn.functional.gelu(hidden) * self.weight).sum(-1) + self.bias
        limit = self.config.correction_limit
        return limit * torch.tanh(raw / limit)
