"""Every public name lives in a public module, and every package says what it offers."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.util import find_spec
from types import ModuleType

import pytest

import costmodel
import costmodel.calibration
import costmodel.integrations

NEEDS = {"costmodel.integrations.tvm": "tvm", "costmodel.integrations.onnxruntime.olive": "olive"}
"""Packages that cannot be imported without another one."""


def _modules() -> list[str]:
    found = []
    for package in (costmodel, costmodel.calibration, costmodel.integrations):
        found.append(package.__name__)
        found += [
            info.name
            # One that cannot be imported is listed all the same, and fails below.
            for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=lambda _: None)
            if not info.name.endswith("__main__")
        ]
    missing = tuple(package for package, needed in NEEDS.items() if find_spec(needed) is None)
    return sorted(name for name in set(found) if not name.startswith(missing))


@pytest.fixture(params=_modules())
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_a_module_says_what_it_offers(module: ModuleType):
    assert module.__doc__
    assert isinstance(module.__all__, list | tuple)
    for name in module.__all__:
        assert getattr(module, name) is not None, name


def test_no_public_name_lives_in_a_private_module(module: ModuleType):
    for name in module.__all__:
        home = getattr(getattr(module, name), "__module__", None) or ""
        assert not (home.startswith("costmodel") and "._" in home), (name, home)
