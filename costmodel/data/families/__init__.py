"""Random variants of ten well-known network families, made directly as ONNX.

Latency predictors are trained and tested on them: whole families can be left
out, and every network can be published because it is our own.
"""

from costmodel.data.families.activation import Activation
from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.data.families.catalog import FAMILIES, generate
from costmodel.data.families.family import Family
from costmodel.data.families.nasbench201 import nasbench201_network

__all__ = [
    "FAMILIES",
    "Activation",
    "Family",
    "NetworkBuilder",
    "Tensor",
    "generate",
    "nasbench201_network",
]
