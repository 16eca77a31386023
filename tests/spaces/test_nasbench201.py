"""NAS-Bench-201 as a search space, and a space of a third party."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from costmodel.errors import GraphError, UnknownNameError, UsageError
from costmodel.graph import CellGraph, load_graph
from costmodel.spaces import NASBench201, SearchSpace, find_space, space_names
from costmodel.spaces.testing import SearchSpaceConformance

ARCH = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"


class TestNASBench201(SearchSpaceConformance):
    draws = 8

    def make_space(self) -> SearchSpace:
        return NASBench201()


def test_cells_with_the_same_effect_are_one():
    space = NASBench201()
    arch = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|"  # the second node leads nowhere
    cell = space.effective_cell(arch)
    assert [space.operations[kind] for kind in cell.operations] == ["input", "nor_conv_3x3", "nor_conv_1x1", "output"]
    assert cell.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert len(space.cell_graph(arch)) == 8


class Chain(SearchSpace):
    """A third party's: one to three linear layers of one width."""

    name = "chain"
    operations = ("linear",)
    choices = (3, 2)

    def _decisions_of(self, arch):
        depth, _, width = arch.partition("x")
        if not (depth.isdigit() and width in ("4", "8")):
            raise UsageError(f"chain: expected DEPTHxWIDTH, got {arch!r}.")
        return int(depth) - 1, ("4", "8").index(width)

    def _arch_of(self, decisions):
        return f"{decisions[0] + 1}x{(4, 8)[decisions[1]]}"

    def _cell_graph(self, arch):
        depth = self.decisions_of(arch)[0] + 1
        return CellGraph(np.zeros(depth, dtype=int), np.array([(i, i + 1) for i in range(depth - 1)]).reshape(-1, 2))

    def canonical(self, arch):
        return arch.partition("x")[0]

    def _op_graph(self, arch, batch):
        return load_graph(self.module(arch), example_inputs=(torch.zeros(batch, self._width(arch)),))

    def module(self, arch):
        return nn.Sequential(*(nn.Linear(self._width(arch), self._width(arch)) for _ in range(int(arch[0])))).eval()

    def _width(self, arch):
        return int(arch.partition("x")[2])


class TestChain(SearchSpaceConformance):
    def make_space(self) -> SearchSpace:
        return Chain()


class NotInverse(Chain):
    def _arch_of(self, decisions):
        return f"{decisions[0] + 1}x4"


class OtherNetwork(Chain):
    def _op_graph(self, arch, batch):
        return Chain()._op_graph(arch, batch)

    def module(self, arch):
        return nn.Sequential(super().module(arch), nn.Linear(self._width(arch), self._width(arch))).eval()


class Unfed(Chain):
    def _cell_graph(self, arch):
        return CellGraph(super()._cell_graph(arch).operations, np.zeros((0, 2), dtype=int))


@pytest.mark.parametrize(
    ("space", "test"),
    [
        (NotInverse, "test_an_architecture_is_its_decisions"),
        (OtherNetwork, "test_the_network_computes_what_its_graph_says"),
        (Unfed, "test_cells_are_graphs_of_named_operations"),
    ],
)
def test_the_kit_finds_plug_ins_that_break_the_contract(space: type[SearchSpace], test: str):
    class Kit(SearchSpaceConformance):
        def make_space(self) -> SearchSpace:
            return space()

    with pytest.raises(AssertionError):
        getattr(Kit(), test)()


def test_operations_without_a_name_are_told():
    class Nameless(Chain):
        operations = ()

    with pytest.raises(GraphError, match="chain: the cell of '2x4' has operations numbered"):
        Nameless().cell_graph("2x4")


def test_the_cell_as_a_graph():
    space = NASBench201()
    cell = space.cell_graph(ARCH)

    names = [space.operations[index] for index in cell.operations]
    assert names == [
        "input",
        *("nor_conv_3x3", "skip_connect", "none", "avg_pool_3x3", "nor_conv_1x1", "skip_connect"),
        "output",
    ]
    from_input, to_output = [1, 2, 4], [4, 5, 6]
    into_second_node, after_first_node = [2, 3], [3, 5]
    assert sorted(map(tuple, cell.edges.tolist())) == sorted(
        [(0, place) for place in from_input]
        + [(1, place) for place in after_first_node]
        + [(place, 6) for place in into_second_node]
        + [(place, 7) for place in to_output]
    )


def test_cells_that_compute_the_same_share_their_canonical_form():
    space = NASBench201()
    swapped = "|skip_connect~0|+|nor_conv_3x3~0|none~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_1x1~2|"
    assert space.canonical(ARCH) == space.canonical(swapped)
    other = ARCH.replace("nor_conv_1x1", "nor_conv_3x3")
    assert space.canonical(ARCH) != space.canonical(other)


def test_a_third_of_all_cells_compute_something_of_their_own():
    space = NASBench201()
    everything = {space.arch_of(decisions) for decisions in np.ndindex(*space.choices)}
    assert len(everything) == 15_625
    assert len({space.canonical(arch) for arch in everything}) == 4_930


def test_cells_with_one_canonical_form_were_measured_as_nearly_equally_accurate():
    folder = os.environ.get("COSTMODEL_DATA")
    if folder is None:
        pytest.skip("COSTMODEL_DATA names no folder of public measurements")
    space, groups = NASBench201(), {}
    with gzip.open(Path(folder) / "nasbench201.csv.gz", "rt") as stream:
        for row in csv.DictReader(stream):
            accuracy = float(row["cifar10_valid_test_accuracy"])
            groups.setdefault(space.canonical(row["arch"]), []).append(accuracy)
    spreads = [np.std(group) for form, group in groups.items() if form and len(group) > 1]
    overall = np.std([accuracy for group in groups.values() for accuracy in group])
    assert np.median(spreads) < 0.03 * overall


@pytest.mark.parametrize("text", ["", "resnet", ARCH + "+", ARCH.replace("none", "nothing"), ARCH.replace("~1", "~0")])
def test_what_is_no_cell_is_refused(text: str):
    space = NASBench201()
    assert text not in space
    for ask in (space.decisions_of, space.cell_graph, space.canonical, space.module, space.op_graph):
        with pytest.raises(UsageError, match="expected"):
            ask(text)


def test_spaces_are_found_by_name():
    assert space_names() == ("nasbench101", "nasbench201")
    assert isinstance(find_space("nasbench201"), NASBench201)
    with pytest.raises(UnknownNameError, match="Did you mean nasbench201"):
        find_space("nasbench202")
