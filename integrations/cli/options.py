"""Options that several commands of ``costmodel tvm`` share, and what their text means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer

from costmodel.errors import UnknownNameError

__all__ = [
    "CompileTargetOption",
    "RecordsArgument",
    "TargetOption",
    "TaskOption",
    "matching",
    "measurable_target",
    "parse_target",
]

RecordsArgument = Annotated[
    list[Path], typer.Argument(metavar="RECORDS_DIR", help="Folders of records, as collect or TVM itself made them.")
]
TaskOption = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="GLOB", help="Only tasks of this name or kind; repeat for more. Default: all."),
]
TargetOption = Annotated[
    str | None,
    typer.Option(metavar="JSON_OR_KIND", help="What the records are of. Default: the target they name themselves."),
]
CompileTargetOption = Annotated[
    str | None,
    typer.Option(metavar="JSON_OR_KIND", help="What to compile for. Default: one core of this machine."),
]


class _Task(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...


_AnyTask = TypeVar("_AnyTask", bound=_Task)


def matching(tasks: Sequence[_AnyTask], patterns: Iterable[str]) -> list[_AnyTask]:
    """The tasks whose name or kind matches a pattern, in their order.

    Raises:
        UnknownNameError: A pattern matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        names = {task.name for task in tasks if fnmatchcase(task.name, pattern) or fnmatchcase(task.kind, pattern)}
        if not names:
            known = {name for task in tasks for name in (task.kind, task.name)}
            raise UnknownNameError("task", pattern, known, "A glob such as 'conv*' does as well.")
        found |= names
    return [task for task in tasks if task.name in found]


def measurable_target(text: str | None) -> Any:
    """What to compile for, where that can be timed on this machine; one core of it if nothing was typed.

    Raises:
        UsageError: TVM knows no such target, or it cannot be timed here.
    """
    from costmodel.integrations.tvm.targets import host_target, require_measurable_here

    target = host_target() if text is None else parse_target(text)
    require_measurable_here(target)
    return target


def parse_target(text: str) -> Any:
    """TVM's target, from its JSON or from its kind alone.

    Raises:
        UsageError: The text is neither, or TVM knows no such target.
    """
    from costmodel.calibration.cli.tvm_options import parse_target as described
    from costmodel.integrations.tvm.targets import target_from

    return target_from(described(text))
