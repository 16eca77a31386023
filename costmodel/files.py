"""Files that survive: on the disk when they are said to be, and replaced whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replaced", "sync_folder"]


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Write a file that takes the place of ``path``, in one step, when the context ends well.

    Its folder is made if needed.  Until then ``path`` is as it was, for a reader, after a crash or on a full disk; two
    processes that write it at once do not mix, the last one counts.

    Args:
        path: The file to replace; it need not exist.

    Yields:
        Where to write: a hidden name beside it, another one each time.  It is removed when the context ends badly.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        with partial.open("rb+") as stream:  # renamed before its content is on the disk, a power cut would empty it
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names of the files in ``folder`` are on the disk, where the system can do that."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some network folders cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
