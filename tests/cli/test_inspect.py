from __future__ import annotations

import csv
import io
import json

CONV_FLOPS = 2 * (2 * 8 * 16 * 16) * 27
RELU_FLOPS = 2 * 8 * 16 * 16


def test_json_has_totals_inputs_and_operators(run, models):
    done = run("inspect", models[0], "--batch", 2, "--format", "json")
    document = json.loads(done.out)
    assert (done.code, document["schema_version"], document["model"]) == (0, 1, str(models[0]))
    assert (document["batch"], document["num_ops"]) == (2, 2)
    assert (document["flops"], document["params"]) == (CONV_FLOPS + RELU_FLOPS, 8 * 27)
    assert document["inputs"] == [{"name": "x", "dtype": "float32", "shape": [2, 3, 16, 16]}]
    conv, relu = document["op_types"]
    assert (conv["op_type"], conv["count"], conv["flops"]) == ("Conv", 1, CONV_FLOPS)
    assert (relu["op_type"], relu["flops"]) == ("Relu", RELU_FLOPS)
    assert "ops" not in document


def test_ops_lists_each_operation(run, models):
    document = json.loads(run("inspect", models[0], "--batch", 2, "--ops", "--format", "json").out)
    assert [op["op_type"] for op in document["ops"]] == ["Conv", "Relu"]
    rows = list(csv.DictReader(io.StringIO(run("inspect", models[0], "--batch", 2, "--ops", "--format", "csv").out)))
    assert [row["shape"] for row in rows] == ["2x8x16x16", "2x8x16x16"]
    table = run("inspect", models[0], "--batch", 2, "--ops").out
    assert "2x8x16x16" in table


def test_the_table_shows_the_same_totals(run, models):
    done = run("inspect", models[0], "--batch", 2)
    assert "2 operations, batch 2" in done.out
    assert "FLOPs    225k" in done.out
    assert "x: float32 2x3x16x16" in done.out


def test_a_file_that_is_no_model_is_code_3(run, models):
    done = run("inspect", models[2])
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: ")
