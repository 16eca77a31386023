"""Spaces of architectures: strings, their cells as graphs, and the networks that are built from them."""

from costmodel.spaces.nasbench101 import NASBench101
from costmodel.spaces.nasbench101_table import TrainedCell, read_nasbench101
from costmodel.spaces.nasbench201 import NASBench201
from costmodel.spaces.registry import find_space, space_names
from costmodel.spaces.search_space import SearchSpace

__all__ = [
    # what a space is
    "SearchSpace",
    # those there are
    "NASBench101",
    "NASBench201",
    "find_space",
    "space_names",
    # their accuracies
    "TrainedCell",
    "read_nasbench101",
]
