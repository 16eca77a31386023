from __future__ import annotations

import csv
import inspect
import io
import json

import pytest

from costmodel.cli.options import DEFAULT_WEIGHTS
from costmodel.predictor import Predictor

I9, RTX_NCHW, RTX_NHWC = "i9-10940x-pt2.4-fp32-dynamo", "rtx3090-pt2.4-amp-nchw", "rtx3090-pt2.4-amp-nhwc"
I9_ALIAS = "fp32-nchw-pt240-cpu-i9_10940x-dynamo"
FIGURES = {"model", "platform", "batch", "latency_ms", "low_ms", "high_ms", "coverage", "warnings"}


@pytest.fixture
def predict(run, weights):
    return lambda *arguments: run("predict", *arguments, "--weights", weights)


def test_the_json_contract(predict, models):
    first, second, _ = models
    done = predict(first, second, "-p", RTX_NHWC, "-p", I9, "--batch", 8, "--format", "json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document.keys() == {"schema_version", "predictions"}
    assert document["schema_version"] == 1
    answers = document["predictions"]
    order = [(answer["model"], answer["platform"]) for answer in answers]
    assert order == [(str(first), RTX_NHWC), (str(first), I9), (str(second), RTX_NHWC), (str(second), I9)]
    for answer in answers:
        assert answer.keys() == FIGURES
        assert answer["batch"] == 8
        assert 0 < answer["low_ms"] < answer["latency_ms"] < answer["high_ms"]
        assert answer["coverage"] == 1
        assert answer["warnings"] == []


def test_a_failing_model_among_several_stands_in_its_place(predict, models):
    first, second, broken = models
    done = predict(first, broken, second, "-p", I9, "--batch", 4, "--format", "json")
    answers = json.loads(done.out)["predictions"]
    assert done.code == 3
    assert [answer["model"] for answer in answers] == [str(first), str(broken), str(second)]
    assert answers[1].keys() == {"model", "platform", "batch", "error", "warnings"}
    assert (answers[1]["platform"], answers[1]["batch"]) == (I9, 4)
    assert answers[1]["error"] in done.err
    assert answers[0].keys() == answers[2].keys() == FIGURES


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_lone_model_that_fails_is_code_3(predict, models, form):
    done = predict(models[2], "-p", I9, "--format", form)
    assert done.code == 3
    assert done.err.startswith("error: ")
    assert done.err.count("error:") == 1
    assert ("error" in done.out) == (form != "table")


def test_an_alias_is_told_apart_from_the_name(predict, models):
    done = predict(models[0], "-p", I9_ALIAS, "-p", I9, "-p", "rtx*-nhwc", "--batch", 1, "--format", "json")
    aliased, named, globbed = json.loads(done.out)["predictions"]
    assert (aliased["platform"], aliased["platform_alias"]) == (I9, I9_ALIAS)
    assert (named["platform"], globbed["platform"]) == (I9, RTX_NHWC)
    assert "platform_alias" not in {*named, *globbed}
    assert aliased["latency_ms"] == named["latency_ms"]


def test_every_platform_is_the_default(predict, models):
    done = predict(models[0], "--batch", 1, "--format", "json")
    assert [answer["platform"] for answer in json.loads(done.out)["predictions"]] == [I9, RTX_NCHW, RTX_NHWC]


def test_the_table_of_one_prediction_lists_its_slowest_operations(predict, models):
    done = predict(models[0], "-p", I9, "--batch", 2)
    assert (done.code, done.err) == (0, "")
    assert f"{models[0]} on {I9}, batch 2" in done.out
    assert "90 % interval" in done.out
    assert "Slowest 2 of 2 operations" in done.out
    assert "Slowest 1 of 2" in predict(models[0], "-p", I9, "--batch", 2, "--top", 1).out
    assert "Slowest" not in predict(models[0], "-p", I9, "--batch", 2, "--top", 0).out


def test_the_table_of_several_has_a_line_for_each(predict, models):
    first, second, broken = models
    done = predict(first, broken, second, "-p", "rtx*", "--batch", 2)
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[:3] for line in lines[1:]] == [
        [str(model), platform, "2"] for model in (first, second) for platform in (RTX_NCHW, RTX_NHWC)
    ]
    assert "Slowest" not in done.out
    assert done.code == 3
    assert done.err.count("error:") == 1, "a model that fails is told once, not once per platform"


def test_csv_has_one_row_per_outcome(predict, models):
    first, _, broken = models
    done = predict(first, broken, "-p", I9, "--batch", 2, "--format", "csv")
    good, bad = csv.DictReader(io.StringIO(done.out))
    assert good.keys() == FIGURES | {"error"}
    assert float(good["low_ms"]) < float(good["latency_ms"])
    assert good["error"] == bad["latency_ms"] == ""
    assert bad["error"]


def test_top_puts_the_operations_into_json_but_not_into_csv(predict, models):
    done = predict(models[0], "-p", I9, "--batch", 2, "--top", 1, "--format", "json")
    (answer,) = json.loads(done.out)["predictions"]
    (slowest,) = answer["per_op"]
    assert slowest["name"] in {"stem", "act"}
    assert 0.5 <= slowest["share"] <= 1
    assert predict(models[0], "--top", 1, "--format", "csv").code == 2


def test_a_shape_reaches_the_model(predict, models):
    def answer(batch: int) -> dict:
        done = predict(models[0], "-p", I9, "--shape", f"x:{batch}x3x16x16", "--format", "json")
        return json.loads(done.out)["predictions"][0]

    assert (answer(2)["batch"], answer(64)["batch"]) == (2, 64)
    assert answer(2)["latency_ms"] != answer(64)["latency_ms"]


def test_a_file_gets_what_stdout_would(predict, models, tmp_path):
    arguments = (models[0], "-p", I9, "--batch", 2, "--format", "json")
    file = tmp_path / "answer.json"
    done = predict(*arguments, "-o", file)
    assert (done.code, done.out) == (0, "")
    assert file.read_text() == predict(*arguments).out


def test_many_files_get_a_progress_bar_and_only_on_a_terminal(predict, models, monkeypatch):
    few, many = [models[0]] * 4, [models[0]] * 5
    plain = predict(*many, "-p", I9, "--format", "json")
    assert plain.err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = predict(*many, "-p", I9, "--format", "json")
    assert shown.out == plain.out
    assert "reading" in shown.err
    assert predict(*few, "-p", I9, "--format", "json").err == ""
    assert predict(*many, "-p", I9, "--format", "json", "-q").err == ""


@pytest.mark.parametrize("place", ["/dev/full", "{tmp}/absent/answer.json", "{tmp}"])
def test_a_file_that_cannot_be_written_is_a_clear_failure(predict, models, tmp_path, place):
    file = place.format(tmp=tmp_path)
    done = predict(models[0], "-p", I9, "--batch", 2, "-o", file)
    assert done.code == 1
    assert done.err.startswith(f"error: cannot write '{file}': ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "i9-10940x-pt2.4-fp32-dynamoo"), f"Did you mean {I9}"),
        (("--shape", "1x3x16x16"), "expected NAME:DIMS"),
        (("--shape", "x:1x3x16x16", "--shape", "x:1x3x8x8"), "names the input 'x' twice"),
        (("--batch", "0"), "--batch"),
        (("--format", "yaml"), "yaml"),
    ],
)
def test_wrong_usage_is_code_2(predict, models, arguments, message):
    done = predict(models[0], *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_unknown_weights_are_code_2(run, models):
    done = run("predict", models[0], "--weights", "no-such-weights")
    assert done.code == 2
    assert "no-such-weights" in done.err


def test_the_command_and_the_library_have_the_same_default_weights():
    assert inspect.signature(Predictor.from_pretrained).parameters["name_or_dir"].default == DEFAULT_WEIGHTS
