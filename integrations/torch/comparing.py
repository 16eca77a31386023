"""Compare two models: what changed, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from costmodel.integrations.torch.comparison import Comparison
from costmodel.integrations.torch.default_predictor import default_predictor
from costmodel.integrations.torch.network_profile import Profile
from costmodel.integrations.torch.profiling import profile
from costmodel.predictor import Model, Predictor

__all__ = ["compare"]


def compare(
    before: Model | Profile,
    after: Model | Profile,
    example_inputs: torch.Tensor | Sequence[Any] = (),
    platform: str | Sequence[str] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch: int | None = None,
    predictor: Predictor | None = None,
) -> Comparison:
    """Profile two models, part by part and side by side.

    Args:
        before: What :func:`~costmodel.integrations.torch.profile` takes, or a profile that it made.
        after: The same; a profile also where the two models take different inputs.
        example_inputs: Of both models.
        platform: Name, alias or glob, or a list of those; ``None`` means every platform.
        kwargs: Of both models.
        batch: Of both models.
        predictor: What predicts; by default the weights that come with the package.

    Raises:
        UsageError: The two have no platform in common.
        CostModelError: A model cannot be profiled.
    """
    if predictor is None and not (isinstance(before, Profile) and isinstance(after, Profile)):
        predictor = default_predictor()

    def profiled(model: Model | Profile) -> Profile:
        if isinstance(model, Profile):
            return model
        inputs = example_inputs if isinstance(model, torch.nn.Module) else ()
        keywords = kwargs if isinstance(model, torch.nn.Module) else None
        return profile(model, inputs, platform, kwargs=keywords, batch=batch, predictor=predictor)

    return Comparison(profiled(before), profiled(after))
