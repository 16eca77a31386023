"""The weights of the package that know the variants of a machine's sessions, or else its default session."""

from __future__ import annotations

from costmodel.integrations.onnxruntime.variant import default_platform_here
from costmodel.predictor import Predictor
from costmodel.pretrained import pretrained_platforms

__all__ = ["VARIANT_WEIGHTS", "shipped_predictor"]

VARIANT_WEIGHTS = "nnformer-ort"
"""Weights that were trained on networks in several formats and at several levels of optimisation."""


def shipped_predictor(platform: str | None = None) -> Predictor:
    """The predictor that knows most of the variants of a platform's default session.

    Args:
        platform: Name of the platform of the default session; ``None`` for that of this machine.

    Raises:
        MissingDependencyError: No platform is given, and no flavour of onnxruntime is installed.
    """
    wanted = platform or default_platform_here()
    knows_variants = wanted in {known.name for known in pretrained_platforms(VARIANT_WEIGHTS)}
    return Predictor.from_pretrained(VARIANT_WEIGHTS) if knows_variants else Predictor.from_pretrained()
