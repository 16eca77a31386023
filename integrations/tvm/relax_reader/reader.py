"""A function of a Relax module → :class:`~costmodel.graph.OpGraph`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from tvm import relax
from tvm.ir import Constant, Op

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph import OpGraph, ValueKind
from costmodel.graph.lowering import GraphBuilder
from costmodel.graph.op_graph import MAX_KEPT_ELEMENTS
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic
from costmodel.integrations.tvm.relax_reader.layouts import channels_first
from costmodel.integrations.tvm.relax_reader.lowering import lower
from costmodel.integrations.tvm.relax_reader.naming import unique_names
from costmodel.integrations.tvm.relax_reader.tensor_types import dtype_of, shape_of
from costmodel.integrations.tvm.relax_reader.tir_functions import TIR_CALLS

__all__ = ["entry_function", "read_relax"]

_MAIN = "main"


def read_relax(module: Any, *, function: str | None = None, name: str = "") -> OpGraph:
    """Read a network, every operation as it stands.

    Constants are weights, and so are the parameters of the function after the first ``num_input``, where the frontend
    says how many are fed in a run.  Elements of weights are read of small ones only.  Calls of other Relax functions
    are unfolded; an operator without a lowering becomes an operation of the domain ``"relax"``.

    Args:
        module: An ``IRModule`` as ``from_onnx``, ``from_exported_program`` or ``relax.frontend.nn`` make it, before
            its operators are legalised.
        function: Which of its functions is the network; ``main`` or the only one, if not given.
        name: Name of the resulting graph; by default the function's.

    Raises:
        UsageError: There is no such function, or there are several.
        UnsupportedModelError: A size is symbolic or depends on data, there is control flow, or the module is legalised.
    """
    entry = entry_function(module, function)
    module = channels_first(module, entry)
    reader = _Reader(module)
    outputs = reader.read_entry(module[entry])
    graph = reader.builder.finish(reader.inputs, dict.fromkeys(outputs), name or entry)
    if reader.legalised and not reader.operators:
        raise UnsupportedModelError(
            f"{entry} calls functions of TIR only, for example {reader.legalised}: its operators are legalised, and "
            "what they were is gone. Read the module as the frontend made it, before relax.transform.LegalizeOps."
        )
    return graph


def entry_function(module: Any, function: str | None = None) -> str:
    """Name of the function of a module that is the network.

    Raises:
        UsageError: There is no such function, or there are several.
    """
    names = [var.name_hint for var, found in module.functions.items() if isinstance(found, relax.Function)]
    if function is not None:
        if function not in names:
            raise UsageError(
                f"the module has no Relax function {function!r}; it has {', '.join(sorted(names)) or 'none'}."
            )
        return function
    public = [name for name in names if "global_symbol" in (module[name].attrs or {})]
    candidates = [name for name in names if name == _MAIN] or public or names
    if len(candidates) != 1:
        raise UsageError(
            f"expected a module with a Relax function main, or with one function, got "
            f"{', '.join(sorted(candidates)) or 'none'}. Name the network: function='...'"
        )
    return str(candidates[0])


class _Reader:
    """Walks bindings in order, and unfolds the functions that are called."""

    def __init__(self, module: Any) -> None:
        self.builder = GraphBuilder()
        self.inputs: list[str] = []
        self.operators = 0
        """Calls of Relax's own operators."""
        self.legalised = ""
        """A function of TIR that is called."""
        self._module = module
        self._names: dict[Any, Names] = {}
        self._expressions: dict[Any, Any] = {}
        """What stands for no tensor, by the variable that it is bound to: shapes, numbers, functions, effects."""
        self._constants: dict[Any, str] = {}
        self._taken: set[str] = set()
        """Names of parameters and constants; those of all else have a mark."""

    def read_entry(self, function: Any) -> tuple[str, ...]:
        """Emit the operations of the network and return the names of what it returns."""
        fed = function.attrs.get("num_input") if function.attrs else None
        for index, parameter in enumerate(function.params):
            kind = ValueKind.INPUT if fed is None or index < int(fed) else ValueKind.WEIGHT
            self._names[parameter] = self._parameter(parameter.name, parameter.ty, kind)
        return tuple(_flat(self._read_body(function, "")))

    def _parameter(self, name: str, made: Any, kind: ValueKind) -> Names:
        if isinstance(made, relax.TupleType):
            fields = enumerate(made.fields)
            return tuple(self._parameter(f"{name}.{index}", of_one, kind) for index, of_one in fields)
        if not isinstance(made, relax.TensorType):
            return ()  # an effect, or a size that shapes do not ask for
        value = self.builder.add_value(
            self._unused(name), shape_of(made, f"the parameter {name}"), dtype_of(made), kind
        )
        if kind is ValueKind.INPUT:
            self.inputs.append(value)
        return value

    def _unused(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _read_body(self, function: Any, region: str) -> Names:
        if not isinstance(function.body, relax.SeqExpr):
            return self._value(function.body, region or "result")
        labels = unique_names(function)
        for block in function.body.blocks:
            for binding in block.bindings:
                self._bind(binding.var, binding.value, f"{region}{labels[binding.var]}")
        return self._value(function.body.body, f"{region}result")

    def _bind(self, variable: Any, expression: Any, label: str) -> None:
        if _holds_tensors(expression.ty) or isinstance(expression, relax.If):
            self._names[variable] = self._value(expression, label)
        else:
            self._expressions[variable] = self._resolved(expression)

    def _value(self, expression: Any, label: str) -> Names:
        """The values that an expression stands for, after what it does is emitted."""
        if isinstance(expression, relax.Call):
            return self._read_call(expression, label)
        if isinstance(expression, relax.If):
            raise UnsupportedModelError(
                f"{label} is a branch, so the network has no fixed graph. Expected one that runs the same operations "
                "for every input; read the branch that matters as a module of its own."
            )
        return self._names_of(expression)

    def _names_of(self, expression: Any) -> Names:
        if isinstance(expression, relax.Tuple):
            return tuple(self._names_of(field) for field in expression.fields)
        if isinstance(expression, relax.TupleGetItem):
            names = self._names_of(expression.tuple_value)
            return names[expression.index] if not isinstance(names, str) else names
        if isinstance(expression, Constant):
            return self._constant(expression)
        return self._names.get(expression, ())

    def _resolved(self, expression: Any) -> Any:
        return self._expressions.get(expression, expression) if isinstance(expression, relax.Var) else expression

    def _constant(self, constant: Any) -> str:
        tensor = constant.value
        if tensor not in self._constants:
            shape = tuple(int(size) for size in tensor.shape)
            elements = tensor.numpy() if prod(shape) <= MAX_KEPT_ELEMENTS else None
            name = self._unused(f"constant{len(self._constants)}")
            self._constants[tensor] = self.builder.add_value(
                name, shape, dtype_of(constant.ty), ValueKind.WEIGHT, elements
            )
        return self._constants[tensor]

    def _read_call(self, expression: Any, label: str) -> Names:
        called = self._resolved(expression.op)
        if isinstance(called, relax.GlobalVar):
            called = self._module[called]
        if isinstance(called, relax.Function):
            return self._unfold(called, expression.args, label)
        if not isinstance(called, Op):  # a function of another library
            name = str(getattr(called, "global_symbol", "call_packed"))
            return generic(Call(expression, name, label, self.builder, self._names_of, self._resolved))
        name = str(called.name).removeprefix("relax.")
        if name in TIR_CALLS:
            self.legalised = self.legalised or str(expression.args[0])
        else:
            self.operators += 1
        return lower(Call(expression, name, label, self.builder, self._names_of, self._resolved))

    def _unfold(self, function: Any, arguments: Sequence[Any], label: str) -> Names:
        """The body of a function in the place of a call of it."""
        for parameter, argument in zip(function.params, arguments, strict=True):
            if _holds_tensors(argument.ty):
                self._names[parameter] = self._value(argument, f"{label}/{parameter.name}")
            else:
                self._expressions[parameter] = self._resolved(argument)
        return self._read_body(function, f"{label}/")


def _holds_tensors(made: Any) -> bool:
    if isinstance(made, relax.TupleType):
        return any(_holds_tensors(of_one) for of_one in made.fields)
    return isinstance(made, relax.TensorType)


def _flat(names: Names) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    else:
        for name in names:
            yield from _flat(name)
