"""TVM MetaSchedule with NN-Former as its cost model."""

from costmodel.calibration.measurers.tvm_versions import require_tvm

require_tvm("Tuning with TVM")
