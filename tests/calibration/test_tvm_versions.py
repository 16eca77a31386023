from importlib.metadata import PackageNotFoundError

import pytest

from costmodel.calibration.measurers import tvm_versions
from costmodel.errors import MeasurementError, MissingDependencyError

WORKING = {
    "apache-tvm": "0.27.0.post1",
    "apache-tvm-ffi": "0.1.14.post1",
    "cloudpickle": "3.1.1",
    "psutil": "7.0.0",
    "tornado": "6.5",
}


@pytest.fixture
def installed(monkeypatch):
    """What is installed, for a test to change."""
    packages = dict(WORKING)

    def version(package: str) -> str:
        if package not in packages:
            raise PackageNotFoundError(package)
        return packages[package]

    monkeypatch.setattr(tvm_versions, "version", version)
    return packages


def test_the_pair_that_works_is_taken(installed):
    tvm_versions.require_tvm("Measuring")


def test_a_pair_that_crashes_is_refused_with_the_command_that_mends_it(installed):
    installed["apache-tvm-ffi"] = "0.1.15.post1"

    command = r"pip install apache-tvm==0\.27\.0\.post1 apache-tvm-ffi==0\.1\.14\.post1"
    with pytest.raises(MeasurementError, match=rf"^Measuring .* got apache-tvm-ffi 0\.1\.15\.post1\. .*{command}$"):
        tvm_versions.require_tvm("Measuring")


@pytest.mark.parametrize("package", WORKING)
def test_a_missing_package_is_named(installed, package):
    del installed[package]

    with pytest.raises(MissingDependencyError, match=rf"'{package}'.*nnformer-costmodel\[tvm\]"):
        tvm_versions.require_tvm("Measuring")
