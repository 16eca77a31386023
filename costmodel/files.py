"""Files that survive: on the disk when they are said to be, and replaced whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING

from costmodel.errors import UsageError

if TYPE_CHECKING:
    from filelock import FileLock
    from torch import Tensor

__all__ = [
    "append_durably",
    "machine_lock",
    "replaced",
    "save_tensors",
    "sole_writer",
    "split_torn_line",
    "sync_folder",
]


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
        partial.touch()
        mode = S_IMODE(partial.stat().st_mode)
        yield partial
        partial.chmod(mode)  # safetensors keeps all others from reading what it writes
        with partial.open("rb+") as stream:  # renamed before its content is on the disk, a power cut would empty it
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    sync_folder(path.parent)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Replace a file by one of safetensors, see :func:`replaced`.

    Raises:
        OSError: It cannot be written; safetensors has an error of its own for that.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with replaced(path) as partial:
        try:
            save_file(dict(tensors), partial, None if metadata is None else dict(metadata))
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            code = int(number[1])
            raise OSError(code, os.strerror(code), str(path)) from error


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


def append_durably(descriptor: int, line: bytes) -> None:
    """Append to an open file and wait until it is on the disk.

    Raises:
        OSError: It cannot be written, e.g. because the disk is full.  The file is as it was before, unless that fails
            too: then what is left of the line has no newline at its end.
    """
    length = os.fstat(descriptor).st_size
    try:
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
        raise


def split_torn_line(content: bytes) -> tuple[bytes, bytes]:
    """The complete lines of a file, and what follows the last newline."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def machine_lock(name: str, timeout_s: float = -1) -> FileLock:
    """A lock that one process of this machine holds at a time, whoever's it is.

    Args:
        name: Tells it from others.
        timeout_s: How long to wait for it; below zero for ever.
    """
    from filelock import FileLock

    return FileLock(Path(tempfile.gettempdir()) / f"costmodel-{name}.lock", timeout=timeout_s, mode=0o666)


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keeps other processes of this machine that ask likewise from writing to ``path`` at the same time.

    Args:
        path: A file or folder, there or not.

    Raises:
        UsageError: Another process writes to it.
    """
    from filelock import Timeout

    name = sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    try:
        with machine_lock(name, timeout_s=0):
            yield
    except Timeout as error:
        raise UsageError(f"another process is writing {path}; wait for it, or choose another name.") from error
