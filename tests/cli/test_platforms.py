from __future__ import annotations

import csv
import io
import json


def test_a_pattern_selects(run, weights):
    done = run("platforms", "rtx*", "--weights", weights, "--format", "json")
    document = json.loads(done.out)
    assert (done.code, document["schema_version"]) == (0, 1)
    nchw, nhwc = document["platforms"]
    assert (nchw["name"], nhwc["name"]) == ("rtx3090-pt2.4-amp-nchw", "rtx3090-pt2.4-amp-nhwc")
    assert nhwc["aliases"] == ["amp-nhwc-pt240-cu124-rtx3090"]
    assert nhwc["kind"] == "gpu"


def test_all_are_listed_by_default_in_every_form(run, weights):
    table = run("platforms", "--weights", weights).out.splitlines()
    rows = list(csv.DictReader(io.StringIO(run("platforms", "--weights", weights, "--format", "csv").out)))
    assert [line.split()[0] for line in table[1:]] == [row["name"] for row in rows]
    assert len(rows) == 3
    assert rows[0]["aliases"] == "fp32-nchw-pt240-cpu-i9_10940x-dynamo"


def test_an_unknown_name_gets_suggestions(run, weights):
    done = run("platforms", "rtx3090-pt2.4-amp", "--weights", weights)
    assert (done.code, done.out) == (2, "")
    assert "Did you mean rtx3090-pt2.4-amp-n" in done.err
