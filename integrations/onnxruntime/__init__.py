"""onnxruntime: which format of a model, in a session of which settings, is fast on this machine.

Names are imported when first used, so that whoever needs one module does not wait for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.integrations.onnxruntime.model_format import ModelFormat
    from costmodel.integrations.onnxruntime.tuning import tune
    from costmodel.integrations.onnxruntime.tuning_result import CandidateRow, TuneResult, make_session
    from costmodel.integrations.onnxruntime.variant import Variant

__all__ = [
    # What there is to choose from
    "ModelFormat",
    "Variant",
    # Choosing
    "CandidateRow",
    "TuneResult",
    "make_session",
    "tune",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CandidateRow": "costmodel.integrations.onnxruntime.tuning_result",
        "ModelFormat": "costmodel.integrations.onnxruntime.model_format",
        "TuneResult": "costmodel.integrations.onnxruntime.tuning_result",
        "Variant": "costmodel.integrations.onnxruntime.variant",
        "make_session": "costmodel.integrations.onnxruntime.tuning_result",
        "tune": "costmodel.integrations.onnxruntime.tuning",
    },
)
