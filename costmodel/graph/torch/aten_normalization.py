"""Normalisations, each as the fused ONNX operator."""

from __future__ import annotations

import numpy as np

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("layer_norm", "native_layer_norm")
def layer_norm(call: Call) -> Names:
    """``LayerNormalization`` over the last dimensions."""
    attributes = {"axis": -len(call.integers("normalized_shape")), "epsilon": call.number("eps")}
    return call.sole_result("LayerNormalization", call.tensors("input", "weight", "bias"), attributes)


@lowers("rms_norm", "_fused_rms_norm")
def rms_norm(call: Call) -> Names:
    """``RMSNormalization`` over the last dimensions; without an epsilon, with that of float32."""
    attributes = {"axis": -len(call.integers("normalized_shape")), "epsilon": call.number("eps", _FLOAT32_EPSILON)}
    return call.sole_result("RMSNormalization", call.tensors("input", "weight"), attributes)


_FLOAT32_EPSILON = 2.0**-23


@lowers("group_norm", "native_group_norm")
def group_norm(call: Call) -> Names:
    """``GroupNormalization``."""
    groups = call.integer("num_groups") if call.name == "group_norm" else call.integer("group")
    attributes = {"num_groups": groups, "epsilon": call.number("eps")}
    return call.sole_result("GroupNormalization", [call.first, *call.tensors("weight", "bias")], attributes)


@lowers("instance_norm")
def instance_norm(call: Call) -> Names:
    """``InstanceNormalization``."""
    return call.result("InstanceNormalization", [call.first, *_affine(call)], {"epsilon": call.number("eps")})


@lowers("batch_norm", "cudnn_batch_norm", "_batch_norm_impl_index", "native_batch_norm")
@lowers("_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_batch_norm_no_update")
def batch_norm(call: Call) -> Names:
    """``BatchNormalization`` with stored statistics, or in ``training_mode`` with those of the batch.

    Where none are stored, as in a weight that is standardised on the fly, ``InstanceNormalization``
    names the work: mean, variance and scaling per channel.
    """
    attributes: dict[str, AttributeValue] = {
        "epsilon": call.number("eps") if call.has("eps") else call.number("epsilon")
    }
    operands = [call.first, *_affine(call)]
    if not call.has("running_mean"):
        return call.sole_result("InstanceNormalization", operands, attributes)
    if call.flag("training"):
        attributes["training_mode"] = 1
    return call.sole_result("BatchNormalization", [*operands, *call.tensors("running_mean", "running_var")], attributes)


def _affine(call: Call) -> list[str]:
    """Scale and shift, which ONNX requires: ones and zeros where torch leaves them out."""
    channels, dtype = call.input_shape[1], call.dtype(call.first)
    neutral = {"weight": np.ones, "bias": np.zeros}
    return [call.tensor(name) or call.constant(fill(channels), dtype) for name, fill in neutral.items()]


@lowers("linalg_vector_norm", "norm")
def vector_norm(call: Call) -> Names:
    """``ReduceL2`` or ``ReduceL1``; any other order is a power, a sum and a root."""
    order = call.number("ord" if call.name == "linalg_vector_norm" else "p", 2.0)
    attributes: dict[str, AttributeValue] = {"axes": call.axes("dim"), "keepdims": int(call.flag("keepdim"))}
    if order in (1.0, 2.0):
        return call.result(f"ReduceL{int(order)}", [call.first], attributes)
    magnitude = call.step("Abs", [call.first], call.input_shape)
    if order in (float("inf"), float("-inf")):
        return call.result("ReduceMax" if order > 0 else "ReduceMin", [magnitude], attributes)
    powers = call.step("Pow", [magnitude, call.constant(order, call.result_dtype)], call.input_shape)
    total = call.step("ReduceSum", [powers], call.result_shape, attributes)
    return call.result("Pow", [total, call.constant(1 / order if order else 0.0, call.result_dtype)])


@lowers("cosine_similarity")
def cosine_similarity(call: Call) -> Names:
    """Scalar product over the product of both lengths."""
    left, right = call.tensors("x1", "x2")
    attributes: dict[str, AttributeValue] = {"axes": (call.axis("dim"),), "keepdims": 0}
    shape = call.result_shape
    lengths = [call.step("ReduceL2", [side], shape, attributes) for side in (left, right)]
    product = call.step("Mul", [left, right], call.input_shape)
    return call.result("Div", [call.step("ReduceSum", [product], shape, attributes), call.step("Mul", lengths, shape)])
