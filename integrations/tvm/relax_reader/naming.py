"""Names for the variables of a Relax function that no other variable of it has, and that passes of TVM keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

__all__ = ["unique_names", "with_unique_names"]

_MARK = "%"
"""No frontend and no pass of TVM makes names with it."""


def unique_names(function: Any) -> dict[Any, str]:
    """A name for each variable that the body of a function binds.

    A name has the variable's own in it, which several variables may share.  One that was given by
    :func:`with_unique_names` stays, whatever passes did to the function since.
    """
    variables = list(_bound(function))
    marked = any(_MARK in variable.name for variable in variables)
    added = "new" if marked else ""
    return {
        variable: variable.name if _MARK in variable.name else f"{variable.name}{_MARK}{added}{index}"
        for index, variable in enumerate(variables)
    }


def with_unique_names(module: Any, name: str) -> Any:
    """A copy of a module in which the variables of one function are called by their unique names."""
    function = module[name]
    renamed = _Renamer(unique_names(function)).visit_expr(function)
    copy = tvm.IRModule(dict(module.functions.items()), attrs=module.attrs, global_infos=module.global_infos)
    copy.update_func(module.get_global_var(name), renamed)
    return copy


def _bound(function: Any) -> Iterator[Any]:
    if isinstance(function.body, relax.SeqExpr):
        for block in function.body.blocks:
            yield from (binding.var for binding in block.bindings)


@mutator
class _Renamer(PyExprMutator):  # type: ignore[misc]  # TVM has no types
    def __init__(self, names: dict[Any, str]) -> None:
        super().__init__()
        self._names = names

    def visit_dataflow_var_def_(self, variable: Any) -> Any:
        return self._renamed(variable, relax.DataflowVar)

    def visit_var_def_(self, variable: Any) -> Any:
        return self._renamed(variable, relax.Var)

    def _renamed(self, variable: Any, kind: Any) -> Any:
        if variable not in self._names:  # a parameter
            return variable
        renamed = kind(self._names[variable], variable.ty)
        self.set_var_remap(variable, renamed)
        return renamed
