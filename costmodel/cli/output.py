"""Where a command's data goes, and in which form."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["SCHEMA_VERSION", "Format", "Output", "Report", "as_csv", "as_json", "as_text"]

SCHEMA_VERSION = 1
"""Version of every JSON document the command line prints; raised when a field changes its meaning or goes."""

_WIDTH_WITHOUT_TERMINAL = 160


class Format(StrEnum):
    """Form of a command's data."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Report(ABC):
    """The data of one command, ready to be written in any :class:`Format`."""

    @abstractmethod
    def document(self) -> Mapping[str, object]:
        """The data as a JSON object, without its schema version."""

    @abstractmethod
    def columns(self) -> Sequence[str]:
        """Names of the CSV columns."""

    @abstractmethod
    def rows(self) -> Iterable[Mapping[str, object]]:
        """The data as CSV rows; a missing column is left blank."""

    @abstractmethod
    def tables(self) -> Iterable[RenderableType]:
        """The data as people read it."""


class Output:
    """Writes reports to stdout or to a file.

    Args:
        form: How to write them.
        file: Where to write them; ``None`` is stdout.
    """

    def __init__(self, form: Format, file: Path | None = None) -> None:
        self._form = form
        self._file = file

    def write(self, report: Report) -> None:
        """Write ``report``.

        Raises:
            CostModelError: The file cannot be written, or the disk is full.
        """
        if self._form is Format.JSON:
            text = as_json(report)
        elif self._form is Format.CSV:
            text = as_csv(report)
        else:
            text = as_text(report, to_terminal=self._file is None and sys.stdout.isatty())
        if self._file is None:
            _write_stdout(text)
        else:
            _write_file(self._file, text)


def as_json(report: Report) -> str:
    """The JSON document of ``report``, as ``--format json`` prints it."""
    document = {"schema_version": SCHEMA_VERSION, **report.document()}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """The rows of ``report``, as ``--format csv`` prints them."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, report.columns(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.rows())
    return buffer.getvalue()


def as_text(report: Report, *, to_terminal: bool = False) -> str:
    """The tables of ``report``, as ``--format table`` prints them; as wide as the terminal if they go to one."""
    from rich.console import Console

    console = Console(
        file=io.StringIO() if not to_terminal else None,
        width=None if to_terminal else _WIDTH_WITHOUT_TERMINAL,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )
    with console.capture() as capture:
        for table in report.tables():
            console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _write_file(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise CostModelError(
            f"cannot write {str(file)!r}: {error.strerror}. Choose another place with -o, or leave -o out for stdout."
        ) from error


def _write_stdout(text: str) -> None:
    # A path or a node name may hold characters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader (`| head`) has enough; typer leaves quietly
    except OSError as error:
        _discard_stdout()
        raise CostModelError(f"cannot write to stdout: {error.strerror}. Write to a file with -o.") from error


def _discard_stdout() -> None:
    """Keep the interpreter from failing once more when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
