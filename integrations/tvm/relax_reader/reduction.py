"""Reductions over dimensions."""

from __future__ import annotations

from math import prod

from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []

_REDUCTIONS = {"max": "ReduceMax", "mean": "ReduceMean", "min": "ReduceMin", "prod": "ReduceProd", "sum": "ReduceSum"}


@lowers(*_REDUCTIONS)
def reduce(call: Call) -> Names:
    """One ``Reduce…`` operator over some or all dimensions; a scalar stays as it is."""
    if not call.input_shape:
        return call.first
    return call.result(_REDUCTIONS[call.name], [call.first], _over(call))


@lowers("argmax", "argmin")
def extremum_place(call: Call) -> Names:
    """``ArgMax`` or ``ArgMin``; without a dimension, of the flattened tensor."""
    op_type = "ArgMax" if call.name == "argmax" else "ArgMin"
    if call.has("axis"):
        attributes: dict[str, AttributeValue] = {"axis": call.axis("axis"), "keepdims": int(call.flag("keepdims"))}
        return call.result(op_type, [call.first], attributes)
    flat = call.reshape(call.first, (prod(call.input_shape),))
    return call.reshape(call.step(op_type, [flat], (), {"axis": 0, "keepdims": 0}), call.result_shape)


@lowers("variance", "std")
def spread(call: Call) -> Names:
    """Variance or standard deviation, as the mean squared distance from the mean."""
    axes = call.axes("axis")
    kept = [1 if axis in axes else size for axis, size in enumerate(call.input_shape)]
    mean = call.step("ReduceMean", [call.first], kept, {"axes": axes, "keepdims": 1})
    distance = call.step("Sub", [call.first, mean], call.input_shape)
    squares = call.step("Mul", [distance, distance], call.input_shape)
    if call.name == "variance":
        return call.result("ReduceMean", [squares], _over(call))
    return call.result("Sqrt", [call.step("ReduceMean", [squares], call.result_shape, _over(call))])


def _over(call: Call) -> dict[str, AttributeValue]:
    return {"axes": call.axes("axis"), "keepdims": int(call.flag("keepdims"))}
