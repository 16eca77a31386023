"""Every public name lives in a public module, and every package says what it offers."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

import costmodel
import costmodel.calibration


def _modules() -> list[str]:
    found = []
    for package in (costmodel, costmodel.calibration):
        found.append(package.__name__)
        found += [
            info.name
            for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
            if not info.name.endswith("__main__")
        ]
    return sorted(set(found))


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
