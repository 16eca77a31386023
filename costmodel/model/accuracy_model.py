"""From a cell to how accurate its network will be: NN-Former read out by a class token."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from costmodel.features.cell_batch import CLASS_TOKEN
from costmodel.features.graph_batch import DenseGraphBatch
from costmodel.model.nn_former import NNFormer, NNFormerConfig

__all__ = ["AccuracyModel"]


class AccuracyModel(nn.Module):
    r"""The published accuracy readout: an MLP on the embedding of a token that sees the whole cell.

    .. math::
        y = \mathrm{MLP}(h_{\mathrm{class}})

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture Representation", CVPR 2025.

    Where we differ from the released code: the token is no node of the graph that siblings are found in, see
    :func:`~costmodel.features.cell_batch.collate_cells`.

    Args:
        config: Sizes of the graph transformer, the same that predicts latencies; its operation types are those of the
            cells and the class token.
    """

    def __init__(self, config: NNFormerConfig) -> None:
        super().__init__()
        self.trunk = NNFormer(config)
        self.head = nn.Sequential(nn.Linear(config.dim, config.dim), nn.GELU(), nn.Linear(config.dim, 1))

    def forward(self, cells: DenseGraphBatch) -> Float[Tensor, " batch"]:
        """One number a cell, in the unit of the labels it was trained on."""
        score: Tensor = self.head(self.trunk.forward_dense(cells)[:, CLASS_TOKEN])
        return score.squeeze(-1)
