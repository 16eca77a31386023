from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from torch import nn

from costmodel.data import GraphStore
from costmodel.graph import load_graph
from costmodel.training.sources import TimmSource

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
