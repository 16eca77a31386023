"""From a candidate's graph to its run time: NN-Former corrects a physical prior, statement by statement."""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, PositiveFloat
from torch import Tensor, nn

from costmodel.features.graph_batch import GraphBatch
from costmodel.integrations.tvm.candidate import NUM_FEATURES, NodeType
from costmodel.model import NNFormer, NNFormerConfig

__all__ = ["CandidateModel", "CandidateModelConfig"]


class CandidateModelConfig(BaseModel):
    """Shape of a :class:`CandidateModel`.

    Attributes:
        trunk: The graph transformer.
        correction_limit: A statement's time stays within a factor ``exp(±correction_limit)`` of the prior.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: NNFormerConfig
    correction_limit: PositiveFloat = 3.0

    @classmethod
    def of_size(cls, dim: int, depth: int, **trunk: object) -> CandidateModelConfig:
        """A model of that width and depth; ``trunk`` has other fields of :class:`costmodel.model.NNFormerConfig`."""
        sizes = {"num_op_types": max(NodeType) + 1, "num_features": NUM_FEATURES, "dim": dim, "depth": depth}
        return cls(trunk=NNFormerConfig.model_validate({**sizes, **_SHALLOW, **trunk}))


_SHALLOW = {"ffn_ratio": 2, "dropout": 0.2, "layer_scale": None}
"""Two blocks train without the paper's scales; more dropout than for networks helps on unseen operators."""


class CandidateModel(nn.Module):
    r"""Sum over statements of what they would take by simple physics, times a bounded learned correction.

    .. math::
        \mathrm{time} = \sum_{s} \Bigl(\sum_t W_{st} r_t\Bigr) \exp\bigl(L \tanh(g(h_s) / L)\bigr)

    with *W* the :data:`~costmodel.integrations.tvm.candidate.WORK_TERMS` of statement *s*, *r* a learned rate for each
    of them, *h* NN-Former's embedding of the statement and *g* a small head that is zero at the start.  Loops and
    accesses take no time of their own; statements hear of them through the graph.

    Times are relative: only within a task, and on one target, do they mean anything exactly.
    """

    def __init__(self, config: CandidateModelConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = NNFormer(config.trunk)
        self.log_rates = nn.Parameter(torch.tensor(_FIRST_MS).log())
        dim = config.trunk.dim
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        for parameter in self.head[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, batch: GraphBatch) -> Float[Tensor, "graphs"]:
        """Natural logarithm of each candidate's time."""
        return self.described(batch)[0]

    def described(self, batch: GraphBatch) -> tuple[Float[Tensor, "graphs"], Float[Tensor, "graphs embedding"]]:
        """Natural logarithm of each candidate's time, and an embedding of the candidate.

        The embedding is the mean of its statements' embeddings and of what the head makes of them, each statement
        counting by its share of the time.
        """
        is_statement = batch.op_types == NodeType.STATEMENT
        graph = batch.graph_index[is_statement]
        statements = self.trunk(batch)[is_statement]
        hidden = self.head[:2](statements)
        prior = (batch.work[is_statement] @ self.log_rates.exp() + _LEAST).log()
        limit = self.config.correction_limit
        correction = limit * torch.tanh(self.head[2](hidden).squeeze(-1) / limit)
        times = (prior + correction).exp()
        total = times.new_zeros(batch.num_graphs).index_add(0, graph, times)
        share = times / (total[graph] + _LEAST)
        both = share[:, None] * torch.cat([statements, hidden], dim=1)
        return (total + _LEAST).log(), both.new_zeros(batch.num_graphs, both.shape[1]).index_add(0, graph, both)


_FIRST_MS = (0.3, 3.0, 0.3, 3.0, 10.0, 30.0, 0.5, 1.0, 0.3, 1.0, 0.6)
"""What a million of each of the work terms takes on a core of today, roughly: where learning starts."""

_LEAST = 1e-9
"""Keeps the logarithm of a candidate without statements finite."""
