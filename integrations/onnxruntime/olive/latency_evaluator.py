"""The evaluator ``costmodel_latency``: Olive's latency metric, predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olive.evaluator.metric import LatencySubType, MetricType
from olive.evaluator.metric_result import flatten_metric_result
from olive.evaluator.olive_evaluator import OliveEvaluator
from olive.evaluator.registry import Registry

from costmodel.errors import UsageError
from costmodel.graph import load_graph
from costmodel.integrations.onnxruntime.gains import Gains
from costmodel.integrations.onnxruntime.olive.variant_of_model import variant_of
from costmodel.integrations.onnxruntime.ranking import Estimate, rank_variants
from costmodel.integrations.onnxruntime.shipped_predictor import shipped_predictor
from costmodel.integrations.onnxruntime.variant import Variant
from costmodel.predictor import Predictor

if TYPE_CHECKING:
    from olive.evaluator.metric import Metric
    from olive.evaluator.metric_result import MetricResult
    from olive.model import ONNXModelHandler

__all__ = ["EVALUATOR_NAME", "CostModelLatency"]

EVALUATOR_NAME = "costmodel_latency"


@Registry.register(EVALUATOR_NAME)
class CostModelLatency(OliveEvaluator):  # type: ignore[misc]  # Olive has no types
    """Predicts metrics of type ``latency``: ``avg`` in milliseconds, ``min`` and ``max`` for its 90 % interval.

    The platform of a model is that of its variant: its format, and the session of its ``inference_settings``.

    Args:
        reference: ONNX file of the network in fp32, which predictions for quantised models are made from; models in
            fp32 are predicted from themselves.
        platform: The platform of the default session; ``None`` for this machine's own.
        weights: Weights to predict with; ``None`` for those that come with the package.
        gains: File with mean gains for variants that the weights do not know; ``None`` for those of the package.
        batch: Images per run; ``None`` for the model's own.
        settings: What Olive gives to every evaluator.
    """

    def __init__(
        self,
        reference: str | None = None,
        platform: str | None = None,
        weights: str | None = None,
        gains: str | None = None,
        batch: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._reference = reference
        self._platform = platform
        self._predictor = Predictor.from_pretrained(weights) if weights else shipped_predictor(platform)
        self._gains = Gains.load(Path(gains)) if gains else None
        self._batch = batch

    def evaluate(
        self,
        model: ONNXModelHandler,
        metrics: Sequence[Metric],
        device: object = None,  # noqa: ARG002  # as Olive calls it
        execution_providers: object = None,  # noqa: ARG002
    ) -> MetricResult:
        """The predicted metrics of a model.

        Raises:
            UsageError: A metric is no latency, or none of those above; a quantised model without ``reference``; or
                nothing is known of the platform.
            UnsupportedModelError: The model cannot be read.
        """
        estimate = self._estimate(model)
        return flatten_metric_result({metric.name: _values(metric, estimate) for metric in metrics})

    def _estimate(self, model: ONNXModelHandler) -> Estimate:
        proto = model.load_model()
        variant = variant_of(proto, model.inference_settings or {})
        graph = load_graph(self._reference_for(variant) if variant.format.is_quantized else proto, batch=self._batch)
        ranking = rank_variants(graph, [variant], predictor=self._predictor, platform=self._platform, gains=self._gains)
        estimate = ranking.estimates[variant]
        if estimate.latency_ms is None:
            raise UsageError(
                f"neither the weights know {variant.platform(ranking.default_platform)} nor the mean gains with "
                f"{ranking.default_platform}; name a platform that is known as 'platform' in the type_args of the "
                f"evaluator {EVALUATOR_NAME}. List them with: costmodel platforms"
            )
        return estimate

    def _reference_for(self, variant: Variant) -> str:
        if self._reference is None:
            raise UsageError(
                f"a model in {variant.format} is predicted from the network in fp32; name its file as 'reference' in "
                f"the type_args of the evaluator {EVALUATOR_NAME}."
            )
        return self._reference


def _values(metric: Metric, estimate: Estimate) -> Mapping[str, Mapping[str, object]]:
    known = {
        LatencySubType.AVG: estimate.latency_ms,
        LatencySubType.MIN: estimate.low_ms,
        LatencySubType.MAX: estimate.high_ms,
    }
    if metric.type != MetricType.LATENCY:
        raise UsageError(f"{EVALUATOR_NAME} predicts metrics of type latency, not {metric.name!r} of {metric.type}.")
    for sub_type in metric.sub_types:
        if sub_type.name not in known:
            raise UsageError(f"{EVALUATOR_NAME} predicts {', '.join(known)}, not {sub_type.name!r}.")
    return {
        sub_type.name: {
            "value": known[sub_type.name],
            "priority": sub_type.priority,
            "higher_is_better": sub_type.higher_is_better,
        }
        for sub_type in metric.sub_types
    }
