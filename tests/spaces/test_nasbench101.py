"""NAS-Bench-101 as a search space, and its table in both forms."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from costmodel.errors import DataError, UsageError
from costmodel.spaces import NASBench101, SearchSpace, TrainedCell, read_nasbench101
from costmodel.spaces.nasbench101_module import node_channels
from costmodel.spaces.testing import SearchSpaceConformance

CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
INCEPTION_LIKE = f"{CONV1},{CONV3},{CONV3},{CONV3},{POOL}:0111010/0000001/0000001/0000100/0000001/0000001/0000000"
SMALL = f"{CONV3},{POOL}:0110/0011/0001/0000"
SPACE = NASBench101()


class TestNASBench101(SearchSpaceConformance):
    draws = 12

    def make_space(self) -> SearchSpace:
        return NASBench101()


def test_a_network_has_as_many_parameters_as_published():
    # The example in the benchmark's own README: 2,694,282.
    assert sum(tensor.numel() for tensor in SPACE.module(INCEPTION_LIKE).parameters()) == 2_694_282


def test_a_smaller_cell_is_the_same_with_nodes_that_count_for_nothing():
    padded = SPACE.arch_of(SPACE.decisions_of(SMALL))
    assert padded != SMALL
    assert SPACE.canonical(padded) == SPACE.canonical(SMALL)
    cell = SPACE.cell_graph(padded)
    assert [SPACE.operations[kind] for kind in cell.operations] == ["input", CONV3, POOL, "output"]
    assert cell.edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]


def test_the_order_of_operations_does_not_matter():
    one = f"{CONV3},{POOL}:0110/0001/0001/0000"
    other = f"{POOL},{CONV3}:0110/0001/0001/0000"
    assert SPACE.canonical(one) == SPACE.canonical(other)
    assert SPACE.canonical(one) != SPACE.canonical(f"{CONV3},{CONV3}:0110/0001/0001/0000")


def test_the_input_alone_is_a_cell():
    lone = ":01/00"
    assert lone in SPACE
    images = torch.zeros(2, 3, 32, 32)
    assert SPACE.module(lone).eval()(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        (f"{CONV3}:010/001/00", "a matrix"),
        (f"{CONV3}:012/001/000", "a matrix"),
        ("conv5x5:010/001/000", "expected operations"),
        (f"{CONV3}:010/001/100", "lead forward"),
        (f"{CONV3}:010/000/000", "do not go together"),  # the output is fed by nothing
        (
            f"{CONV3},{CONV3},{CONV3},{CONV3},{CONV3}:0111111/0011111/0001111/0000111/0000011/0000001/0000000",
            "together",
        ),
        (",".join([CONV3] * 6) + ":" + "/".join(["00000001"] * 7 + ["00000000"]), "a matrix"),
    ],
)
def test_what_is_no_cell_is_told(arch: str, said: str):
    with pytest.raises(UsageError, match=said):
        SPACE.decisions_of(arch)


def test_nodes_that_feed_the_output_share_its_channels():
    edges = np.array([(0, 1), (0, 2), (1, 3), (2, 4), (3, 4), (0, 4)])
    assert node_channels(edges, 5, before=128, after=257) == [128, 128, 129, 128, 257]
    assert node_channels(np.array([(0, 1), (1, 2), (2, 3)]), 4, before=64, after=100) == [64, 100, 100, 100]


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def record(arch: str, epochs: int, *evaluations: tuple[float, float]) -> bytes:
    """A record as the benchmark writes it, made here byte by byte: field 4 is validation, field 5 test accuracy."""
    metrics = b""
    for validation, test in evaluations:
        message = b"\x09" + struct.pack("<d", 108.0)  # current_epoch, which is not read
        message += b"\x21" + struct.pack("<d", validation) + b"\x29" + struct.pack("<d", test)
        metrics += b"\x0a" + varint(len(message)) + message
    return framed(arch, epochs, metrics + b"\x10" + varint(2_694_282))  # trainable_parameters


def framed(arch: str, epochs: int, metrics: bytes) -> bytes:
    operations, _, rows = arch.partition(":")
    names = ",".join(["input", *operations.split(","), "output"])
    text = json.dumps(["hash", epochs, rows.replace("/", ""), names, base64.b64encode(metrics).decode()]).encode()
    return struct.pack("<Q", len(text)) + b"crc." + text + b"crc."


def test_records_are_averaged_over_repetitions_of_108_epochs(tmp_path: Path):
    path = tmp_path / "nasbench_only108.tfrecord"
    path.write_bytes(
        record(SMALL, 108, (0.1, 0.1), (0.90, 0.89))
        + record(SMALL, 4, (0.1, 0.1), (0.2, 0.2))
        + record(INCEPTION_LIKE, 108, (0.1, 0.1), (0.5, 0.6), (0.94, 0.93))
        + record(SMALL, 108, (0.1, 0.1), (0.92, 0.91))
    )
    small, other = read_nasbench101(path)
    assert small == TrainedCell(SMALL, pytest.approx(91), pytest.approx(90))
    assert other == TrainedCell(INCEPTION_LIKE, pytest.approx(94), pytest.approx(93))


def test_json_says_the_same(tmp_path: Path):
    path = tmp_path / "cells.json"
    entry = {
        "operations": ["input", CONV3, POOL, "output"],
        "matrix": [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]],
        "validation_accuracy": 0.91,
        "test_accuracy": 0.9,
    }
    path.write_text(json.dumps([entry]))
    assert read_nasbench101(path) == [TrainedCell(SMALL, pytest.approx(91), pytest.approx(90))]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.tfrecord", record(SMALL, 108, (0.9, 0.9))[:-7], "cut off"),
        ("short.tfrecord", b"abc", "no table"),
        ("text.tfrecord", b"arch,accuracy\n" * 20, "no table"),
        ("metrics.tfrecord", framed(SMALL, 108, b"\x0a\xff"), "DecodeError"),
        ("none.tfrecord", framed(SMALL, 108, b""), "IndexError"),
        ("early.tfrecord", record(SMALL, 36, (0.9, 0.9)), "no network that was trained for 108"),
        ("empty.tfrecord", b"", "no network"),
        ("wrong.json", b'[{"operations": ["input", "output"]}]', "matrix"),
        ("no.json", b"{", "no table"),
        ("absent.json", None, "No such file"),
    ],
)
def test_damaged_tables_are_told(tmp_path: Path, name: str, content: bytes | None, said: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_nasbench101(tmp_path / name)
