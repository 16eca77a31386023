import csv
import io
import json

import onnx
import pytest

from costmodel.calibration.testing import convolution_model
from costmodel.cli import main
from costmodel.data.dataset import Dataset
from costmodel.data.journal import Journal


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``costmodel measure`` in a folder with one model; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    onnx.save(convolution_model(), tmp_path / "conv.onnx")
    (tmp_path / "broken.onnx").write_text("hello")

    def measure(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            main(["measure", *arguments, "--visits", "2", "--interval", "0"])
        captured = capsys.readouterr()
        return int(leaving.value.code or 0), captured.out, captured.err

    return measure


def test_measures_files_and_families_into_a_journal_and_a_dataset(run, tmp_path):
    code, out, _ = run(
        "conv.onnx", "--family", "squeezenet:1", "-p", "here", "-f", "json", "-o", "j.jsonl", "--dataset", "d.parquet"
    )

    records = json.loads(out)["records"]
    assert code == 0
    assert [(record["model"], record["platform"], record["visits"]) for record in records] == [
        ("conv", "here", 2),
        ("squeezenet-0000", "here", 2),
    ]
    assert all(record["latency_ms"] > 0 and record["is_trusted"] for record in records)
    assert len(Journal("j.jsonl").read().visits) == 4
    assert [record.latency_ms for record in Dataset.load("d.parquet").records] == [r["latency_ms"] for r in records]

    _, out, _ = run("conv.onnx", "--family", "squeezenet:1", "-p", "here", "-f", "json", "-o", "j.jsonl")
    assert json.loads(out)["records"] == records, "a second run takes all from the journal"


def test_a_model_that_cannot_be_measured_leaves_the_others_and_the_dataset(run):
    code, out, _ = run("broken.onnx", "conv.onnx", "--batch", "2", "-f", "csv", "--dataset", "d.parquet")

    broken, good = csv.DictReader(io.StringIO(out))
    assert code == 1
    assert (broken["status"], broken["latency_ms"]) == ("refused", "")
    assert "not an ONNX model" in broken["reason"]
    assert (good["status"], good["batch"]) == ("ok", "2")
    assert len(Dataset.load("d.parquet")) == 1


def test_the_table_names_platform_models_and_reasons(run):
    _, out, _ = run("broken.onnx", "conv.onnx")

    assert "-1t" in out.splitlines()[0]
    assert "conv" in out
    assert "refused: " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to measure"),
        (("--family", "vgg"), "NAME:COUNT"),
        (("--family", "vgh:1"), "Did you mean vgg"),
        (("conv.onnx", "--runtime", "onnxrt"), "Did you mean onnxruntime"),
        (("missing.onnx",), "no file missing.onnx"),
    ],
)
def test_usage_errors(run, arguments, message):
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert message in err
