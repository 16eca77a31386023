from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from costmodel.data.families import generate

FAMILIES = ("alexnet", "resnet", "squeezenet", "vgg")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four models and what they take, one of them twice and one at another batch."""
    rows = ["model,latency_ms,batch"]
    for index, family in enumerate(FAMILIES):
        path = tmp_path / f"{family}.onnx"
        path.write_bytes(generate(family, 0, weights=False).SerializeToString())
        rows.append(f"{path.name},{10 + index},{4 if family == 'vgg' else ''}")
    rows.append("resnet.onnx,13,")
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "table.csv"


def test_a_table_becomes_a_platform_to_predict_with(run, table: Path):
    done = run("calibrate", "fit", table, "--name", "My Board", "-o", "board", "-w", "weights", "-f", "json")
    document = json.loads(done.out)
    assert (done.code, document["schema_version"], document["platform"]) == (0, 1, "my-board")
    assert {row["model"]: row["measured_ms"] for row in document["networks"]} == {
        "alexnet.onnx": 10,
        "resnet.onnx": 12,
        "squeezenet.onnx": 12,
        "vgg.onnx": 13,
    }
    predicted = json.loads(run("predict", "resnet.onnx", "-p", "board", "-w", "weights", "-f", "json").out)
    (prediction,) = predicted["predictions"]
    assert prediction["platform"] == "my-board"
    assert prediction["low_ms"] < prediction["latency_ms"] < prediction["high_ms"]
    assert (Path("board") / "report.html").is_file()


def test_a_platform_saved_under_a_name_is_found_and_listed_by_it(run, table: Path):
    assert run("calibrate", "fit", table, "--name", "board", "-w", "weights").code == 0
    assert '"board"' in run("platforms", "board", "-w", "weights", "-f", "json").out
    assert run("predict", "vgg.onnx", "-p", "board", "-p", "i9*", "-w", "weights").code == 0
    refused = run("predict", "vgg.onnx", "-p", "board")
    assert refused.code == 1
    assert "calibrated on weights 'untrained'" in refused.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,latency_ms\n", "has no rows"),
        ("network,ms\na,1\n", "model, latency_ms missing, found network, ms"),
        ("model,latency_ms\nvgg.onnx,1\nresnet.onnx,2\n", "measurements of 2 networks, expected at least 3"),
        ("model,latency_ms\nvgg.onnx,0\n", "line 2: expected latency_ms above 0"),
        ("model,latency_ms,batch\nvgg.onnx,1,1.5\n", "line 2: expected a batch of 1, 2, 3"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(run, table: Path, text: str, said: str):
    table.write_text(text)
    done = run("calibrate", "fit", table, "--name", "board", "-o", "board", "-w", "weights")
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert not Path("board").exists()


def test_a_model_that_cannot_be_read_is_left_out_and_named(run, table: Path):
    table.write_text(table.read_text() + "gone.onnx,5,\n")
    done = run("calibrate", "fit", table, "--name", "board", "-w", "weights", "-f", "csv")
    assert done.code == 0
    assert "line 7" in done.err
    assert "gone.onnx" in done.err
    assert len(done.out.splitlines()) == 5


def test_nothing_asked_for_shows_what_can_be(run):
    done = run("calibrate")
    assert done.code == 0
    assert all(word in done.out for word in ("--here", "fit", "export", "import"))


def test_this_machine_becomes_the_platform_here(run, table: Path):
    few = ("--count", 4, "--held-back", 1, "--visits", 1, "--interval", 0, "-w", "weights")
    done = run("calibrate", "--here", *few, "-f", "json")
    document = json.loads(done.out)
    assert done.code == 0, done.err
    assert [row["role"] for row in document["networks"]].count("fitted") == 4
    assert run("predict", "vgg.onnx", "-p", "here", "-w", "weights").code == 0
    again = json.loads(run("calibrate", "--here", *few, "-f", "json").out)
    assert again["networks"] == document["networks"], "a second run takes all from the journal"


def test_a_kit_goes_to_a_device_and_comes_back(run):
    few = ("--count", 3, "--held-back", 0, "--visits", 1)
    assert run("calibrate", "export", "kit", *few, "-w", "weights").code == 0
    subprocess.run([sys.executable, "run.py"], cwd="kit", check=True, capture_output=True, timeout=100)
    done = run("calibrate", "import", "kit", "--name", "board", "-o", "board", "-w", "weights", "-f", "csv")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 4
    assert (Path("board") / "platform.json").is_file()
