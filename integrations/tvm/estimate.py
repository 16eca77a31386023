"""Latency of a Relax module on a platform, before anything of it is tuned."""

from __future__ import annotations

from typing import Any

from costmodel.graph import OpGraph
from costmodel.graph.passes import simplify
from costmodel.integrations.tvm.relax_reader import RELAX_PASSES, read_relax
from costmodel.prediction import Prediction
from costmodel.predictor import Predictor

__all__ = ["estimate", "load_relax"]


def estimate(
    module: Any, platform: str, *, predictor: Predictor | None = None, function: str | None = None
) -> Prediction:
    """Predict the latency of a network that was imported into Relax.

    The prediction is that of the same network in ONNX: what the platform's own runtime takes, on a platform that was
    measured with TVM what TVM takes, and never that of a particular schedule.

    Args:
        module: An ``IRModule`` as ``from_onnx``, ``from_exported_program`` or ``relax.frontend.nn`` make it, before its
            operators are legalised.
        platform: A name, an alias or a glob that stands for one platform.
        predictor: With which weights; by default those that come with the package.
        function: Which function of the module is the network; ``main`` or the only one, if not given.

    Returns:
        The prediction; ``sources`` of its operations are variables of the function, by their unique names (see
        :func:`costmodel.integrations.tvm.relax_reader.unique_names`).

    Raises:
        UnknownNameError: No platform goes by that name.
        UsageError: The module has no such function, or the name stands for several platforms.
        UnsupportedModelError: The module cannot be read as a graph of operations.
    """
    predictor = predictor or Predictor.from_pretrained()
    return predictor.predict(load_relax(module, function=function), platform)


def load_relax(module: Any, *, function: str | None = None, name: str = "") -> OpGraph:
    """Read a Relax module and simplify it, as :func:`costmodel.graph.load_graph` does with other networks.

    Args:
        module: See :func:`estimate`.
        function: Likewise.
        name: Name of the resulting graph; by default the function's.

    Raises:
        UsageError: The module has no such function.
        UnsupportedModelError: The module cannot be read as a graph of operations.
    """
    return simplify(read_relax(module, function=function, name=name), RELAX_PASSES)
