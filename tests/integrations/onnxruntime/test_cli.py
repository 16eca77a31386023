"""``costmodel tune`` from the outside."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from costmodel.cli import main
from costmodel.pretrained import save_bundle


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(network, predictor, tmp_path, monkeypatch, capsys) -> Callable[..., Finished]:
    """Runs ``costmodel tune network.onnx`` with weights that know a board, in a folder of its own."""
    save_bundle(predictor.bundle, tmp_path / "weights")
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: object) -> Finished:
        with pytest.raises(SystemExit) as leaving:
            main(["tune", network.name, "-w", "weights", "--visits", "1", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Finished(int(leaving.value.code or 0), out, err)

    return run_it


def test_a_table_says_what_is_chosen_and_where_it_is(run, tmp_path):
    done = run("--top", 1, "--graph-optimization", "all")

    assert done.code == 0, done.err
    assert "int8-qdq-1t" in done.out
    assert "times as fast" in done.out
    assert "mean gain on other networks" in done.out
    assert (tmp_path / "tuned" / "network" / "tuning.json").exists()


def test_json_has_every_candidate(run):
    done = run("--top", 0, "-p", "board-ort1.32-fp32-1t", "-o", "out", "--format", "json", "--threads", 1)
    document = json.loads(done.out)
    kept = json.loads(Path("out/tuning.json").read_text())

    assert done.code == 0, done.err
    assert document["schema_version"] == 1
    assert {row["estimated_by"] for row in document["candidates"]} == {"model", "prior", "nothing"}
    assert sum(row["status"] == "chosen" for row in document["candidates"]) == 1
    assert kept["candidates"] == document["candidates"]


def test_csv_has_a_row_for_each_candidate(run):
    done = run("--top", 0, "--format", "csv", "--model-format", "int8-dynamic", "--max-difference", 0)
    rows = list(csv.DictReader(io.StringIO(done.out)))

    assert {row["variant"]: row["status"] for row in rows} == {
        "fp32-1t": "chosen",
        "int8-dynamic-1t": "ranked",
        "int8-dynamic-extended-1t": "ranked",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--session-config", "session.disable_prepackin=1"], "Did you mean session.disable_prepacking"),
        (["--graph-optimization", "max"], "graph optimisation 'max'"),
        (["--provider", "NoneSuchExecutionProvider"], "execution provider"),
        (["-p", "nowhere"], "unknown platform 'nowhere'"),
        (["-p", "board-*"], "stands for 3 platforms"),
        (["--calibration", "missing.npz"], "cannot read inputs"),
    ],
)
def test_wrong_options_are_told_with_code_2(run, options, message):
    done = run(*options)

    assert done.code == 2
    assert message in done.err
    assert not done.out
