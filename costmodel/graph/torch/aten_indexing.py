"""Lookups, scatters, sorting and counting."""

from __future__ import annotations

from math import prod

from costmodel.graph.dtypes import DType
from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("embedding")
def embedding(call: Call) -> Names:
    """``Gather`` of rows of the table."""
    return call.result("Gather", call.tensors("weight", "indices"), {"axis": 0})


@lowers("index_select")
def index_select(call: Call) -> Names:
    """``Gather`` along one dimension."""
    return call.result("Gather", call.tensors("self", "index"), {"axis": call.axis("dim")})


@lowers("gather", "take_along_dim")
def gather(call: Call) -> Names:
    """``GatherElements``."""
    index = "index" if call.name == "gather" else "indices"
    return call.result("GatherElements", call.tensors("self", index), {"axis": call.axis("dim")})


@lowers("index", "_unsafe_index")
def index(call: Call) -> Names:
    """Indexing with tensors: ``Gather`` for one integer index, ``GatherND`` for several or for a mask."""
    axes, indices = _given_indices(call)
    if len(indices) == 1 and call.dtype(indices[0]) is not DType.BOOL:
        return call.result("Gather", [call.first, indices[0]], {"axis": axes[0]})
    order = _indexed_first(call, axes)
    joined = _joined(call, indices)
    data = call.transpose(call.first, order)
    shape = (*call.shape(joined)[:-1], *call.shape(data)[len(axes) :])
    gathered = call.step("GatherND", [data, joined], shape)
    return call.transpose(gathered, _inverse(_lookups_first(len(shape), axes, len(call.shape(joined)) - 1)))


@lowers("index_put", "_index_put_impl", "_unsafe_index_put")
def index_put(call: Call) -> Names:
    """``ScatterND`` of the new elements; one number put where a mask is true is a ``Where``."""
    axes, indices = _given_indices(call)
    values = call.tensor("values")
    if call.dtype(indices[0]) is DType.BOOL:
        mask = indices[0]
        rank, masked = len(call.input_shape), call.shape(mask)
        aligned = call.reshape(mask, (1,) * axes[0] + masked + (1,) * (rank - axes[0] - len(masked)))
        return call.result("Where", [aligned, values, call.first])
    order = _indexed_first(call, axes)
    joined = _joined(call, indices)
    data = call.transpose(call.first, order)
    shape = (*call.shape(joined)[:-1], *call.shape(data)[len(axes) :])
    lookups_first = _lookups_first(len(shape), axes, len(call.shape(joined)) - 1)
    updates = call.expand(values, [shape[dim] for dim in _inverse(lookups_first)])
    operands = [data, joined, call.transpose(updates, lookups_first)]
    attributes: dict[str, AttributeValue] = {"reduction": "add"} if call.flag("accumulate") else {}
    scattered = call.step("ScatterND", operands, call.shape(data), attributes)
    return call.transpose(scattered, _inverse(order))


@lowers("scatter", "scatter_add", "scatter_reduce")
def scatter(call: Call) -> Names:
    """``ScatterElements``, with the reduction where there is one."""
    reduction = "add" if call.name == "scatter_add" else _REDUCTIONS[call.text("reduce")]
    updates = call.tensor("src") or call.tensor("value")
    attributes: dict[str, AttributeValue] = {"axis": call.axis("dim"), "reduction": reduction}
    return call.result("ScatterElements", [call.first, call.tensor("index"), updates], attributes)


_REDUCTIONS = {
    "": "none",
    "add": "add",
    "sum": "add",
    "multiply": "mul",
    "prod": "mul",
    "amax": "max",
    "amin": "min",
    "mean": "add",
}


@lowers("index_copy", "index_add")
def index_scatter(call: Call) -> Names:
    """``ScatterND`` of whole slices."""
    attributes: dict[str, AttributeValue] = {"reduction": "add"} if call.name == "index_add" else {}
    indices = call.unsqueeze(call.tensor("index"), len(call.shape(call.tensor("index"))))
    return call.result("ScatterND", [call.first, indices, call.tensor("source")], attributes)


@lowers("slice_scatter", "select_scatter")
def view_scatter(call: Call) -> Names:
    """``ScatterND`` into a slice."""
    updates = call.tensor("src")
    count = prod(call.shape(updates))
    indices = call.weight(f"{call.label}.indices", (count, len(call.result_shape)), DType.INT64)
    return call.result("ScatterND", [call.first, indices, call.reshape(updates, (count,))])


@lowers("nonzero", "argwhere")
def nonzero(call: Call) -> Names:
    """``NonZero``, transposed to one row an element as torch returns it."""
    found = call.step("NonZero", [call.first], call.result_shape[::-1])
    return call.transpose(found, (1, 0))


@lowers("topk")
def top_k(call: Call) -> Names:
    """``TopK`` with both results."""
    attributes: dict[str, AttributeValue] = {
        "axis": call.axis("dim"),
        "largest": int(call.flag("largest")),
        "sorted": int(call.flag("sorted")),
    }
    return call.result("TopK", [call.first, call.constant([call.integer("k")])], attributes)


@lowers("sort", "msort")
def sort(call: Call) -> Names:
    """``TopK`` of everything."""
    axis, largest = (call.axis("dim"), int(call.flag("descending"))) if call.name == "sort" else (0, 0)
    length = call.constant([call.input_shape[axis] if call.input_shape else 1])
    return call.result("TopK", [call.first, length], {"axis": axis, "largest": largest})


@lowers("argsort")
def argsort(call: Call) -> Names:
    """The second result of sorting."""
    axis = call.axis("dim")
    length = call.constant([call.input_shape[axis] if call.input_shape else 1])
    attributes: dict[str, AttributeValue] = {"axis": axis, "largest": int(call.flag("descending"))}
    return call.steps("TopK", [call.first, length], [call.result_shape] * 2, attributes)[1]


@lowers("cumsum", "cumprod")
def cumulate(call: Call) -> Names:
    """``CumSum`` or ``CumProd`` along one dimension."""
    op_type = "CumSum" if call.name == "cumsum" else "CumProd"
    return call.result(op_type, [call.first, call.constant(call.axis("dim"))])


@lowers("one_hot")
def one_hot(call: Call) -> Names:
    """``OneHot``."""
    depth, values = call.constant(call.result_shape[-1]), call.constant([0, 1], call.result_dtype)
    return call.result("OneHot", [call.first, depth, values], {"axis": -1})


def _given_indices(call: Call) -> tuple[list[int], list[str]]:
    """The dimensions that are indexed and the tensors they are indexed with."""
    indices = call.tensor_list("indices")
    axes = [axis for axis, value in enumerate(indices) if value]
    return axes, [indices[axis] for axis in axes]


def _indexed_first(call: Call, axes: list[int]) -> list[int]:
    """The order of the first argument's dimensions in which those indexed come first, as ``GatherND`` wants them."""
    return [*axes, *(axis for axis in range(len(call.input_shape)) if axis not in axes)]


def _lookups_first(rank: int, axes: list[int], lookups: int) -> list[int]:
    """The order of an indexing's result in which its ``lookups`` looked-up dimensions come first.

    They stand where the indexed dimensions stood when those are neighbours, and in front when they are not.
    """
    start = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    return [*range(start, start + lookups), *range(start), *range(start + lookups, rank)]


def _inverse(order: list[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def _joined(call: Call, indices: list[str]) -> str:
    """Index tensors broadcast against each other and put side by side; a mask as the positions it is true at."""
    shapes = [call.shape(value) for value in indices]
    if call.dtype(indices[0]) is DType.BOOL:
        found = call.step("NonZero", indices, (len(shapes[0]), call.result_shape[0]), dtype=DType.INT64)
        return call.transpose(found, (1, 0))
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    common = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    columns = [call.unsqueeze(call.expand(value, common), rank) for value in indices]
    if len(columns) == 1:
        return columns[0]
    return call.step("Concat", columns, (*common, len(columns)), {"axis": rank}, DType.INT64)
