"""Options that several commands share, and what their text means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from costmodel.cli.output import Format
from costmodel.errors import UsageError

__all__ = [
    "DEFAULT_WEIGHTS",
    "BatchOption",
    "FileOption",
    "FormatOption",
    "ShapeOption",
    "WeightsOption",
    "parse_shapes",
]

DEFAULT_WEIGHTS = "nnformer-base"

BatchOption = Annotated[
    int | None,
    typer.Option("--batch", "-b", min=1, metavar="N", help="Images per run. Default: as the file says, else 1."),
]
ShapeOption = Annotated[
    list[str] | None,
    typer.Option("--shape", metavar="NAME:DIMS", help="Shape of an input, e.g. x:1x3x224x224. Repeat for more inputs."),
]
WeightsOption = Annotated[
    str, typer.Option("--weights", "-w", metavar="NAME_OR_DIR", help="Weights to predict with: a name or a folder.")
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Form of the answer.")]
FileOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the answer to FILE, not to stdout.")
]

_SHAPE = re.compile(r"(?P<name>.+):(?P<dims>\d{1,18}(?:x\d{1,18})*)")


def parse_shapes(texts: Iterable[str] | None) -> dict[str, tuple[int, ...]]:
    """Shapes by input name, from texts such as ``"x:1x3x224x224"``; the name itself may hold colons.

    Raises:
        UsageError: A text is written otherwise, or an input is named twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts or ():
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise UsageError(f"cannot read --shape {text!r}; expected NAME:DIMS, e.g. --shape x:1x3x224x224")
        if match["name"] in shapes:
            raise UsageError(f"--shape names the input {match['name']!r} twice; give each input once.")
        shapes[match["name"]] = tuple(int(dim) for dim in match["dims"].split("x"))
    return shapes
