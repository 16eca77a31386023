"""A torch model → :class:`~costmodel.graph.OpGraph`, by a run on fake tensors or by ``torch.export``."""

from __future__ import annotations

import contextlib
import io
import logging
import operator
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph.op_graph import OpGraph, ValueKind
from costmodel.graph.torch import aten
from costmodel.graph.torch.fake_run import from_fake_run
from costmodel.graph.torch.fx_reader import from_fx
from costmodel.graph.torch.inference_mode import inference_mode

__all__ = ["from_torch", "is_traced", "stand_in"]

logger = logging.getLogger(__name__)


def from_torch(
    model: nn.Module | ExportedProgram,
    example_inputs: torch.Tensor | Sequence[Any] = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    name: str = "",
) -> OpGraph:
    """Read a torch model as it runs at inference.

    Nothing is computed and no weight is copied: the trace runs on fake tensors,
    so a module on the ``meta`` device, which has no weights at all, does as well.

    Args:
        model: A module, an exported program, or an ``fx.GraphModule`` (one of ATen calls
            whose nodes carry ``meta["val"]`` is read as it is).
        example_inputs: Positional arguments of ``forward``; a lone tensor is one argument.
            Only their shapes and element types matter.  Not needed for a graph that has metadata.
        kwargs: Keyword arguments of ``forward``.
        name: Name of the resulting graph; by default the module's class.

    Returns:
        The graph.

    Raises:
        UsageError: The model needs example inputs and got none.
        UnsupportedModelError: ``torch.export`` cannot trace the model, or a size in it depends on data.
    """
    name = name or type(model).__name__
    if isinstance(model, ExportedProgram):
        return _from_program(model, name)
    if isinstance(model, fx.GraphModule) and is_traced(model.graph):
        return _from_graph_module(model, name)
    positional = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    if not positional and not kwargs:
        raise UsageError(
            f"{name} needs example inputs: without them the shapes of its tensors are unknown. Expected tensors for "
            "its forward, got none. Try: from_torch(model, torch.zeros(1, 3, 224, 224))."
        )
    device = next((tensor.device for tensor in model.state_dict().values()), None)
    keywords = dict(kwargs or {})
    if device is not None:
        positional, keywords = pytree.tree_map_only(
            torch.Tensor, lambda tensor: stand_in(tensor, device), (positional, keywords)
        )
    try:
        with _quiet():
            return from_fake_run(model, positional, keywords, name)
    except Exception as error:  # whatever the module raises; torch.export does more, and says more if it fails too
        logger.debug("%s is left to torch.export: %s", name, error)
    return _from_program(_exported(model, positional, keywords, name), name)


def _from_program(program: ExportedProgram, name: str) -> OpGraph:
    program = _decomposed(program)
    signature = program.graph_signature
    targets = {spec.arg.name: spec.target for spec in signature.input_specs if spec.target is not None}
    tensors = {**program.state_dict, **program.constants}
    return from_fx(
        program.graph,
        {
            spec.arg.name: ValueKind.INPUT if spec.kind is InputKind.USER_INPUT else ValueKind.WEIGHT
            for spec in signature.input_specs
        },
        constants={key: program.constants[target] for key, target in targets.items() if target in program.constants},
        aliases=_aliases({key: tensors[target] for key, target in targets.items() if target in tensors}),
        outputs={spec.arg.name for spec in signature.output_specs if spec.kind is OutputKind.USER_OUTPUT},
        name=name,
    )


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    """``program`` with operators that have no lowering of their own replaced by what torch makes of them."""
    targets = {node.target for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
    unknown = {target for target in targets if not aten.is_known(target._schema)}
    if not unknown:
        return program
    table = torch.export.default_decompositions()
    rules = {target: table[target] for target in unknown if target in table}
    if not rules:
        return program
    with _quiet():
        decomposed: ExportedProgram = program.run_decompositions(rules)
    return decomposed


def _from_graph_module(module: fx.GraphModule, name: str) -> OpGraph:
    held = {node.name: attrgetter(node.target)(module) for node in module.graph.find_nodes(op="get_attr")}
    return from_fx(module.graph, aliases=_aliases(held), name=name)


def _aliases(held: Mapping[str, object]) -> dict[str, str]:
    """Of the names that hold the same object, each to the first: a tied weight is one weight."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in held.items()}


def is_traced(graph: fx.Graph) -> bool:
    """Whether the graph can be read without tracing it again: ATen calls, with metadata."""
    return all(
        "val" in node.meta
        if node.op == "placeholder" or isinstance(node.target, torch._ops.OpOverload)
        else node.op in ("get_attr", "output") or not node.users or _is_glue(node)
        for node in graph.nodes
    )


def _is_glue(node: fx.Node) -> bool:
    """Whether a call that is no ATen operator belongs in a traced graph: it picks a result, runs a region, counts."""
    if node.target is operator.getitem or isinstance(node.target, torch._ops.HigherOrderOperator):
        return True
    return node.op == "call_function" and isinstance(node.meta.get("val"), int | float | torch.SymInt | torch.SymFloat)


def _exported(model: nn.Module, positional: tuple[Any, ...], keywords: dict[str, Any], name: str) -> ExportedProgram:
    try:
        with inference_mode(model), _quiet():
            return torch.export.export(model, positional, keywords, strict=False)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UnsupportedModelError(
            f"torch.export cannot trace {name}{_place(error)}: {reason} Expected a module that runs the same "
            "operations for every input. Try an ONNX export of it, or pass an ExportedProgram."
        ) from error


def stand_in(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor like ``tensor`` for a model on ``device``: tracing reads shapes and element types only."""
    if type(tensor) is torch.Tensor and tensor.device == device:
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the half-made graph that ``torch.export`` prints when it fails, and without its warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _place(error: BaseException) -> str:
    """Where in the model's own code tracing stopped: `` at file:line in function``, or nothing."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_NOT_MODELS)
    ]
    return f" at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


_NOT_MODELS = (__file__, str(Path(torch.__file__).parent), str(Path(contextlib.__file__).parent / "contextlib"), "<")
