from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from costmodel import Predictor
from costmodel.data.families import generate
from costmodel.errors import DataError, WeightsError
from costmodel.pretrained import load_bundle, save_bundle
from costmodel.training import error_quantile, platform_errors, train
from costmodel.training.config import read_config
from costmodel.training.sources import TableSource, gather

FAMILIES = ("alexnet", "vgg", "squeezenet")

TOML = """
name = "tiny"
members = 3
[model]
dim = 16
depth = 1
head_width = 4
[fit]
epochs = 2
graphs_per_step = 2
[[sources]]
kind = "table"
path = "labels.csv"
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with a configuration, a table, and the networks it speaks of."""
    rows = ["model,platform,latency_ms,batch"]
    for family in FAMILIES:
        for seed in range(2):
            name = f"{family}-{seed}.onnx"
            (tmp_path / name).write_bytes(generate(family, seed, weights=False).SerializeToString())
            rows += [f"{name},Board A,{10 + seed},1", f"{name},board-b,{30 + seed},"]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


def test_from_a_table_to_predictions(run: Path):
    report = train(run / "tiny.toml", run / "out")
    assert [error.platform for error in report.errors] == ["board-a", "board-b"]
    assert all(error.networks == 6 for error in report.errors)
    assert "board-b" in str(report)

    predictor = Predictor.from_pretrained(run / "out")
    prediction = predictor.predict(run / "vgg-0.onnx", platform="Board A")
    assert prediction.platform == "board-a"
    assert 0 < prediction.low_ms <= prediction.latency_ms <= prediction.high_ms

    with (run / "out" / "held_out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    errors = [abs(float(r["predicted_ms"]) / float(r["measured_ms"]) - 1) for r in rows if r["platform"] == "board-b"]
    assert 100 * np.mean(errors) == pytest.approx(report.errors[1].mape_percent, rel=1e-3)
    assert json.loads((run / "out" / "report.json").read_text())[0]["platform"] == "board-a"


def test_a_second_run_resumes_and_another_configuration_does_not(run: Path):
    first = train(run / "tiny.toml", run / "out")
    assert train(run / "tiny.toml", run / "out").errors == first.errors
    with pytest.raises(WeightsError, match="--no-resume"):
        train(run / "tiny.toml", run / "out", seed=5)
    train(run / "tiny.toml", run / "out", seed=5, resume=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "cannot be read as TOML"),
        (TOML.replace("epochs", "epoch"), "fit.epoch"),
        (TOML.replace('kind = "table"', 'kind = "tabel"'), "sources.0"),
        (TOML.replace("members = 3", "members = 1"), "members"),
    ],
)
def test_a_wrong_configuration_says_which_key(run: Path, text: str, said: str):
    (run / "tiny.toml").write_text(text)
    with pytest.raises(DataError, match=said):
        read_config(run / "tiny.toml")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("vgg-0.onnx,board,-1,1", "above 0"),
        ("vgg-0.onnx,board,nan,1", "above 0"),
        ("vgg-0.onnx,board,fast,1", "line 2"),
        ("vgg-0.onnx,board,3,0", "batch of 1, 2, 3"),
        ("vgg-0.onnx,,3,1", "platform is blank"),
        ("vgg-0.onnx,//,3,1", "no platform name"),
    ],
)
def test_a_wrong_row_of_the_table_is_named(run: Path, row: str, said: str):
    (run / "labels.csv").write_text(f"model,platform,latency_ms,batch\n{row}\n")
    with pytest.raises(DataError, match=said):
        gather([TableSource(path=run / "labels.csv")])


def test_fewer_families_than_members_are_refused(run: Path):
    (run / "tiny.toml").write_text(TOML.replace("members = 3", "members = 4"))
    with pytest.raises(DataError, match="Lower `members`"):
        train(run / "tiny.toml", run / "out")


def test_an_empty_table_is_refused(run: Path):
    (run / "labels.csv").write_text("model,platform,latency_ms\n")
    with pytest.raises(DataError, match="has no rows"):
        gather([TableSource(path=run / "labels.csv")])


def test_the_quantile_covers_nine_in_ten_new_errors():
    rng = np.random.default_rng(0)
    held = [np.mean(np.abs(rng.normal(size=200)) <= error_quantile(rng.normal(size=30))) for _ in range(300)]
    assert 0.89 < np.mean(held) < 0.95
    assert error_quantile(np.ones(8)) == np.inf
    assert error_quantile(np.array([0.3, np.nan, -0.5] + [0.1] * 8)) == 0.5


def test_coverage_is_judged_by_the_other_folds():
    from synthetic import training_set

    data = training_set(40)
    log_ms = np.log(data.latency_ms)
    folds = [np.arange(20), np.arange(20, 40)]
    off = log_ms + np.where(np.arange(40) < 20, 0.01, 0.5)[:, None]
    first = platform_errors(data, off, folds)[0]
    assert first.coverage_percent == pytest.approx(
        50.0
    )  # the first fold's errors fit the second's width, not vice versa


def test_a_table_alone_is_configuration_enough(run: Path):
    config = read_config(run / "labels.csv")
    assert (config.name, config.members) == ("labels", 3)
    assert gather(config.sources)[0].platforms == ("board-a", "board-b")


def test_training_starts_from_the_graph_transformer_of_other_weights(run: Path, untrained_bundle, monkeypatch):
    save_bundle(untrained_bundle, run / "start")
    monkeypatch.setattr(sys.modules["costmodel.training.cross_fit"], "fit", lambda model, *_, **__: model.eval())
    train(run / "tiny.toml", run / "out", start_from=str(run / "start"))
    started = load_bundle(run / "out")
    assert [platform.name for platform in started.platforms] == ["board-a", "board-b"]
    for member in started.members:
        for name, tensor in untrained_bundle.members[0].trunk.state_dict().items():
            assert torch.equal(member.trunk.state_dict()[name], tensor)
