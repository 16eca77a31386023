"""What training minimises where accuracies are predicted."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

__all__ = ["accuracy_loss"]


def accuracy_loss(
    first: Float[Tensor, " cells"],
    second: Float[Tensor, " cells"],
    measured: Float[Tensor, " cells"],
    ranking: float,
    dropout_consistency: float,
) -> Float[Tensor, ""]:
    r"""Squared error, order within pairs, and agreement of two passes under dropout.

    .. math::
        \overline{(y - t)^2} + r\,\overline{|(y_i - y_j) - (t_i - t_j)|} + c\,\overline{|y - y'|}

    over pairs *i*, *j* of neighbours in the batch, whose order is random.

    Source: Xu et al., "NN-Former: Rethinking Graph Structure in Neural Architecture Representation", CVPR 2025, which
    calls the last term consistency of augmentations.

    Args:
        first: Predictions *y*.
        second: Predictions *y'* of the same cells, other units dropped.
        measured: Labels *t*, standardised.
        ranking: Weight *r*.
        dropout_consistency: Weight *c*.
    """
    squared = (first - measured).square().mean()
    apart = (first - first.roll(1)) - (measured - measured.roll(1))
    return squared + ranking * apart.abs().mean() + dropout_consistency * (first - second).abs().mean()
