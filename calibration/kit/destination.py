"""A folder or a zip file that is there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias
from zipfile import ZipFile

from costmodel.errors import DataError, UsageError
from costmodel.files import sole_writer

__all__ = ["WriteFile", "open_destination"]

WriteFile: TypeAlias = Callable[[str, bytes], None]
"""Writes one file, given its path inside and its content."""


@contextmanager
def open_destination(destination: Path) -> Iterator[WriteFile]:
    """Write files into a new folder, or into a new zip file if ``destination`` ends in ``.zip``.

    They are collected under a hidden name beside it, which is changed when the context ends well.  What an earlier
    attempt that was killed left under that name is thrown away.

    Args:
        destination: The folder or file; what exists may only be empty.

    Raises:
        UsageError: There is something at ``destination``, or another process is writing it.
        DataError: It cannot be written.
    """
    destination = destination.absolute()
    if _holds_something(destination):
        raise UsageError(f"{destination} is there already; choose another name, or remove it first.")
    with sole_writer(destination):
        partial = destination.with_name(f".{destination.name}.costmodel-partial")
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            _remove(partial)
            with _opened(partial, as_zip=destination.suffix == ".zip") as write:
                yield write
            if destination.is_dir():
                destination.rmdir()
            partial.replace(destination)
        except OSError as error:
            raise DataError(f"cannot write {destination}: {error.strerror}. Choose another place.") from error
        finally:
            _remove(partial)


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return any(path.iterdir())
    return path.exists() and path.stat().st_size > 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _opened(path: Path, *, as_zip: bool) -> AbstractContextManager[WriteFile]:
    return _zip_file(path) if as_zip else _folder(path)


@contextmanager
def _zip_file(path: Path) -> Iterator[WriteFile]:
    with ZipFile(path, "w") as archive:  # not compressed: made-up weights have no pattern
        yield archive.writestr


@contextmanager
def _folder(path: Path) -> Iterator[WriteFile]:
    def write(name: str, content: bytes) -> None:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    path.mkdir()
    yield write
