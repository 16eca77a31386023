"""Anything that holds a network → a simplified :class:`OpGraph`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph.op_graph import OpGraph
from costmodel.graph.passes import ONNX_PASSES, simplify

if TYPE_CHECKING:
    import onnx
    import torch

    Network = (
        str
        | os.PathLike[str]
        | bytes
        | onnx.ModelProto
        | torch.nn.Module
        | torch.export.ExportedProgram
        | torch.fx.GraphModule
        | OpGraph
    )

__all__ = ["load_graph"]


def load_graph(
    model: Network,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    example_inputs: Sequence[Any] | None = None,
) -> OpGraph:
    """Read a network and simplify it.

    Args:
        model: Path or bytes of an ONNX file, a ``ModelProto``, a torch module, an ``ExportedProgram``,
            a ``GraphModule``, or an :class:`OpGraph` (simplified as it is).
        shapes: Sizes of named ONNX inputs, for those the file leaves open.
        batch: Images a run.  An ONNX file with a symbolic batch is read at it, one with a fixed batch
            is rewritten; a torch module's example inputs are enlarged or cut along their first axis.
        example_inputs: What the torch module is called with; real, fake or meta tensors.

    Raises:
        UsageError: The arguments do not go with this kind of model.
        UnsupportedModelError: The model cannot be read as a graph of operations.
    """
    if batch is not None and batch < 1:
        raise UsageError(f"batch: expected at least 1, got {batch}.")
    if isinstance(model, OpGraph):
        if batch not in (None, model.batch):
            raise UsageError(f"this OpGraph was read at batch {model.batch}; read the model again at batch {batch}.")
        return simplify(model)
    if _is_torch(model):
        return simplify(_from_torch(model, shapes, batch, example_inputs))
    if example_inputs is not None:
        raise UsageError("example_inputs go with a torch model; give the sizes of an ONNX model's inputs as shapes.")

    from costmodel.graph.onnx import from_onnx

    fixed = {name: tuple(int(size) for size in shape) for name, shape in (shapes or {}).items()}
    graph = from_onnx(model, shapes=fixed, batch=batch)  # type: ignore[arg-type]  # from_onnx says what it takes
    return simplify(graph, ONNX_PASSES)


def _is_torch(model: object) -> bool:
    # Whoever holds a torch object has imported torch already: no need to pay for it here.
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(model, torch.nn.Module) or type(model).__name__ == "ExportedProgram"


def _from_torch(
    model: Any,
    shapes: Mapping[str, Sequence[int]] | None,
    batch: int | None,
    example_inputs: Sequence[Any] | None,
) -> OpGraph:
    from costmodel.graph.torch import from_torch

    if shapes:
        raise UsageError("shapes go with an ONNX model; give a torch module its example_inputs.")
    if batch is not None and not example_inputs:
        raise UsageError("a torch model needs example_inputs to be read at another batch.")
    inputs = tuple(example_inputs or ())
    if batch is not None:
        inputs = tuple(_at_batch(tensor, batch) for tensor in inputs)
    graph = from_torch(model, inputs)
    if batch is not None and graph.batch != batch:
        raise UnsupportedModelError(
            f"the program was exported at batch {graph.batch}, not {batch}; export it again at the batch you want."
        )
    return graph


def _at_batch(tensor: Any, batch: int) -> Any:
    if not getattr(tensor, "ndim", 0):
        return tensor
    return tensor[:1].expand(batch, *tensor.shape[1:])
