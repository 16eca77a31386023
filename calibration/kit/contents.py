"""The files of a kit that came back, as a folder or as a zip file."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile
from zipfile import Path as ZipPath

from costmodel.calibration.kit.manifest import MANIFEST_FILE, Manifest
from costmodel.errors import DataError, UsageError

__all__ = ["KitContents"]


class KitContents:
    """Reads the files of a kit.

    Args:
        path: The folder or the zip file; the kit may also be the one folder in it, as some packers leave it.

    Raises:
        UsageError: There is no such folder or file, or no kit in it.
        DataError: Its manifest cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._root = _root(path)
        self.path = path
        self.manifest = Manifest.parse(self.read(MANIFEST_FILE), f"{path}: {MANIFEST_FILE}")

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``."""
        return (self._root / name).is_file()

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DataError: It is missing or cannot be read.
        """
        try:
            return (self._root / name).read_bytes()
        except (OSError, KeyError, BadZipFile) as error:
            raise DataError(f"{self.path}: cannot read {name}: {error}.") from error


def _root(path: Path) -> Path | ZipPath:
    if path.is_dir():
        top: Path | ZipPath = path
    elif path.is_file() and is_zipfile(path):
        top = ZipPath(ZipFile(path))
    else:
        raise UsageError(f"no kit at {path}; expected the folder or zip file of: costmodel calibrate export")
    for folder in (top, *(entry for entry in top.iterdir() if entry.is_dir())):
        if (folder / MANIFEST_FILE).is_file():
            return folder
    raise UsageError(f"{path} holds no {MANIFEST_FILE}; expected what was made by: costmodel calibrate export")
