"""What each variant is expected to take, and from what that is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from costmodel.graph import OpGraph
from costmodel.integrations.onnxruntime.gains import Gains, shipped_gains
from costmodel.integrations.onnxruntime.shipped_predictor import shipped_predictor
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT, Variant, default_platform_here
from costmodel.prediction import Prediction
from costmodel.predictor import Predictor

__all__ = ["Estimate", "EstimatedBy", "Ranking", "estimate_variants", "rank_variants", "ranked"]


class EstimatedBy(StrEnum):
    """Where an expectation comes from."""

    MODEL = "model"
    """The predictor, which knows the variant as a platform."""
    PRIOR = "prior"
    """The mean gain on other networks, whatever this one is."""
    NOTHING = "nothing"
    """Neither knows the variant."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a variant is expected to take.

    Attributes:
        platform: The platform that it is; ``None`` where names leave out what it is.
        by: Where that comes from.
        gain: Latency over that of the default session; ``None`` if nothing is known.
        latency_ms: Time of one run; ``None`` where not even that of the default session is predicted.
        low_ms: Lower end of its 90 % interval.
        high_ms: Upper end.
    """

    platform: str | None
    by: EstimatedBy
    gain: float | None = None
    latency_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Variants in order.

    Attributes:
        default_platform: The platform of the default session that estimates are for.
        estimates: What is expected of each variant, fastest first.
    """

    default_platform: str
    estimates: dict[Variant, Estimate]


def estimate_variants(
    variants: Sequence[Variant], graph: OpGraph, predictor: Predictor, default_platform: str, gains: Gains
) -> list[Estimate]:
    """Expectations for all ``variants``: predicted where the predictor has the platform, else by mean gains.

    Args:
        variants: What to rank.
        graph: The network in fp32.
        predictor: Knows some of the variants as platforms, or none.
        default_platform: The platform of the default session.
        gains: For the variants that the predictor does not know.

    Raises:
        UnsupportedModelError: There is nothing in the network to predict.
    """
    platforms = [variant.platform(default_platform) for variant in variants]
    named = [default_platform, *(name for name in platforms if name is not None)]
    known = [name for name in dict.fromkeys(named) if name in predictor.platforms]
    predicted = dict(zip(known, predictor.predict_many([graph], known), strict=True))
    default = predicted.get(default_platform)
    return [
        _of_model(predicted[platform], default)
        if platform in predicted and default is not None
        else _of_gain(variant, platform, default, gains)
        for variant, platform in zip(variants, platforms, strict=True)
    ]


def rank_variants(
    graph: OpGraph,
    variants: Sequence[Variant],
    *,
    predictor: Predictor | None = None,
    platform: str | None = None,
    gains: Gains | None = None,
) -> Ranking:
    """Put ``variants`` in order by what they are expected to take.

    Args:
        graph: The network in fp32.
        variants: What to rank.
        predictor: What predicts; ``None`` for :func:`~.shipped_predictor.shipped_predictor`.
        platform: The platform of the default session, where the predictor knows it under another name than
            :func:`~.variant.default_platform_here`.
        gains: For the variants that the predictor does not know; ``None`` for those that come with the package.

    Raises:
        UnknownNameError: There is no platform of that name.
        UnsupportedModelError: There is nothing in the network to predict.
        MissingDependencyError: No flavour of onnxruntime is installed.
    """
    predictor = predictor or shipped_predictor(platform)
    default_platform = predictor.platforms.find(platform).name if platform else default_platform_here()
    estimates = estimate_variants(variants, graph, predictor, default_platform, gains or shipped_gains())
    return Ranking(default_platform, ranked(variants, estimates))


def ranked(variants: Iterable[Variant], estimates: Iterable[Estimate]) -> dict[Variant, Estimate]:
    """What is expected of each variant, fastest first; those of which nothing is known come last."""
    pairs = zip(variants, estimates, strict=True)
    return dict(sorted(pairs, key=lambda pair: inf if pair[1].gain is None else pair[1].gain))


def _of_model(prediction: Prediction, default: Prediction) -> Estimate:
    return Estimate(
        prediction.platform,
        EstimatedBy.MODEL,
        prediction.latency_ms / default.latency_ms,
        prediction.latency_ms,
        prediction.low_ms,
        prediction.high_ms,
    )


def _of_gain(variant: Variant, platform: str | None, default: Prediction | None, gains: Gains) -> Estimate:
    """By the gain at one thread: what threads and entries of the configuration add to it is not known."""
    gain = gains.by_precision.get(variant.precision)
    if variant.precision == DEFAULT_VARIANT.precision:
        ratio, low, high = 1.0, 1.0, 1.0
    elif gain is None:
        return Estimate(platform, EstimatedBy.NOTHING)
    else:
        ratio, low, high = gain.ratio, gain.low, gain.high
    if default is None:
        return Estimate(platform, EstimatedBy.PRIOR, ratio)
    return Estimate(
        platform,
        EstimatedBy.PRIOR,
        ratio,
        ratio * default.latency_ms,
        low * default.low_ms,
        high * default.high_ms,
    )
