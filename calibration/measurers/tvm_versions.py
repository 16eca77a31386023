"""The versions of TVM that are known to work together."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from costmodel.errors import MeasurementError, MissingDependencyError

__all__ = ["require_tvm"]

_PAIR = {"apache-tvm": "0.27.0.post1", "apache-tvm-ffi": "0.1.14.post1"}
"""TVM accepts newer ffi packages, but 0.1.15 crashes in it."""

_UNDECLARED = ("cloudpickle", "psutil", "tornado")
"""What TVM's own processes import although its package does not ask for it."""


def require_tvm(purpose: str) -> None:
    """Check that TVM and what it needs are installed, without importing it.

    Args:
        purpose: What TVM is needed for, as the beginning of a sentence.

    Raises:
        MissingDependencyError: A package is missing.
        MeasurementError: TVM or its ffi is installed in another version than the ones known to work together.
    """
    found = {package: _installed(package, purpose) for package in (*_PAIR, *_UNDECLARED)}
    wrong = [f"{package} {found[package]}" for package, expected in _PAIR.items() if found[package] != expected]
    if wrong:
        pins = " ".join(f"{package}=={expected}" for package, expected in _PAIR.items())
        raise MeasurementError(
            f"{purpose} is known to work with {pins.replace('==', ' ')} only; got {', '.join(wrong)}. "
            f"Install that pair with: pip install {pins}"
        )


def _installed(package: str, purpose: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise MissingDependencyError(package, "tvm", purpose) from None
