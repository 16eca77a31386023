from __future__ import annotations

import os
from pathlib import Path

import pytest

from costmodel.data.timm_benchmark import architecture_family, read_timm_benchmark, timm_benchmark_path
from costmodel.errors import DataError
from costmodel.platforms import timm_platform

HEADER = "platform,arch,infer_img_size,infer_batch_size,infer_step_time,infer_gmacs\n"


def table(folder: Path, *rows: str) -> Path:
    path = folder / "table.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_rows_without_a_time_are_left_out_and_gaps_are_none(tmp_path: Path):
    label = "fp32-nchw-pt240-cpu-i9_10940x-dynamo"
    rows = list(read_timm_benchmark(table(tmp_path, f"{label},net_a,224.0,1.0,3.5,", f"{label},net_b,224,1,,0.4")))
    assert [(row.arch, row.image_size, row.batch, row.latency_ms, row.gmacs) for row in rows] == [
        ("net_a", 224, 1, 3.5, None)
    ]


def test_a_wrong_number_is_named_by_its_line(tmp_path: Path):
    with pytest.raises(DataError, match="line 2"):
        list(read_timm_benchmark(table(tmp_path, "p,net,224,1,fast,1")))


def test_a_missing_column_is_named(tmp_path: Path):
    path = tmp_path / "table.csv"
    path.write_text("platform,arch\n")
    with pytest.raises(DataError, match="infer_step_time"):
        list(read_timm_benchmark(path))


def test_without_the_folder_the_public_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COSTMODEL_DATA", raising=False)
    for folder in (None, tmp_path):
        with pytest.raises(DataError, match="pytorch-image-models"):
            timm_benchmark_path(folder)


@pytest.mark.parametrize(
    ("arch", "family"),
    [("tf_efficientnet_b0", "efficientnet"), ("legacy_seresnet50", "seresnet"), ("vit_base_patch16_224", "vit")],
)
def test_ports_fall_with_what_they_port(arch: str, family: str):
    assert architecture_family(arch) == family


@pytest.mark.skipif("COSTMODEL_DATA" not in os.environ, reason="COSTMODEL_DATA names no folder of measured data")
def test_the_published_table_is_read_whole():
    rows = list(read_timm_benchmark(timm_benchmark_path()))
    assert len(rows) > 10_000
    assert len({timm_platform(label).name for label in {row.platform for row in rows}}) == 13
    assert all(row.latency_ms > 0 for row in rows)
