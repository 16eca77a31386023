"""TVM MetaSchedule with NN-Former as its cost model.

Names are imported when first used, so that whoever needs one module does not wait for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.calibration.measurers.tvm_versions import require_tvm
from costmodel.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel.integrations.tvm.cost_model import NNFormerCostModel
    from costmodel.integrations.tvm.tuning_callback import TuningCallback

__all__ = ["NNFormerCostModel", "TuningCallback"]

require_tvm("Tuning with TVM")

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "NNFormerCostModel": "costmodel.integrations.tvm.cost_model",
        "TuningCallback": "costmodel.integrations.tvm.tuning_callback",
    },
)
