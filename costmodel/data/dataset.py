"""Measured networks as one Parquet file: records beside their graphs, small enough to be committed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from costmodel.data.journal import Journal, JournalHeader
from costmodel.data.records import MeasurementRecord, Status
from costmodel.data.weightless import graph_hash, strip_weights
from costmodel.errors import DataError
from costmodel.files import replaced

if TYPE_CHECKING:
    import pyarrow as pa
    from onnx import ModelProto

__all__ = ["Dataset"]

_METADATA_KEY = b"costmodel"
"""Where the header, as JSON, is in the file's metadata."""

_IN_HEADER = {"schema_version", "platform"}
_SAME_FOR_ALL = {"status", "reason"}

_ZSTD_LEVEL = 19
"""Networks of a family resemble each other; the slowest level finds it across graphs, which halves the file."""


@dataclass(frozen=True)
class Dataset:
    """Networks measured on one platform.

    Attributes:
        header: Platform, environment and measuring settings of all records.
        records: One for each network and batch; only measurements that are to be trusted.
        graphs: Serialised weightless ONNX models by :func:`~costmodel.data.weightless.graph_hash`.
    """

    header: JournalHeader
    records: tuple[MeasurementRecord, ...]
    graphs: Mapping[str, bytes]

    def __post_init__(self) -> None:
        lacking = [record.model for record in self.records if record.model_hash not in self.graphs]
        if lacking:
            raise DataError(
                f"{len(lacking)} records have no graph: {', '.join(lacking[:5])}{' ...' if len(lacking) > 5 else ''}. "
                "Give the models that were measured, unchanged."
            )

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[tuple[MeasurementRecord, ModelProto]]:
        """Each record with its weightless model."""
        for record in self.records:
            yield record, self.model(record)

    @property
    def platform(self) -> str:
        """Name of the platform."""
        return self.header.platform

    def model(self, record: MeasurementRecord) -> ModelProto:
        """The weightless model that ``record`` was measured on.

        Raises:
            DataError: It is no record of this dataset.
        """
        from onnx import ModelProto

        graph = self.graphs.get(record.model_hash or "")
        if graph is None:
            raise DataError(f"the record of {record.model!r} is not from the dataset of {self.platform}.")
        model = ModelProto()
        model.ParseFromString(graph)
        return model

    @classmethod
    def from_journal(cls, path: str | os.PathLike[str], models: Iterable[ModelProto]) -> Dataset:
        """Join a journal of measurements with the models they were made on.

        Args:
            path: The journal; measurements that failed or are not to be trusted are left out.
            models: The models, in any order, with or without weights; others than measured are left out.

        Raises:
            DataError: The journal cannot be read, or a measured model is not among ``models``.
        """
        content = Journal(path).read()
        records = tuple(record for record in content.records() if record.is_trusted)
        wanted = {record.model_hash for record in records}
        graphs: dict[str, bytes] = {}
        for model in models:
            model_hash = graph_hash(model)
            if model_hash in wanted:
                graphs[model_hash] = strip_weights(model).SerializeToString(deterministic=True)
        return cls(content.header, records, graphs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one Parquet file, each graph once; a file that is there is replaced when the new one is complete.

        Raises:
            DataError: The file cannot be written.
        """
        import pyarrow.parquet as pq

        try:
            with replaced(Path(path)) as partial:
                pq.write_table(
                    self._table(),
                    partial,
                    compression="zstd",
                    compression_level=_ZSTD_LEVEL,
                    dictionary_pagesize_limit=1 << 30,  # beyond it, graphs would be written again for every record
                    row_group_size=max(len(self), 1),  # each row group has a dictionary of its own
                )
        except OSError as error:
            raise DataError(
                f"cannot write the dataset {path}: {error}. Make room, or name another place, and write it again."
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dataset:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: The file is missing, no Parquet, not a dataset of this library, or of a later version.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path, read_dictionary=["graph"])
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"cannot read the dataset {path}: {str(error).splitlines()[0]}") from error
        metadata = table.schema.metadata or {}
        if _METADATA_KEY not in metadata:
            raise DataError(f"{path} is a Parquet file, but not a dataset of measurements: it has no header.")
        try:
            header = JournalHeader.model_validate_json(metadata[_METADATA_KEY])
            records = tuple(
                MeasurementRecord(platform=header.platform, status=Status.OK, **row)
                for row in table.drop_columns(["graph"]).to_pylist()
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
        return cls(header, records, _graphs(table))

    def _table(self) -> pa.Table:
        import pyarrow as pa

        rows = [
            {**record.model_dump(exclude=_IN_HEADER | _SAME_FOR_ALL), "graph": self.graphs[str(record.model_hash)]}
            for record in self.records
        ]
        return pa.Table.from_pylist(rows, _schema(self.header))


def _schema(header: JournalHeader) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("model", pa.string()),
            ("model_hash", pa.string()),
            ("batch", pa.int64()),
            ("latency_ms", pa.float64()),
            ("visits", pa.int64()),
            ("runs", pa.int64()),
            ("spread", pa.float64()),
            ("clock", pa.string()),
            ("wall_cpu_ratio", pa.float64()),
            ("reference_ms", pa.float64()),
            ("measured_at", pa.timestamp("us", tz="UTC")),
            ("graph", pa.dictionary(pa.int32(), pa.binary())),
        ],
        metadata={_METADATA_KEY: header.model_dump_json().encode()},
    )


def _graphs(table: pa.Table) -> dict[str, bytes]:
    """Graphs by hash, each decoded once however many records share it."""
    graphs: dict[str, bytes] = {}
    column = table.column("graph").unify_dictionaries().combine_chunks()
    dictionary = column.dictionary.to_pylist()
    for model_hash, index in zip(table.column("model_hash").to_pylist(), column.indices.to_pylist(), strict=True):
        graphs[model_hash] = dictionary[index]
    return graphs
