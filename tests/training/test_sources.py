from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from torch import nn

from costmodel.data import Dataset, GraphStore
from costmodel.data.families import generate
from costmodel.data.journal import JournalHeader
from costmodel.data.model_profile import KernelTime, ModelProfile, read_profiles
from costmodel.data.records import Clock, MeasurementRecord, Status
from costmodel.data.weightless import graph_hash, strip_weights
from costmodel.errors import DataError
from costmodel.graph import load_graph
from costmodel.platforms.environment import Environment
from costmodel.training.sources import DatasetSource, TableSource, TimmSource, gather

LABEL = "fp32-nchw-pt240-cpu-i9_10940x-dynamo"
ROWS = (
    "ghostnetv3_100,224",  # timed with its branches merged
    "regnety_2560,224",  # an earlier definition
    "regnety_2560,384",
    "resnet18,224",
    "resnet34,224",  # no graph
)


def test_rows_of_other_networks_and_rows_without_a_graph_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    table = "platform,arch,infer_img_size,infer_batch_size,infer_step_time\n"
    table += "".join(f"{LABEL},{row},1,{5 + index}\n" for index, row in enumerate(ROWS))
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "infer_latency.csv.gz").write_bytes(gzip.compress(table.encode()))
    monkeypatch.setenv("COSTMODEL_DATA", str(tmp_path))
    store = GraphStore(tmp_path / "graphs")
    graph = load_graph(nn.ReLU(), example_inputs=(torch.zeros(1, 3),))
    for row in ROWS[:-1]:
        store.write(row.replace(",", "@"), graph)

    found = list(TimmSource(path=tmp_path / "graphs").measurements())

    assert [(item.network, item.latency_ms) for item in found] == [("regnety_2560@384", 7), ("resnet18@224", 8)]
    assert found[0].platform.name == "i9-10940x-pt2.4-fp32-dynamo"
    assert found[0].read() == graph


def test_a_table_may_name_graphs_of_a_store_and_time_them_at_several_batches(tmp_path: Path):
    store = GraphStore(tmp_path / "graphs")
    graph = load_graph(nn.ReLU(), example_inputs=(torch.zeros(1, 3),))
    store.write("resnet18@224", graph)
    table = tmp_path / "tables" / "card.csv"
    table.parent.mkdir()
    table.write_text("model,platform,latency_ms,batch\nresnet18@224,card,2,1\nresnet18@224,card,9,128\n")

    source = TableSource(path=Path("tables/card.csv"), graphs=Path("graphs")).relative_to(tmp_path)
    found = list(source.measurements())

    assert [(item.network, item.family, item.batch) for item in found] == [
        ("resnet18@224", "resnet", 1),
        ("resnet18@224-b128", "resnet", 128),
    ]
    assert all(item.read() == graph for item in found)


def test_a_table_may_come_with_profiles_of_some_rows(tmp_path: Path):
    for name in ("resnet18", "resnet34"):
        model = generate("squeezenet", 0, weights=False)
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "table.csv").write_text(
        "model,platform,latency_ms\nresnet18.onnx,card,2\nresnet18.onnx,board,3\nresnet34.onnx,card,9\n"
    )
    first, second = (op.sources[0] for op in load_graph(tmp_path / "resnet18.onnx").ops[:2])
    kernels = [
        KernelTime(name="a", op_type="Conv", node=first, time_ms=3),
        KernelTime(name="b", op_type="Conv", node=second, time_ms=1),
        KernelTime(name="c", op_type="Reorder", node=None, time_ms=5),
    ]
    profile = ModelProfile(model="resnet18", platform="card", runs=2, run_ms=10, kernels=tuple(kernels))
    (tmp_path / "profiles").mkdir()
    profile.save(tmp_path / "profiles" / "resnet18.json")

    source = TableSource(path=Path("table.csv"), profiles=Path("profiles")).relative_to(tmp_path)
    data, platforms = gather([source])

    assert [platform.name for platform in platforms] == ["card", "board"]
    assert list(data.kernel_shares) == [(0, 0)]
    assert sorted(data.kernel_shares[0, 0].shares.tolist(), reverse=True)[:2] == [0.75, 0.25]
    assert list(data.subset([1, 0]).kernel_shares) == [(1, 0)]
    assert list(data.on_platforms(["board", "card"]).kernel_shares) == [(0, 1)]
    assert not data.on_platforms(["board"]).kernel_shares


def test_a_folder_without_profiles_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="holds no profiles; make some with: costmodel measure --profile"):
        read_profiles(tmp_path)


def test_a_dataset_tells_the_precision_and_the_card_of_its_platform(tmp_path: Path):
    model = strip_weights(generate("squeezenet", 0, weights=False))
    environment = Environment(
        cpu="c",
        logical_cores=1,
        os="o",
        kernel="k",
        python="3",
        runtime="torch",
        runtime_version="2.11",
        threads=1,
        accelerator="NVIDIA H100 80GB HBM3",
    )
    record = MeasurementRecord(
        platform="card",
        model="squeezenet-0000",
        model_hash=graph_hash(model),
        batch=1,
        status=Status.OK,
        clock=Clock.WALL,
        latency_ms=2.0,
        measured_at=datetime.now(UTC),
    )
    header = JournalHeader(platform="card", environment=environment, settings={"precision": "bf16"})
    Dataset(header, (record,), {graph_hash(model): model.SerializeToString()}).save(tmp_path / "card.parquet")

    (found,) = DatasetSource(path=tmp_path / "card.parquet").measurements()

    assert (found.network, found.family, found.latency_ms) == ("squeezenet-0000", "squeezenet", 2.0)
    platform = found.platform
    assert (platform.device, platform.kind, platform.precision) == ("h100", "gpu", "bf16")
