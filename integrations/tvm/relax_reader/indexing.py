"""Lookups, scatters, sorting and counting."""

from __future__ import annotations

from math import prod

from costmodel.graph import DType
from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []


@lowers("take")
def take(call: Call) -> Names:
    """``Gather`` along one dimension; without one, of the flattened tensor."""
    data, axis = (call.first, call.axis("axis")) if call.has("axis") else (_flat(call), 0)
    return call.result("Gather", [data, call.operand(1, DType.INT64)], {"axis": axis})


@lowers("gather_elements")
def gather_elements(call: Call) -> Names:
    """``GatherElements``."""
    return call.result("GatherElements", call.operands(0, 1), {"axis": call.axis("axis")})


@lowers("gather_nd")
def gather_nd(call: Call) -> Names:
    """``GatherND``."""
    return call.result("GatherND", call.operands(0, 1), {"batch_dims": call.integer("batch_dims")})


@lowers("scatter_elements")
def scatter_elements(call: Call) -> Names:
    """``ScatterElements``."""
    attributes: dict[str, AttributeValue] = {"axis": call.axis("axis"), "reduction": _reduction(call)}
    return call.result("ScatterElements", call.operands(0, 1, 2), attributes)


@lowers("scatter_nd")
def scatter_nd(call: Call) -> Names:
    """``ScatterND``."""
    return call.result("ScatterND", call.operands(0, 1, 2), {"reduction": _reduction(call)})


def _reduction(call: Call) -> str:
    """How ONNX calls what is done with elements that are written twice; ``none`` for the last one staying."""
    named = call.text("reduction", "update")
    return {"update": "none", "mean": "add"}.get(named, named)


@lowers("topk")
def top_k(call: Call) -> Names:
    """``TopK``; of its two results, those that are asked for."""
    asked = call.text("ret_type", "both")
    attributes: dict[str, AttributeValue] = {"axis": call.axis("axis"), "largest": int(call.flag("largest"))}
    operands = [call.first, call.constant([call.integer("k")])]
    if asked == "both":
        return call.result("TopK", operands, attributes)
    values, places = call.steps("TopK", operands, [call.result_shape] * 2, attributes)
    return values if asked == "values" else places


@lowers("sort", "argsort")
def sort(call: Call) -> Names:
    """``TopK`` of everything."""
    axis = call.axis("axis")
    attributes: dict[str, AttributeValue] = {"axis": axis, "largest": int(call.flag("descending"))}
    operands = [call.first, call.constant([call.input_shape[axis]])]
    values, places = call.steps("TopK", operands, [call.result_shape] * 2, attributes)
    return values if call.name == "sort" else places


@lowers("cumsum", "cumprod")
def cumulate(call: Call) -> Names:
    """``CumSum`` or ``CumProd`` along one dimension; without one, of the flattened tensor."""
    data, axis = (call.first, call.axis("axis")) if call.has("axis") else (_flat(call), 0)
    op_type = "CumSum" if call.name == "cumsum" else "CumProd"
    return call.result(op_type, [data, call.constant(axis)], {"exclusive": int(call.flag("exclusive"))})


@lowers("one_hot")
def one_hot(call: Call) -> Names:
    """``OneHot``."""
    on, off = call.number_operand(1), call.number_operand(2)
    values = call.constant([off, on], call.result_dtype)
    axis = call.integer("axis", -1)
    return call.result("OneHot", [call.first, call.constant(call.integer("depth")), values], {"axis": axis})


@lowers("nonzero")
def nonzero(call: Call) -> Names:
    """``NonZero``."""
    return call.result("NonZero", [call.first])


@lowers("index_tensor")
def index_tensor(call: Call) -> Names:
    """Indexing with tensors from the first dimension on: ``Gather`` for one, ``GatherND`` for several."""
    data, indices = call.first, call.operand_list(1)
    if len(indices) == 1:
        return call.result("Gather", [data, indices[0]], {"axis": 0})
    rank = max(len(call.shape(index)) for index in indices)
    padded = [(1,) * (rank - len(call.shape(index))) + call.shape(index) for index in indices]
    common = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    columns = [call.unsqueeze(call.expand(call.cast(index, DType.INT64), common), rank) for index in indices]
    joined = call.step("Concat", columns, (*common, len(columns)), {"axis": rank}, DType.INT64)
    return call.result("GatherND", [data, joined])


def _flat(call: Call) -> str:
    return call.reshape(call.first, (prod(call.input_shape),))
