"""Reductions over dimensions."""

from __future__ import annotations

from math import prod

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []

_REDUCTIONS = {
    "all": "ReduceMin",
    "amax": "ReduceMax",
    "amin": "ReduceMin",
    "any": "ReduceMax",
    "logsumexp": "ReduceLogSumExp",
    "mean": "ReduceMean",
    "prod": "ReduceProd",
    "sum": "ReduceSum",
}


@lowers(*_REDUCTIONS)
def reduce(call: Call) -> Names:
    """One ``Reduce…`` operator over some or all dimensions; a scalar stays as it is.

    Booleans are counted and numbers told from zero in the result's element type, as in torch.
    """
    if not call.input_shape:
        return call.first
    data = call.cast(call.first, call.result_dtype)
    return call.result(_REDUCTIONS[call.name], [data], _over(call, call.axes("dim")))


@lowers("max", "min")
def extremum(call: Call) -> Names:
    """Of two tensors, of a whole tensor, or along a dimension with the place as second result."""
    word = call.name.capitalize()
    if call.has("other"):
        return call.result(word, call.tensors("self", "other"))
    attributes = _over(call, call.axes("dim"))
    values = call.step(f"Reduce{word}", [call.first], call.result_shape, attributes)
    if len(call.returned) == 1:
        return values
    places = {"axis": call.axis("dim"), "keepdims": int(call.flag("keepdim"))}
    return values, call.step(f"Arg{word}", [call.first], call.result_shape, places, DType.INT64)


@lowers("argmax", "argmin")
def extremum_place(call: Call) -> Names:
    """``ArgMax`` or ``ArgMin``; without a dimension, of the flattened tensor."""
    data, axis = (call.first, call.axis("dim")) if call.has("dim") else (_flat(call), 0)
    attributes: dict[str, AttributeValue] = {"axis": axis, "keepdims": int(call.flag("keepdim"))}
    return call.result("ArgMax" if call.name == "argmax" else "ArgMin", [data], attributes)


@lowers("var", "std")
def spread(call: Call) -> Names:
    """Variance or standard deviation, as the mean squared distance from the mean."""
    return _spread(call, root=call.name == "std")[0]


@lowers("var_mean", "std_mean")
def spread_and_mean(call: Call) -> Names:
    """Variance or standard deviation, and the mean."""
    spread, mean = _spread(call, root=call.name == "std_mean")
    return spread, call.reshape(mean, call.result_shape)


def _spread(call: Call, *, root: bool) -> tuple[str, str]:
    """The spread as the call returns it, and the mean with every dimension kept."""
    axes = call.axes("dim")
    count = prod(call.input_shape[axis] for axis in axes)
    kept = [1 if axis in axes else size for axis, size in enumerate(call.input_shape)]
    mean = call.step("ReduceMean", [call.first], kept, {"axes": axes, "keepdims": 1})
    distance = call.step("Sub", [call.first, mean], call.input_shape)
    squares = call.step("Mul", [distance, distance], call.input_shape)
    spread = call.step("ReduceMean", [squares], call.result_shape, _over(call, axes))
    correction = _correction(call)
    if correction:
        factor = call.constant(count / max(count - correction, 1e-12), call.result_dtype)
        spread = call.step("Mul", [spread, factor], call.result_shape)
    return (call.step("Sqrt", [spread], call.result_shape) if root else spread), mean


def _correction(call: Call) -> float:
    """How many elements fewer than there are the squares are divided by; torch takes one unless told otherwise."""
    if "unbiased" in call.arguments:
        return float(call.flag("unbiased"))
    return call.number("correction", 1.0)


def _over(call: Call, axes: tuple[int, ...]) -> dict[str, AttributeValue]:
    return {"axes": axes, "keepdims": int(call.flag("keepdim"))}


def _flat(call: Call) -> str:
    return call.reshape(call.first, (prod(call.input_shape),))
