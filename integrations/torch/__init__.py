"""torch: profile a module on hardware that is not on the desk, without running it.

>>> from costmodel.integrations.torch import profile
>>> print(profile(module, (image,), platform=["rtx3090-pt2.1-amp-nchw", "i9*"]))  # doctest: +SKIP

Names are imported when first used, so that whoever needs one module does not wait for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.integrations.torch.change import Change
    from costmodel.integrations.torch.comparing import compare
    from costmodel.integrations.torch.comparison import Comparison
    from costmodel.integrations.torch.latency_pass import LatencyPass
    from costmodel.integrations.torch.network_profile import Profile
    from costmodel.integrations.torch.onnx_metadata import annotate_onnx
    from costmodel.integrations.torch.profiling import profile
    from costmodel.integrations.torch.rewrite_meter import RewriteMeter
    from costmodel.integrations.torch.rows import ModuleRow, OperationRow, OperatorRow
    from costmodel.integrations.torch.work import Bound, PlatformTime, Work

__all__ = [
    # Profiling
    "Profile",
    "profile",
    # Comparing
    "Change",
    "Comparison",
    "compare",
    # Rewriting
    "RewriteMeter",
    # Predictions written back
    "LatencyPass",
    "annotate_onnx",
    # What a profile has
    "Bound",
    "ModuleRow",
    "OperationRow",
    "OperatorRow",
    "PlatformTime",
    "Work",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Bound": "costmodel.integrations.torch.work",
        "Change": "costmodel.integrations.torch.change",
        "Comparison": "costmodel.integrations.torch.comparison",
        "LatencyPass": "costmodel.integrations.torch.latency_pass",
        "ModuleRow": "costmodel.integrations.torch.rows",
        "OperationRow": "costmodel.integrations.torch.rows",
        "OperatorRow": "costmodel.integrations.torch.rows",
        "PlatformTime": "costmodel.integrations.torch.work",
        "Profile": "costmodel.integrations.torch.network_profile",
        "RewriteMeter": "costmodel.integrations.torch.rewrite_meter",
        "Work": "costmodel.integrations.torch.work",
        "annotate_onnx": "costmodel.integrations.torch.onnx_metadata",
        "compare": "costmodel.integrations.torch.comparing",
        "profile": "costmodel.integrations.torch.profiling",
    },
)
