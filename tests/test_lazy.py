from __future__ import annotations

import pytest

import costmodel.calibration
import costmodel.calibration.testing
import costmodel.pretrained
from costmodel.lazy import lazy_names


def test_a_name_comes_from_its_module_and_others_are_refused():
    load, names = lazy_names("json", {"OrderedDict": "collections"})
    assert load("OrderedDict").__module__ == "collections"
    assert {"OrderedDict", "dumps"} <= set(names())
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'Counter'"):
        load("Counter")


@pytest.mark.parametrize("package", [costmodel.calibration, costmodel.calibration.testing, costmodel.pretrained])
def test_a_lazy_package_lists_what_it_offers(package):
    assert set(package.__all__) <= set(dir(package))
    assert not hasattr(package, "no_such_name")
