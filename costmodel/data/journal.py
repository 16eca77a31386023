"""Measurements as they are made: one JSON line each, on the disk before the next one starts."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from costmodel.data.records import MeasurementRecord, Visit
from costmodel.errors import DataError
from costmodel.files import append_durably, split_torn_line, sync_folder
from costmodel.platforms.environment import Environment

__all__ = ["Journal", "JournalContent", "JournalHeader", "JournalWriter"]

logger = logging.getLogger(__name__)


class JournalHeader(BaseModel):
    """First line of a journal: where its measurements come from.

    Attributes:
        kind: Tells the header from the other lines.
        schema_version: Version of the journal's layout.
        platform: Name of the platform everything in the journal was measured on.
        environment: The machine and the runtime.
        settings: How it was measured; only measurements made with equal settings go into one journal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["header"] = "header"
    schema_version: Literal[1] = 1
    platform: str = Field(min_length=1)
    environment: Environment
    settings: dict[str, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What a journal holds.

    Attributes:
        header: Its first line.
        visits: All visits, in the order they were made.
        torn_bytes: Length of an unfinished last line, which is not among ``visits``; 0 when there is none.
    """

    header: JournalHeader
    visits: tuple[Visit, ...]
    torn_bytes: int = 0

    def by_model(self) -> dict[str, list[Visit]]:
        """The visits to each model, models in the order of their first visit."""
        groups: dict[str, list[Visit]] = {}
        for visit in self.visits:
            groups.setdefault(visit.model, []).append(visit)
        return groups

    def records(self) -> list[MeasurementRecord]:
        """What the visits add up to, one record a model."""
        return [MeasurementRecord.from_visits(self.header.platform, visits) for visits in self.by_model().values()]


_Line = TypeVar("_Line", JournalHeader, Visit)

_REMEDY: dict[type[BaseModel], str] = {
    JournalHeader: "Choose another place, or move the file away to begin anew.",
    Visit: "Take that line out with a text editor to go on with all others.",
}
"""What to do about a line that cannot be read."""


class Journal:
    """An append-only file of visits: a header line, then one JSON line a visit.

    A line counts once it ends in a newline.  A process that is killed in the middle of a line leaves an unfinished
    one, which readers skip and the next writer removes.

    Args:
        path: The file; it need not exist before :meth:`writer` is called.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self) -> JournalContent:
        """Everything the journal holds.

        Raises:
            DataError: The file is missing, has no header, or has a line that is not a visit.
        """
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read the journal {self.path}: {error.strerror}.") from error
        complete, torn = split_torn_line(raw)
        if torn:
            logger.warning("%s: skipped an unfinished last line of %d bytes.", self.path, len(torn))
        header_line, *visit_lines = complete.splitlines() or [b""]
        header = self._parse(JournalHeader, header_line, 1)
        visits = tuple(self._parse(Visit, line, number) for number, line in enumerate(visit_lines, start=2))
        return JournalContent(header, visits, len(torn))

    @contextmanager
    def writer(self, header: JournalHeader) -> Iterator[JournalWriter]:
        """Open the journal for appending; nobody else can until the context ends.

        A new file gets ``header`` as its first line; an unfinished last line is removed.

        Raises:
            DataError: Another process is writing, the journal was made with another header, it is damaged, or the
                file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise DataError(
                f"cannot write the journal {self.path}: {error.strerror}. Make room, or choose another place."
            ) from error
        try:
            self._check_ordinary(descriptor)
            self._lock(descriptor)
            writer = JournalWriter(self.path, descriptor)
            self._prepare(writer, header)
            yield writer
        finally:
            os.close(descriptor)  # gives the lock back as well

    def _check_ordinary(self, descriptor: int) -> None:
        """A device or a pipe can be opened and locked, but what is written there is gone."""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError(f"{self.path} is no ordinary file, so measurements cannot be kept in it; choose another.")

    def _prepare(self, writer: JournalWriter, header: JournalHeader) -> None:
        complete, torn = split_torn_line(self.path.read_bytes())
        if not complete and not _encode(header).startswith(torn):
            raise DataError(f"{self.path} is not a journal of measurements; choose another place, or move it away.")
        if torn:
            logger.warning("%s: removed an unfinished last line of %d bytes.", self.path, len(torn))
            writer.truncate(len(complete))
        if complete:
            self._check_same_header(self.read().header, header)
        else:
            writer.append(header)
            sync_folder(self.path.parent)

    def _check_same_header(self, found: JournalHeader, wanted: JournalHeader) -> None:
        differences = _differences(found.model_dump(mode="json"), wanted.model_dump(mode="json"))
        if differences:
            raise DataError(
                f"{self.path} was measured under other conditions: {'; '.join(differences)}. "
                "Measurements of one journal must be comparable: choose another place, or the same conditions."
            )

    def _lock(self, descriptor: int) -> None:
        try:
            import fcntl
        except ImportError:
            logger.warning("no file locks on this system: make sure that one process at a time writes %s.", self.path)
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"another process is writing {self.path}; wait until it has finished, or choose another place."
            ) from error
        except OSError:
            logger.warning("no file locks in %s: make sure that one process at a time writes there.", self.path.parent)

    def _parse(self, kind: type[_Line], line: bytes, number: int) -> _Line:
        try:
            return kind.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"{self.path}, line {number}: expected a {kind.__name__.removeprefix('Journal').lower()}, "
                f"got {line[:60].decode(errors='replace')!r} ({where + ': ' if where else ''}{first['msg']}). "
                f"{_REMEDY[kind]}"
            ) from error


class JournalWriter:
    """Appends to an open, locked journal; made by :meth:`Journal.writer`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def append(self, entry: JournalHeader | Visit) -> None:
        """Write one line and wait until it is on the disk.

        Raises:
            DataError: It cannot be written, e.g. because the disk is full.  The journal is as it was before.
        """
        try:
            append_durably(self._descriptor, _encode(entry))
        except OSError as error:
            raise DataError(
                f"cannot append to the journal {self._path}: {error.strerror}. Everything measured before is kept; "
                "free some space and run the same command again to go on."
            ) from error

    def truncate(self, length: int) -> None:
        """Cut the file after ``length`` bytes."""
        os.ftruncate(self._descriptor, length)
        os.fsync(self._descriptor)


def _encode(entry: JournalHeader | Visit) -> bytes:
    return entry.model_dump_json().encode() + b"\n"


def _differences(found: dict[str, JsonValue], wanted: dict[str, JsonValue], prefix: str = "") -> list[str]:
    texts: list[str] = []
    for key in dict.fromkeys([*found, *wanted]):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            texts += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            texts.append(f"{prefix}{key} was {old!r}, now {new!r}")
    return texts
