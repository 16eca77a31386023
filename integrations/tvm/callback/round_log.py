"""Rounds of tuning as a file: one JSON line a round and task, on the disk before the next round starts."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from costmodel.errors import UsageError
from costmodel.files import append_durably, split_torn_line, sync_folder
from costmodel.integrations.tvm.callback.task_progress import Round

__all__ = ["RoundLog"]

_SCHEMA_VERSION = 1
_FIRST_KEY = b'{"schema_version"'
"""How each line begins."""


class RoundLog:
    """Appends rounds to a file, which may hold those of earlier runs.

    The fields of a line are those of :class:`Round`, after a ``schema_version``; what is unknown is ``null``.  An
    unfinished last line, left by a process that was killed, is removed.

    Args:
        path: The file; it and its folder are made if needed.

    Raises:
        UsageError: It cannot be written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no ordinary file, so no tuning log can be kept in it; choose another.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(b"")
            self._remove_torn_line()
            sync_folder(path.parent)
        except OSError as error:
            raise UsageError(
                f"cannot write the tuning log {path}: {error.strerror}. Make room, or choose another place."
            ) from error

    def append(self, finished: Round) -> None:
        """Write a round and wait until it is on the disk.

        Raises:
            OSError: It cannot be written, e.g. because the disk is full.  The log is as it was before.
        """
        line = json.dumps({"schema_version": _SCHEMA_VERSION, **asdict(finished)}, allow_nan=False)
        self._append(line.encode() + b"\n")

    def _append(self, line: bytes) -> None:
        # Opened for each round: a handle kept open would go to every process that a builder starts.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            append_durably(descriptor, line)
        finally:
            os.close(descriptor)

    def _remove_torn_line(self) -> None:
        content = self._path.read_bytes()
        complete, torn = split_torn_line(content)
        if content and not (content.startswith(_FIRST_KEY) or _FIRST_KEY.startswith(content)):
            raise UsageError(f"{self._path} is not a log of tuning rounds; choose another place, or move it away.")
        if torn:
            os.truncate(self._path, len(complete))
