"""Accuracies on the command line: trained from a table, predicted for architectures."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from costmodel.spaces import NASBench101, NASBench201

SPACE = NASBench201()
_rng = np.random.default_rng(0)
ARCHS = list(dict.fromkeys(SPACE.draw(_rng) for _ in range(60)))
CONFIG = """
name = "small"
space = "nasbench201"
[table]
path = "$TABLES/accuracies.csv.gz"
label = "validation"
test_label = "test"
share = 0.5
[model]
members = 2
dim = 16
depth = 1
[model.fit]
steps = 60
cells_per_step = 16
learning_rate = 3e-3
ranking = 1.0
"""


def percent(arch: str) -> float:
    return 50 + 5.0 * arch.count("conv_3x3") + 3.0 * arch.count("conv_1x1")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TABLES", str(tmp_path))
    rows = "".join(f"{arch},{percent(arch)},{percent(arch) - 1}\n" for arch in ARCHS)
    (tmp_path / "accuracies.csv.gz").write_bytes(gzip.compress(f"arch,validation,test\n{rows}".encode()))
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return path


def test_a_table_becomes_a_predictor_of_architectures(run, config: Path, tmp_path: Path):
    trained = run("train", config, "-o", tmp_path / "run")

    assert trained.code == 0, trained.err
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["learned_from"], report["others"]) == (len(ARCHS) // 2, len(ARCHS) - len(ARCHS) // 2)
    assert report["tau_unseen"] > 0.4
    assert f"{report['tau_unseen']:.3f} over the {report['others']} others" in trained.out
    assert run("train", config, "-o", tmp_path / "run").out == trained.out, "it goes on from the checkpoints"
    other_seed = run("train", config, "-o", tmp_path / "run", "--seed", 5)
    assert (other_seed.code, "--no-resume" in other_seed.err) == (1, True)

    predicted = run("predict", "-w", tmp_path / "run", *ARCHS[:3], "--format", "json")
    assert (predicted.code, predicted.err) == (0, "")
    document = json.loads(predicted.out)
    assert (document["schema_version"], document["space"]) == (1, "nasbench201")
    assert [entry["arch"] for entry in document["accuracies"]] == ARCHS[:3]
    assert all(0 < entry["accuracy_percent"] < 100 for entry in document["accuracies"])
    table = run("predict", "-w", tmp_path / "run", ARCHS[0]).out
    assert ARCHS[0] in table
    rows = list(csv.DictReader(io.StringIO(run("predict", "-w", tmp_path / "run", ARCHS[0], "--format", "csv").out)))
    assert [row["arch"] for row in rows] == ARCHS[:1]

    not_one = run("predict", "-w", tmp_path / "run", "resnet50.onnx")
    assert (not_one.code, "resnet50.onnx" in not_one.err) == (2, True)
    on_a_platform = run("predict", "-w", tmp_path / "run", ARCHS[0], "-p", "pixel3")
    assert (on_a_platform.code, "--platform" in on_a_platform.err) == (2, True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("$TABLES/accuracies", "$NOT_SET_ANYWHERE/accuracies", "an environment variable in it is not set"),
        ("accuracies.csv.gz", "absent.csv.gz", "cannot be read as a CSV table"),
        ('label = "validation"', 'label = "valid"', "no column 'valid'; found arch, validation, test"),
        ('label = "validation"', 'label = "arch"', "expected a number in 'arch'"),
        ("share = 0.5", "share = 1.5", "table.share"),
        ('space = "nasbench201"', 'space = "nasbench2"', "nasbench201"),
    ],
)
def test_what_is_wrong_is_told(run, config: Path, tmp_path: Path, old: str, new: str, said: str):
    config.write_text(config.read_text().replace(old, new))

    done = run("train", config, "-o", tmp_path / "run")

    assert done.code in (1, 2)
    assert said in done.err


def test_cells_of_nasbench101_are_learned_from_its_own_table(run, tmp_path: Path):
    space = NASBench101()
    rng = np.random.default_rng(0)
    cells = []
    while len(cells) < 30:
        graph = space.cell_graph(space.draw(rng))
        matrix = np.zeros((len(graph), len(graph)), dtype=int)
        matrix[tuple(graph.edges.T)] = 1
        accuracy = 0.5 + 0.01 * len(graph.edges) + 0.03 * int((graph.operations == 2).sum())
        names = [space.operations[kind] for kind in graph.operations]
        cells.append(
            {"operations": names, "matrix": matrix.tolist(), "validation_accuracy": accuracy, "test_accuracy": accuracy}
        )
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    text = CONFIG.replace("nasbench201", "nasbench101").replace("$TABLES/accuracies.csv.gz", "cells.json")
    text = text.replace('label = "validation"', 'label = "validation_percent"').replace('"test"', '"test_percent"')
    (tmp_path / "cells.toml").write_text(text)

    trained = run("train", tmp_path / "cells.toml", "-o", tmp_path / "run")

    assert trained.code == 0, trained.err
    predicted = run("predict", "-w", tmp_path / "run", space.draw(rng), "--format", "json")
    assert json.loads(predicted.out)["space"] == "nasbench101"


def test_weights_to_start_from_are_for_latencies(run, config: Path):
    done = run("train", config, "--from", "nnformer-base")
    assert (done.code, "--from" in done.err) == (2, True)
