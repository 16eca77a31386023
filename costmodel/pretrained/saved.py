"""Where a user's own platforms are kept, so that they are found by name."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from costmodel.errors import WeightsError
from costmodel.platforms import Platform, platform_slug
from costmodel.pretrained.folder import PLATFORM, joined_platform

__all__ = ["HOME_VARIABLE", "find_platform_folder", "saved_platform_folder", "saved_platforms"]

logger = logging.getLogger(__name__)

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
    """Every platform that is kept, whatever weights it was calibrated on; a damaged one is left out, with a warning."""
    return tuple(_readable(path.parent for path in sorted(_root().glob(f"*/{PLATFORM}"))))


def _readable(folders: Iterable[Path]) -> Iterator[Platform]:
    for folder in folders:
        try:
            yield joined_platform(folder)
        except WeightsError as error:
            logger.warning("left out: %s", error)


def _root() -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home) / "platforms"
    from platformdirs import user_data_path

    return user_data_path("costmodel") / "platforms"
