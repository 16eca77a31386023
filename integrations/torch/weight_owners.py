"""Which operation a weight counts for, where several read it."""

from __future__ import annotations

from costmodel.graph import OpGraph

__all__ = ["owned_params"]


def owned_params(graph: OpGraph) -> dict[str, int]:
    """Learned parameters by name of the operation, each weight at the first operation that reads it.

    They add up to those of the network, tied weights once.  A weight that an operation makes of others has no owner.
    """
    owners: dict[str, int] = {}
    seen: set[str] = set()
    for op in graph:
        fresh = {value.name: value for value in graph.operands(op) if value is not None and value.is_weight}
        owners[op.name] = sum(
            value.size
            for name, value in fresh.items()
            if name not in seen and name not in graph.producers and (value.dtype.is_float or value.dtype.is_quantized)
        )
        seen |= fresh.keys()
    return owners
