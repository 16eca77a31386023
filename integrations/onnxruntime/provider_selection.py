"""Lets a session choose its execution provider by what each is expected to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costmodel.graph import load_graph
from costmodel.integrations.onnxruntime.gains import Gains
from costmodel.integrations.onnxruntime.ranking import rank_variants
from costmodel.integrations.onnxruntime.shipped_predictor import shipped_predictor
from costmodel.integrations.onnxruntime.variant import CPU_PROVIDER, Variant
from costmodel.predictor import Predictor

if TYPE_CHECKING:
    from onnxruntime.capi.onnxruntime_pybind11_state import OrtEpDevice

__all__ = ["ProviderSelector", "provider_selector"]

ProviderSelector = Callable[
    [Sequence["OrtEpDevice"], Mapping[str, str], Mapping[str, str], int], Sequence["OrtEpDevice"]
]
"""What ``SessionOptions.set_provider_selection_policy_delegate`` takes."""


def provider_selector(
    model: str | Path,
    *,
    predictor: Predictor | None = None,
    platform: str | None = None,
    gains: Gains | None = None,
    **reading: Any,
) -> ProviderSelector:
    """A delegate that chooses for ``model`` the provider that is expected to be fastest, with the CPU to fall back on.

    A provider that neither the predictor nor the gains know is left out as long as they know another one.

    Args:
        model: An ONNX file; its weights are not needed.
        predictor: What predicts; ``None`` for :func:`~.shipped_predictor.shipped_predictor`.
        platform: The platform of the default session, where the predictor knows it under another name than
            :func:`~.variant.default_platform_here`.
        gains: For the variants that the predictor does not know; ``None`` for those that come with the package.
        reading: ``shapes`` and ``batch``, as in :func:`costmodel.graph.load_graph`.

    Raises:
        UnsupportedModelError: The model cannot be read.
        UnknownNameError: There is no platform of that name.
    """
    graph = load_graph(model, **reading)
    predictor = predictor or shipped_predictor(platform)
    if platform is not None:
        predictor.platforms.find(platform)  # onnxruntime would tell of the error in words of its own

    def select(
        devices: Sequence[OrtEpDevice],
        model_metadata: Mapping[str, str],  # noqa: ARG001  # as onnxruntime calls it
        runtime_metadata: Mapping[str, str],  # noqa: ARG001
        most: int,
    ) -> Sequence[OrtEpDevice]:
        by_variant: dict[Variant, OrtEpDevice] = {}
        for device in sorted(devices, key=lambda device: device.ep_name != CPU_PROVIDER):
            by_variant.setdefault(Variant(provider=device.ep_name), device)
        order = rank_variants(graph, list(by_variant), predictor=predictor, platform=platform, gains=gains).estimates
        fastest = by_variant[next(iter(order))]
        to_fall_back_on = [device for device in by_variant.values() if device.ep_name == CPU_PROVIDER]
        return [fastest, *(device for device in to_fall_back_on if device is not fastest)][:most]

    return select
