"""Where measured networks come from, and how several sources become one training set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from costmodel.data.dataset import Dataset
from costmodel.data.graph_store import GraphStore
from costmodel.data.latency_table import TableRow, read_latency_table
from costmodel.data.model_profile import read_profiles
from costmodel.data.timm_benchmark import (
    architecture_family,
    is_mislabelled,
    read_timm_benchmark,
    timm_benchmark_path,
)
from costmodel.errors import DataError
from costmodel.features import GraphFeatures, build_features
from costmodel.graph import OpGraph, load_graph
from costmodel.platforms import Platform, measured_platform, named_platform, timm_platform
from costmodel.training.kernel_shares import KernelShares
from costmodel.training.training_set import TrainingSet

__all__ = ["DatasetSource", "MeasuredNetwork", "Source", "TableSource", "TimmSource", "gather"]


@dataclass(frozen=True)
class MeasuredNetwork:
    """One latency of one network.

    Attributes:
        network: Key of the network; measurements of the same network share it.
        family: Architecture family.
        platform: What it ran on.
        batch: Images a run.
        latency_ms: Milliseconds a run.
        read: Reads the network; called once for all its measurements.
        node_ms: Milliseconds of the kernels of each of its nodes, where it was profiled.
    """

    network: str
    family: str
    platform: Platform
    batch: int
    latency_ms: float
    read: Callable[[], OpGraph]
    node_ms: Mapping[str, float] = field(default_factory=dict)


class _Source(BaseModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path

    def relative_to(self, folder: Path) -> Self:
        """The same source, its path taken from ``folder`` unless absolute."""
        return self.model_copy(update={"path": folder / self.path})

    @abstractmethod
    def measurements(self) -> Iterator[MeasuredNetwork]:
        """Every measurement of the source."""


class TimmSource(_Source):
    """timm's published step times, joined with graphs of its architectures.

    Attributes:
        path: Folder of graphs, :class:`~costmodel.data.GraphStore`, made by ``benchmarks/timm_graphs.py``.
        platforms: Labels to read; every label when empty.
    """

    kind: Literal["timm"] = "timm"
    platforms: tuple[str, ...] = ()

    def measurements(self) -> Iterator[MeasuredNetwork]:
        """Rows of the table in the ``COSTMODEL_DATA`` folder that tell of a network among the graphs."""
        store = GraphStore(self.path)
        platforms: dict[str, Platform] = {}
        for row in read_timm_benchmark(timm_benchmark_path()):
            key = f"{row.arch}@{row.image_size}"
            if key not in store or is_mislabelled(row) or (self.platforms and row.platform not in self.platforms):
                continue
            yield MeasuredNetwork(
                network=key,
                family=architecture_family(row.arch),
                platform=platforms.setdefault(row.platform, timm_platform(row.platform)),
                batch=row.batch,
                latency_ms=row.latency_ms,
                read=lambda key=key: store.read(key),  # type: ignore[misc]  # binds this row's key
            )


class DatasetSource(_Source):
    """A Parquet file of networks measured on one platform, see :class:`~costmodel.data.Dataset`."""

    kind: Literal["dataset"] = "dataset"

    def measurements(self) -> Iterator[MeasuredNetwork]:
        """Every record of the file."""
        dataset = Dataset.load(self.path)
        precision = str(dataset.header.settings.get("precision", "fp32"))
        platform = measured_platform(dataset.platform, dataset.header.environment, precision)
        for record, model in dataset:
            if record.latency_ms is None or record.batch is None:
                continue
            yield MeasuredNetwork(
                network=record.model,
                family=architecture_family(record.model),
                platform=platform,
                batch=record.batch,
                latency_ms=record.latency_ms,
                read=lambda model=model: load_graph(model),  # type: ignore[misc]  # binds this record's model
            )


class TableSource(_Source):
    """A CSV file with columns ``model``, ``platform``, ``latency_ms`` and optionally ``batch``.

    A network's family is what is left of its name up to the first character that is not a letter.  At another batch
    than in its first row, a network counts as another one.

    Attributes:
        path: The table.
        graphs: Folder of graphs, :class:`~costmodel.data.GraphStore`, that ``model`` is a key of; without it, ``model``
            is the path of an ONNX file, taken from the table's folder.
        profiles: Folder of profiles as ``costmodel measure --profile`` writes them, of some of the table's rows; they
            are learned from where ``fit.kernel_shares`` says so.
    """

    kind: Literal["table"] = "table"
    graphs: Path | None = None
    profiles: Path | None = None

    def relative_to(self, folder: Path) -> Self:
        """The same source, its paths taken from ``folder`` unless absolute."""
        folders = {"graphs": self.graphs, "profiles": self.profiles}
        taken = {name: None if path is None else folder / path for name, path in folders.items()}
        return super().relative_to(folder).model_copy(update=taken)

    def measurements(self) -> Iterator[MeasuredNetwork]:
        """Every row of the table."""
        first_batch: dict[str, int] = {}
        profiles = [] if self.profiles is None else read_profiles(self.profiles)
        node_ms = {(profile.model, profile.platform): dict(profile.by_node()) for profile in profiles}
        for row in read_latency_table(self.path, needs_platform=True):
            batch = row.batch or 1
            is_first = first_batch.setdefault(row.model, batch) == batch
            yield MeasuredNetwork(
                network=row.model if is_first else f"{row.model}-b{batch}",
                family=architecture_family(Path(row.model).stem.lower()),
                platform=named_platform(row.platform),
                batch=batch,
                latency_ms=row.latency_ms,
                read=self._reader(row),
                node_ms=node_ms.get((Path(row.model).stem, row.platform), {}),
            )

    def _reader(self, row: TableRow) -> Callable[[], OpGraph]:
        if self.graphs is None:
            return lambda: load_graph(row.file)
        return partial(GraphStore(self.graphs).read, row.model)


@dataclass(frozen=True, slots=True)
class _Network:
    """A network that was read: its features, and which of the model's nodes each row stands for."""

    family: str
    features: GraphFeatures
    sources: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, item: MeasuredNetwork) -> _Network:
        graph = item.read()
        features = build_features(graph)
        return cls(item.family, features, tuple(graph.ops[index].sources for index in features.op_index))


Source = Annotated[TimmSource | DatasetSource | TableSource, Field(discriminator="kind")]


def gather(sources: Sequence[Source]) -> tuple[TrainingSet, tuple[Platform, ...]]:
    """All measurements of ``sources`` as one table, networks by platforms.

    A network measured several times on a platform counts once, at its first batch.

    Raises:
        DataError: There is nothing to train on.
    """
    networks: dict[str, _Network] = {}
    platforms: dict[str, Platform] = {}
    cells: dict[tuple[str, str], tuple[float, int]] = {}
    profiled: dict[tuple[str, str], KernelShares] = {}
    for source in sources:
        for item in source.measurements():
            if item.network not in networks:
                networks[item.network] = _Network.of(item)
            platforms.setdefault(item.platform.name, item.platform)
            cells.setdefault((item.network, item.platform.name), (item.latency_ms, item.batch))
            network = networks[item.network]
            shares = KernelShares.of_times(item.node_ms, network.features, network.sources) if item.node_ms else None
            if shares is not None:
                profiled.setdefault((item.network, item.platform.name), shares)
    if not cells:
        raise DataError("no measured network in any source; check the paths, and that graphs were made.")
    latency_ms = np.full((len(networks), len(platforms)), np.nan)
    batch = np.ones_like(latency_ms)
    rows = {name: row for row, name in enumerate(networks)}
    columns = {name: column for column, name in enumerate(platforms)}
    for (name, platform), (milliseconds, images) in cells.items():
        place = rows[name], columns[platform]
        latency_ms[place], batch[place] = milliseconds, images
    data = TrainingSet(
        names=tuple(networks),
        families=tuple(network.family for network in networks.values()),
        features=tuple(network.features for network in networks.values()),
        platforms=tuple(platforms),
        latency_ms=latency_ms,
        batch=batch,
        kernel_shares={(rows[name], columns[platform]): shares for (name, platform), shares in profiled.items()},
    )
    return data, tuple(platforms.values())
