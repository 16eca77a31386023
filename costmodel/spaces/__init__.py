"""Spaces of architectures: strings, their cells as graphs, and the networks that are built from them."""

from costmodel.spaces.nasbench201 import NASBench201
from costmodel.spaces.registry import find_space, space_names
from costmodel.spaces.search_space import SearchSpace

__all__ = [
    # what a space is
    "SearchSpace",
    # those there are
    "NASBench201",
    "find_space",
    "space_names",
]
