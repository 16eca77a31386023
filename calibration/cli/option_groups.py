"""Options that several commands share, as one parameter of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar, get_type_hints

__all__ = ["with_option_groups"]

_Result = TypeVar("_Result")


def with_option_groups(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """``command`` as typer can read it: a parameter that is a dataclass gives way to the fields of the dataclass.

    Args:
        command: With fields annotated like parameters, ``Annotated[str, typer.Option(...)]``, of names that no other
            parameter has.
    """
    written = signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in written.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def typed(**given: Any) -> _Result:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    options = [option for parameter in written.parameters.values() for option in _options(parameter)]
    typed.__signature__ = written.replace(parameters=options)  # type: ignore[attr-defined]  # inspect asks for it
    return typed


def _options(parameter: Parameter) -> Iterator[Parameter]:
    if not is_dataclass(parameter.annotation):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
        return
    annotations = get_type_hints(parameter.annotation, include_extras=True)
    for field in fields(parameter.annotation):
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotations[field.name])
