"""What the scripts that walk through timm share: architectures without torchvision, a share of them, a time limit."""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

__all__ = ["add_part_option", "create_on_meta", "import_timm", "share_of", "time_limit"]


class _AbsentModule(types.ModuleType):
    """Stands in for a part of torchvision that timm imports but no model needs."""

    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"BILINEAR": 2, "BICUBIC": 3, "NEAREST": 0, "LANCZOS": 1, "BOX": 4, "HAMMING": 5})


class _TorchvisionFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _AbsentModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def import_timm() -> types.ModuleType:
    """The package ``timm``, also where torchvision is missing or does not load beside this torch."""
    try:
        import torchvision  # noqa: F401
    except Exception:  # a mismatched build fails in its own ways
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.meta_path.insert(0, _TorchvisionFinder())
    import timm

    return timm


def add_part_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--part``, which :func:`share_of` reads."""
    parser.add_argument("--part", default="0/1", help="which share to export, e.g. 0/2 and 1/2 on two cores")


def share_of(pairs: list[tuple[str, int]], part: str) -> list[tuple[str, int]]:
    """Every n-th of ``pairs``, as ``part`` says it: ``"0/2"`` the first of each two, ``"1/2"`` the second."""
    index, parts = map(int, part.split("/"))
    return pairs[index::parts]


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise :class:`TimeoutError` when the block takes longer; in the main thread only."""

    def out_of_time(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def create_on_meta(arch: str, image_size: int) -> tuple[torch.nn.Module, torch.Tensor]:
    """An untrained architecture and an image for it, on the meta device where the architecture allows it.

    Args:
        arch: timm's name.
        image_size: Height and width of the image; architectures with a fixed size are built for it.

    Returns:
        The module in evaluation mode, and a tensor of shape (1, 3, image_size, image_size).
    """
    timm = import_timm()
    failure: Exception | None = None
    for device in ("meta", "cpu"):
        for options in ({}, {"img_size": image_size}):
            try:
                with torch.device(device):
                    module = timm.create_model(arch, **options).eval()
                    image = torch.zeros(1, 3, image_size, image_size)
                    if device == "meta":
                        module(image)
            except Exception as error:  # each architecture fails in its own way
                failure = failure or error
            else:
                return module, image
    raise RuntimeError(f"{arch} cannot be built at {image_size} pixels: {failure}")
