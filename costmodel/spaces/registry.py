"""Search spaces by name."""

from __future__ import annotations

from costmodel.errors import UnknownNameError
from costmodel.spaces.nasbench101 import NASBench101
from costmodel.spaces.nasbench201 import NASBench201
from costmodel.spaces.search_space import SearchSpace

__all__ = ["find_space", "space_names"]

_SPACES: dict[str, type[SearchSpace]] = {space.name: space for space in (NASBench101, NASBench201)}


def space_names() -> tuple[str, ...]:
    """Names of the search spaces that come with the package."""
    return tuple(_SPACES)


def find_space(name: str) -> SearchSpace:
    """The search space of that name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in _SPACES:
        raise UnknownNameError("search space", name, _SPACES)
    return _SPACES[name]()
