"""``costmodel platforms``: which platforms there are predictions for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.options import DEFAULT_WEIGHTS, FileOption, FormatOption, WeightsOption
from costmodel.cli.output import Format, Output, Report

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.platforms import Platform

__all__ = ["PlatformReport", "platforms"]


def platforms(
    pattern: Annotated[str, typer.Argument(help="Name, alias or glob of the platforms to list.")] = "*",
    weights: WeightsOption = DEFAULT_WEIGHTS,
    form: FormatOption = Format.TABLE,
    file: FileOption = None,
) -> None:
    """List the platforms that `-p` accepts."""
    from costmodel.platforms import PlatformRegistry
    from costmodel.pretrained import pretrained_platforms, saved_platforms

    found = PlatformRegistry((*pretrained_platforms(weights), *saved_platforms())).resolve(pattern)
    Output(form, file).write(PlatformReport(found))


class PlatformReport(Report):
    """Platforms as JSON, CSV and a table."""

    def __init__(self, platforms: Sequence[Platform]) -> None:
        self._platforms = platforms

    def document(self) -> dict[str, object]:
        """``{"platforms": [...]}`` with every field of a platform."""
        return {"platforms": [platform.model_dump(mode="json") for platform in self._platforms]}

    def columns(self) -> Sequence[str]:
        """The fields of a platform that are one value each, and its aliases."""
        return ("name", "device", "kind", "runtime", "precision", "layout", "compiled", "threads", "aliases", "source")

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per platform, its aliases in one cell."""
        for platform in self._platforms:
            fields = platform.model_dump(mode="json", exclude={"environment"})
            yield {**fields, "aliases": " ".join(platform.aliases)}

    def tables(self) -> Iterable[RenderableType]:
        """One line per platform."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("platform", "what it is", "aliases"):
            table.add_column(heading, overflow="fold")
        for platform in self._platforms:
            table.add_row(platform.name, platform.description, " ".join(platform.aliases))
        yield table
