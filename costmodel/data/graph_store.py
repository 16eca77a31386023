"""A folder of graphs: one compressed JSON file each, so that a long export can be interrupted and gone on with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from costmodel.errors import DataError
from costmodel.graph import OpGraph
from costmodel.graph.serde import from_json, to_json

__all__ = ["GraphStore"]

_SUFFIX = ".json.gz"


class GraphStore:
    """Graphs by key, kept in a folder.

    Args:
        folder: Where the files are; made at the first :meth:`write`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def __iter__(self) -> Iterator[str]:
        return (unquote(path.name.removesuffix(_SUFFIX)) for path in sorted(self.folder.glob(f"*{_SUFFIX}")))

    def write(self, key: str, graph: OpGraph) -> None:
        """Keep ``graph`` under ``key``; a file appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(key).with_suffix(".partial")
        partial.write_bytes(gzip.compress(json.dumps(to_json(graph)).encode()))
        partial.replace(self._path(key))

    def read(self, key: str) -> OpGraph:
        """The graph under ``key``.

        Raises:
            DataError: There is none, or its file is damaged.
        """
        path = self._path(key)
        try:
            return from_json(json.loads(gzip.decompress(path.read_bytes())))
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"no graph can be read from {path} ({error}); export it again.") from error

    def _path(self, key: str) -> Path:
        return self.folder / f"{quote(key, safe='@. ')}{_SUFFIX}"
