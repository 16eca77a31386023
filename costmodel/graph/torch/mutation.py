"""In-place calls: who reads the new elements afterwards."""

from __future__ import annotations

from collections.abc import MutableMapping
from math import prod

from torch import fx

from costmodel.graph.dtypes import DType
from costmodel.graph.torch.call import Call, Names

__all__ = ["Mutations"]


class Mutations:
    """Follows writes through views, so that a graph with in-place calls becomes one of pure operations.

    After ``y = relu_(x)``, whoever reads ``x`` reads ``y``.  After a write into a
    view, its base becomes the base with the new elements written back.  Other
    views of that base that were taken before the write keep the old elements.

    Args:
        names: What each node stands for; changed by :meth:`record`.
    """

    def __init__(self, names: MutableMapping[fx.Node, Names]) -> None:
        self._names = names
        self._base: dict[fx.Node, fx.Node] = {}

    def record(self, call: Call) -> None:
        """Note what ``call`` views and carry out what it writes, after its own operations are emitted."""
        for position, argument in enumerate(call.schema.arguments):
            if argument.alias_info is None or position >= len(call.node.args):
                continue
            target = call.node.args[position]
            if not isinstance(target, fx.Node):
                continue
            if argument.alias_info.is_write:
                self._write(target, self._names[call.node], call)
            self._base[call.node] = target

    def record_item(self, item: fx.Node, source: fx.Node) -> None:
        """Note that ``item`` is one of the views that ``source`` returned."""
        if source in self._base:
            self._base[item] = self._base[source]

    def _write(self, target: fx.Node, value: Names, call: Call) -> None:
        if not isinstance(value, str):
            return
        self._names[target] = value
        base = self._base.get(target)
        if base is not None and isinstance(base_name := self._names[base], str):
            self._write(base, _written_back(base_name, value, call), call)


def _written_back(base: str, value: str, call: Call) -> str:
    """``base`` with the elements of its view ``value`` in place."""
    shape = call.shape(base)
    if prod(call.shape(value)) == prod(shape):
        return call.reshape(value, shape)
    count = prod(call.shape(value))
    indices = call.weight(f"{call.label}.indices", (count, len(shape)), DType.INT64)
    updates = call.reshape(value, (count,))
    return call.step("ScatterND", [base, indices, updates], shape, dtype=call.dtype(base))
