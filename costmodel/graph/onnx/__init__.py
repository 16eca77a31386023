"""Reads ONNX files without their weights."""

from costmodel.graph.onnx.reader import from_onnx
from costmodel.graph.onnx.skim import skim

__all__ = ["from_onnx", "skim"]
