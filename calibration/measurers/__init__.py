"""Ways of timing models."""

from costmodel.calibration.measurers.base import Measurer, RunTimes, VisitTiming
from costmodel.calibration.measurers.catalog import MEASURERS, measurer_for
from costmodel.calibration.measurers.onnxruntime import OnnxRuntimeMeasurer
from costmodel.calibration.measurers.torch import TorchMeasurer
from costmodel.calibration.measurers.tvm_rpc import TvmRpcMeasurer

__all__ = [
    "MEASURERS",
    "Measurer",
    "OnnxRuntimeMeasurer",
    "RunTimes",
    "TorchMeasurer",
    "TvmRpcMeasurer",
    "VisitTiming",
    "measurer_for",
]
