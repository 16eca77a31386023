"""NN-Former, one equation per module, and the latency model that stands on it."""

from costmodel.model.accuracy_model import AccuracyModel
from costmodel.model.asma import ASMA
from costmodel.model.bgiffn import BGIFFN
from costmodel.model.block import NNFormerBlock
from costmodel.model.latency_model import LatencyModel, LatencyModelConfig, LatencyOutput
from costmodel.model.nn_former import NNFormer, NNFormerConfig
from costmodel.model.readout import SumReadout

__all__ = [
    "ASMA",
    "AccuracyModel",
    "BGIFFN",
    "LatencyModel",
    "LatencyModelConfig",
    "LatencyOutput",
    "NNFormer",
    "NNFormerBlock",
    "NNFormerConfig",
    "SumReadout",
]
