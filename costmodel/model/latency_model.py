"""From a graph to milliseconds on every platform: NN-Former corrects a physical prior, operation by operation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from costmodel.features.graph_batch import GraphBatch
from costmodel.features.kernel_class import KernelClass
from costmodel.model.nn_former import NNFormer, NNFormerConfig

__all__ = ["LatencyModel", "LatencyModelConfig", "LatencyOutput"]

_NUM_STATICS = 4
"""Totals of a network that its own correction sees: FLOPs, activation bytes, weight bytes, operations."""


class LatencyModelConfig(BaseModel):
    """Shape of a :class:`LatencyModel`.

    Attributes:
        trunk: The graph transformer.
        num_platforms: Platforms with a head of their own.
        head_width: Hidden units of the heads, shared by all platforms.
        correction_limit: The correction stays within a factor ``exp(±correction_limit)`` of the prior.
        use_prior: Whether the correction starts from the physical prior (else from one millisecond an operation).
        kernel_rates: Whether each class of kernels has rates of its own in the prior (else one set a platform).
        graph_correction_limit: A second correction, of the whole network, stays within a factor
            ``exp(±graph_correction_limit)``; 0 leaves it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: NNFormerConfig
    num_platforms: int
    head_width: int = 128
    correction_limit: float = 3.0
    use_prior: bool = True
    kernel_rates: bool = True
    graph_correction_limit: float = 0.5


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
        \mathrm{prior}_i &= \log\bigl(b\,(F_i c_{pk} + A_i a_{pk}) + W_i w_{pk} + o_{pk}\bigr) \\
        \delta_i &= L \tanh(g_p(h_i, b) / L) \\
        \mathrm{latency} &= \textstyle\sum_i \exp(\mathrm{prior}_i + \delta_i + \gamma_p)

    with *F*, *A*, *W* the FLOPs, activation bytes and weight bytes per image, four learned constants for each
    platform and class of kernels *k* of the operation (milliseconds per FLOP *c*, per activation byte *a*, per
    weight byte *w*, per operation *o*; :class:`~costmodel.features.kernel_class.KernelClass`),
    *h* NN-Former's node embedding, *g* a small head that is zero at the start, and :math:`\gamma` a bounded
    correction of the network as a whole, zero at the start too.  The trunk never sees platform or batch, so
    one pass over a graph serves every platform.  An operation on weights alone is done once a batch: *b* is 1
    for it.

    Where we differ from the paper (Xu et al., CVPR 2025): its readout predicts one number for the graph from
    summed embeddings and static features (:class:`costmodel.model.SumReadout`).
    """

    def __init__(self, config: LatencyModelConfig) -> None:
        super().__init__()
        self.config = config
        platforms, width, dim = config.num_platforms, config.head_width, config.trunk.dim
        self.trunk = NNFormer(config.trunk)
        # log ms per GFLOP, per MB of activations, per MB of weights, per operation: mid-range until fitted.
        self.log_rates = nn.Parameter(torch.tensor([-2.0, -3.0, -3.0, -5.0]).repeat(len(KernelClass), platforms, 1))
        self.project = nn.Linear(dim, width)
        self.head = _zero_linear(width, platforms)
        self.batch_head = _zero_linear(width, platforms, bias=False)
        if config.graph_correction_limit > 0:
            self.graph_head = nn.Sequential(
                nn.Linear(dim + _NUM_STATICS, width), nn.GELU(), _zero_linear(width, platforms)
            )

    def forward(self, batch: GraphBatch, batch_sizes: Float[Tensor, "graphs platforms"]) -> LatencyOutput:
        """Predict every graph on every platform, at the batch size given for each pair."""
        nodes = self.trunk(batch)
        node_batch = _node_batch(batch, batch_sizes)
        log_op_ms = self.correction(nodes, node_batch)
        if self.config.use_prior:
            log_op_ms = log_op_ms + self.log_prior(batch.work, batch.kernels, node_batch)
        if self.config.graph_correction_limit > 0:
            log_op_ms = log_op_ms + self.graph_correction(nodes, batch)[batch.graph_index]
        op_ms = log_op_ms.exp()
        return LatencyOutput(_sum_by_graph(op_ms, batch).log(), op_ms)

    def log_prior(
        self,
        work: Float[Tensor, "nodes 3"],
        kernels: Int[Tensor, " nodes"],
        node_batch: Float[Tensor, "nodes platforms"],
    ) -> Float[Tensor, "nodes platforms"]:
        """Log milliseconds of each operation from its work and the four rates of its class on each platform."""
        flops, activation_bytes, weight_bytes, start = self._prior_terms(work, kernels, node_batch)
        return (flops + activation_bytes + weight_bytes + start).log()

    def term_shares(
        self, batch: GraphBatch, batch_sizes: Float[Tensor, "graphs platforms"]
    ) -> Float[Tensor, "nodes platforms terms"]:
        """Which part of each operation's time goes into each :class:`~costmodel.features.cost_term.CostTerm`.

        That is the prior's opinion; the parts add up to 1.
        """
        terms = torch.stack(self._prior_terms(batch.work, batch.kernels, _node_batch(batch, batch_sizes)), dim=-1)
        return terms / terms.sum(-1, keepdim=True)

    def _prior_terms(
        self,
        work: Float[Tensor, "nodes 3"],
        kernels: Int[Tensor, " nodes"],
        node_batch: Float[Tensor, "nodes platforms"],
    ) -> tuple[Float[Tensor, "nodes platforms"], ...]:
        """Milliseconds of each :class:`~costmodel.features.cost_term.CostTerm`."""
        if not self.config.kernel_rates:
            kernels = torch.zeros_like(kernels)
        gflops, activation_mb, weight_mb = work[:, :1] * 1e-9, work[:, 1:2] * 1e-6, work[:, 2:] * 1e-6
        per_gflop, per_activation_mb, per_weight_mb, per_op = self.log_rates.exp()[kernels].unbind(-1)
        return (
            node_batch * (gflops * per_gflop),
            node_batch * (activation_mb * per_activation_mb),
            weight_mb * per_weight_mb,
            per_op,
        )

    def correction(
        self, nodes: Float[Tensor, "nodes dim"], node_batch: Float[Tensor, "nodes platforms"]
    ) -> Float[Tensor, "nodes platforms"]:
        """Bounded log correction of each operation on each platform."""
        hidden = nn.functional.gelu(self.project(nodes))
        raw = self.head(hidden) + node_batch.log2() / 8 * self.batch_head(hidden)
        return _bounded(raw, self.config.correction_limit)

    def graph_correction(
        self, nodes: Float[Tensor, "nodes dim"], batch: GraphBatch
    ) -> Float[Tensor, "graphs platforms"]:
        """Bounded log correction of each network, from the mean embedding and the totals of its work.

        An operation sees a few steps around it; whether the whole network fills a cache or a power budget,
        only the totals tell.
        """
        count = _sum_by_graph(nodes.new_ones(len(nodes), 1), batch).clamp(min=1)
        totals = torch.cat([_sum_by_graph(batch.work, batch), count], dim=-1)
        seen = torch.cat([_sum_by_graph(nodes, batch) / count, torch.log2(1 + totals) / 8], dim=-1)
        return _bounded(self.graph_head(seen), self.config.graph_correction_limit)


def _node_batch(batch: GraphBatch, batch_sizes: Float[Tensor, "graphs platforms"]) -> Float[Tensor, "nodes platforms"]:
    """Images that each operation works on in a run."""
    is_on_weights = (batch.kernels == KernelClass.ON_WEIGHTS).unsqueeze(-1)
    return batch_sizes[batch.graph_index].masked_fill(is_on_weights, 1.0)


def _zero_linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A layer that says nothing until it is trained."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _bounded(raw: Float[Tensor, "rows platforms"], limit: float) -> Float[Tensor, "rows platforms"]:
    return limit * torch.tanh(raw / limit)


def _sum_by_graph(rows: Float[Tensor, "nodes columns"], batch: GraphBatch) -> Float[Tensor, "graphs columns"]:
    return rows.new_zeros(batch.num_graphs, rows.shape[1]).index_add_(0, batch.graph_index, rows)
