"""The platforms a set of weights knows, found by name, alias or pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from costmodel.errors import DataError, UnknownNameError, UsageError
from costmodel.platforms.platform import Platform

__all__ = ["PlatformRegistry"]

_LIST_THEM = "List them with: costmodel platforms"


class PlatformRegistry(Mapping[str, Platform]):
    """Platforms by canonical name, in the order they were given.

    Args:
        platforms: The platforms; no two may share a name or an alias.

    Raises:
        DataError: Two platforms answer to the same name.
    """

    def __init__(self, platforms: Iterable[Platform]) -> None:
        self._platforms: dict[str, Platform] = {}
        self._by_any_name: dict[str, Platform] = {}
        for platform in platforms:
            for name in (platform.name, *platform.aliases):
                other = self._by_any_name.setdefault(name, platform)
                if other is not platform:
                    raise DataError(
                        f"the platforms {other.name!r} and {platform.name!r} both answer to {name!r}; "
                        "names and aliases must be unique. Rename one of them."
                    )
            self._platforms[platform.name] = platform

    def __getitem__(self, name: str) -> Platform:
        return self._platforms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._platforms)

    def __len__(self) -> int:
        return len(self._platforms)

    def __repr__(self) -> str:
        return f"PlatformRegistry({', '.join(self._platforms)})"

    def resolve(self, pattern: str) -> list[Platform]:
        """Every platform that ``pattern`` stands for, in the registry's order.

        Args:
            pattern: A canonical name, an alias, or a glob over both, e.g. ``"rtx*-dynamo"``.

        Raises:
            UnknownNameError: Nothing goes by that name.
        """
        if pattern in self._by_any_name:
            return [self._by_any_name[pattern]]
        found = [
            platform
            for platform in self._platforms.values()
            if any(fnmatchcase(name, pattern) for name in (platform.name, *platform.aliases))
        ]
        if not found:
            raise UnknownNameError("platform", pattern, self._by_any_name, _LIST_THEM)
        return found

    def find(self, pattern: str) -> Platform:
        """The one platform that ``pattern`` stands for.

        Raises:
            UnknownNameError: Nothing goes by that name.
            UsageError: It stands for several.
        """
        found = self.resolve(pattern)
        if len(found) > 1:
            raise UsageError(
                f"{pattern!r} stands for {len(found)} platforms ({', '.join(p.name for p in found)}), expected one. "
                f"Name one of them, or ask for all with a list: platform=[{pattern!r}]."
            )
        return found[0]
