"""One spelling for pooling over all of an image."""

from __future__ import annotations

from dataclasses import replace

from costmodel.graph.op_graph import Op, OpGraph
from costmodel.graph.passes.base import Pass
from costmodel.graph.passes.matching import Wiring
from costmodel.graph.passes.rewriting import Rewriter

__all__ = ["GlobalPool"]


class GlobalPool(Pass):
    """Write reductions and poolings over all spatial axes as global poolings.

    1. ``ReduceMean(x) {axes: (2, 3)}`` of an (N, C, H, W) tensor → ``GlobalAveragePool(x)``
    2. the same with ``keepdims: 0`` → ``Reshape(GlobalAveragePool(x))``
    3. ``AveragePool(x)`` whose kernel is the whole image → ``GlobalAveragePool(x)``
    4. the three with a maximum in place of the mean → ``GlobalMaxPool``
    """

    def run(self, graph: OpGraph) -> OpGraph:
        """See :meth:`Pass.run`."""
        edits = Rewriter(graph)
        for op in graph.ops:
            global_type = _GLOBAL_TYPES.get(op.op_type)
            if global_type is None or op.domain:
                continue
            pools_everything = _reduces_image if op.op_type.startswith("Reduce") else _pools_image
            if pools_everything(op, edits.wiring):
                _write_global(op, global_type, edits)
        return edits.apply()


_GLOBAL_TYPES = {
    "AveragePool": "GlobalAveragePool",
    "MaxPool": "GlobalMaxPool",
    "ReduceMax": "GlobalMaxPool",
    "ReduceMean": "GlobalAveragePool",
}


def _reduces_image(op: Op, wiring: Wiring) -> bool:
    shape = wiring.shape(op.inputs[0])
    return shape is not None and len(shape) > 3 and wiring.reduced_axes(op) == tuple(range(2, len(shape)))


def _pools_image(op: Op, wiring: Wiring) -> bool:
    image, result = wiring.shape(op.inputs[0]), wiring.shape(op.outputs[0])
    if image is None or result is None or any(op.attr_ints("pads")) or any(map(wiring.is_needed, op.outputs[1:])):
        return False
    return op.attr_ints("kernel_shape") == image[2:] and set(result[2:]) == {1}


def _write_global(op: Op, global_type: str, edits: Rewriter) -> None:
    image, result = (edits.graph.values[name] for name in (op.inputs[0], op.outputs[0]))
    pooled_shape = (*(image.shape or ())[:2], *(1,) * (len(image.shape or ()) - 2))
    if result.shape == pooled_shape:
        edits.fuse((op,), global_type, op.inputs[:1])
        return
    pooled = edits.declare(replace(result, name=edits.fresh_name(f"{result.name}.pooled"), shape=pooled_shape))
    pool = replace(op, op_type=global_type, inputs=op.inputs[:1], outputs=(pooled,), attributes={})
    flatten_name = edits.fresh_name(f"{op.name}.flatten")
    flatten = Op(flatten_name, "Reshape", (pooled,), op.outputs[:1], scope=op.scope)
    edits.replace((op,), (pool, flatten))
