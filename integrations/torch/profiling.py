"""Profile a model: what each part of it does, and how long that would take on platforms that are not at hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from costmodel.features import build_features
from costmodel.features.cost_term import CostTerm
from costmodel.graph import OpGraph
from costmodel.integrations.torch.default_predictor import default_predictor
from costmodel.integrations.torch.network_profile import Profile
from costmodel.integrations.torch.reading import read_model
from costmodel.integrations.torch.rows import OperationRow
from costmodel.integrations.torch.weight_owners import owned_params
from costmodel.integrations.torch.work import PlatformTime, Work, exact_step_ms, in_steps
from costmodel.prediction import OpPrediction, Prediction
from costmodel.predictor import Model, Predictor

__all__ = ["profile", "profile_graph"]

_CALL_NUMBER = re.compile(r"@\d+")
"""What ``torch.export`` puts behind the path of a module that is called once more."""


def profile(
    model: Model,
    example_inputs: torch.Tensor | Sequence[Any] = (),
    platform: str | Sequence[str] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch: int | None = None,
    predictor: Predictor | None = None,
) -> Profile:
    """Predict what each module, operator and operation of a model takes on platforms, without running it.

    A module is traced on fake tensors, by ``torch.export`` where it looks at its data.  One that this cannot trace is
    run once, here, to see what it calls; a warning is logged.

    Args:
        model: A torch module, an exported program, an ``fx.GraphModule``, or an ONNX file.
        example_inputs: Positional arguments of a module; a lone tensor is one argument.
        platform: Name, alias or glob, or a list of those; ``None`` means every platform.
        kwargs: Keyword arguments of a module.
        batch: Images a run; ``None`` leaves it to the model and its inputs.
        predictor: What predicts; by default the weights that come with the package.

    Raises:
        UnknownNameError: No platform goes by that name.
        UsageError: The arguments do not go with this kind of model.
        UnsupportedModelError: The model can neither be traced nor run, or holds nothing that takes time.
    """
    predictor = default_predictor() if predictor is None else predictor
    patterns = [platform] if isinstance(platform, str) else platform or list(predictor.platforms)
    names = dict.fromkeys(found.name for pattern in patterns for found in predictor.platforms.resolve(pattern))
    return profile_graph(read_model(model, example_inputs, kwargs, batch), list(names), predictor)


def profile_graph(graph: OpGraph, platforms: Sequence[str], predictor: Predictor) -> Profile:
    """As :func:`profile`, of a graph that is simplified, on platforms by their canonical names."""
    predictions = predictor.predict(graph, list(platforms))
    shares = predictor.bundle.term_shares(build_features(graph), platforms, graph.batch)
    times = [_times(prediction, of_terms) for prediction, of_terms in zip(predictions, shares, strict=True)]
    params = owned_params(graph)
    operations = [
        _operation(op, params[op.name], dict(zip(platforms, of_op, strict=True)))
        for op, *of_op in zip(predictions[0].per_op, *times, strict=True)
    ]
    return Profile(predictions, operations)


def _operation(op: OpPrediction, params: int, times: Mapping[str, PlatformTime]) -> OperationRow:
    work = Work(
        operations=1,
        flops=round(op.flops),
        params=params,
        bytes_moved=op.bytes_read + op.bytes_written,
        times=times,
    )
    return OperationRow(op.name, op.op_type, _CALL_NUMBER.sub("", op.scope), op.sources, work)


def _times(prediction: Prediction, shares: Float[np.ndarray, "nodes terms"]) -> list[PlatformTime]:
    """Time of each operation on one platform, in steps that add up exactly."""
    step_ms = exact_step_ms(prediction.latency_ms)
    return [
        _split(op.latency_ms, of_terms, step_ms)
        for op, of_terms in zip(prediction.per_op, shares.tolist(), strict=True)
    ]


def _split(latency_ms: float, shares: Sequence[float], step_ms: float) -> PlatformTime:
    compute_ms = in_steps(latency_ms * shares[CostTerm.FLOPS], step_ms)
    overhead_ms = in_steps(latency_ms * shares[CostTerm.OPERATIONS], step_ms)
    whole_ms = in_steps(latency_ms, step_ms)
    return PlatformTime(compute_ms, max(whole_ms - compute_ms - overhead_ms, 0.0), overhead_ms)
