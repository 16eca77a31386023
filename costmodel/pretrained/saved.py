"""Where a user's own platforms are kept, so that they are found by name."""

from __future__ import annotations

import os
from pathlib import Path

from costmodel.platforms import Platform, platform_slug
from costmodel.pretrained.folder import PLATFORM, joined_platform

__all__ = ["HOME_VARIABLE", "find_platform_folder", "saved_platform_folder", "saved_platforms"]

HOME_VARIABLE = "COSTMODEL_HOME"
"""Environment variable that names another folder than the system's for a user's data."""


def saved_platform_folder(name: str) -> Path:
    """Where the platform ``name`` is kept; it need not exist."""
    return _root() / platform_slug(name)


def find_platform_folder(name_or_dir: str | Path) -> Path | None:
    """The folder of a platform that was saved: the folder given, or the one kept under that name."""
    if (Path(name_or_dir) / PLATFORM).is_file():
        return Path(name_or_dir)
    kept = saved_platform_folder(str(name_or_dir))
    return kept if (kept / PLATFORM).is_file() else None


def saved_platforms() -> tuple[Platform, ...]:
    """Every platform that is kept, whatever weights it was calibrated on.

    Raises:
        WeightsError: One of them is damaged.
    """
    return tuple(joined_platform(path.parent) for path in sorted(_root().glob(f"*/{PLATFORM}")))


def _root() -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home) / "platforms"
    from platformdirs import user_data_path

    return user_data_path("costmodel") / "platforms"
