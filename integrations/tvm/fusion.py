"""Which operations of a network went into which tuning task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import relax, tirx
from tvm.ir import Constant

from costmodel.integrations.tvm.relax_reader import with_unique_names
from costmodel.integrations.tvm.workloads import stages_of_fusion

__all__ = ["FusedGroup", "fused_groups", "task_key"]


@dataclass(frozen=True)
class FusedGroup:
    """Operations that run as one function of TIR.

    Attributes:
        task: :func:`task_key` of the task that the function is tuned as.
        sources: Unique names (see :func:`~costmodel.integrations.tvm.relax_reader.unique_names`) of the variables that
            the operations are bound to.
    """

    task: int
    sources: frozenset[str]


def task_key(function: Any) -> int:
    """The same for functions of TIR that MetaSchedule takes for the same task, whatever they are called."""
    return int(tvm_ffi.structural_hash(function.with_attr("global_symbol", "main")))


def fused_groups(module: Any, target: Any, name: str) -> list[FusedGroup]:
    """What is fused with what, in the order that it runs.

    Args:
        module: A Relax module that is not legalised.
        target: What it is compiled for.
        name: Its function that is the network.
    """
    spelt_out, fused, compiled = stages_of_fusion(with_unique_names(module, name), target)
    functions = {var.name_hint: function for var, function in compiled.functions.items()}
    return [
        FusedGroup(task_key(functions[function]), sources)
        for function, sources in _groups(fused, name, _Numbering(spelt_out[name]))
        if isinstance(functions.get(function), tirx.PrimFunc)
    ]


_Key = tuple[object, ...]
"""What is computed: a function or an operator, and what it is applied to."""


class _Numbering:
    """Finds the variables of a function that are bound to a computation; several may be bound to the same one."""

    def __init__(self, function: Any) -> None:
        values: dict[Any, object] = {parameter: parameter.name for parameter in function.params}
        self._numbers: dict[_Key, int] = {}
        self._names: dict[int, set[str]] = {}
        for binding in _bindings(function):
            values[binding.var] = number = self.number(_key(binding.value, values))
            self._names.setdefault(number, set()).add(binding.var.name)

    def number(self, key: _Key) -> int:
        """The same number for the same computation."""
        return self._numbers.setdefault(key, len(self._numbers))

    def names(self, number: int) -> set[str]:
        """Names of the variables that are bound to it."""
        return self._names.get(number, set())


def _groups(module: Any, name: str, numbering: _Numbering) -> Iterator[tuple[str, frozenset[str]]]:
    """Name of each function that is called, and the variables that stand for its parts before the fusion."""
    function = module[name]
    values: dict[Any, object] = {parameter: parameter.name for parameter in function.params}
    for binding in _bindings(function):
        callee = binding.value.op if isinstance(binding.value, relax.Call) else None
        if isinstance(callee, relax.GlobalVar) and isinstance(module[callee], relax.Function):
            arguments = [_operand(argument, values) for argument in binding.value.args]
            inner: dict[Any, object] = dict(zip(module[callee].params, arguments, strict=True))
            sources: set[str] = set()
            for part in _bindings(module[callee]):
                inner[part.var] = number = numbering.number(_key(part.value, inner))
                sources |= numbering.names(number)
            values[binding.var] = _operand(module[callee].body.body, inner)
            yield callee.name_hint, frozenset(sources)
            continue
        values[binding.var] = number = numbering.number(_key(binding.value, values))
        if _is_call_of_tir(binding.value):
            yield binding.value.args[0].name_hint, frozenset(numbering.names(number))


def _bindings(function: Any) -> Iterator[Any]:
    for block in function.body.blocks:
        yield from block.bindings


def _is_call_of_tir(expression: Any) -> bool:
    return isinstance(expression, relax.Call) and getattr(expression.op, "name", "") == "relax.call_tir"


def _key(expression: Any, values: dict[Any, object]) -> _Key:
    if isinstance(expression, relax.Call):
        return (
            str(getattr(expression.op, "name", expression.op)),
            *(_operand(argument, values) for argument in expression.args),
        )
    return ("value", _operand(expression, values))


def _operand(expression: Any, values: dict[Any, object]) -> object:
    if isinstance(expression, relax.Tuple):
        return ("tuple", *(_operand(field, values) for field in expression.fields))
    if isinstance(expression, relax.TupleGetItem):
        return ("item", _operand(expression.tuple_value, values), expression.index)
    if isinstance(expression, relax.GlobalVar):
        return expression.name_hint
    if isinstance(expression, Constant):
        return expression.value
    return values[expression] if expression in values else str(expression)
