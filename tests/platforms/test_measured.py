from __future__ import annotations

import pytest

from costmodel.platforms import named_platform


@pytest.mark.parametrize(
    ("name", "device", "runtime", "precision", "threads"),
    [
        ("epyc-f25m1-ort1.32-fp32-1t", "epyc-f25m1", "ort1.32", "fp32", 1),
        ("epyc-f25m1-ort1.32-int8-qdq-16t", "epyc-f25m1", "ort1.32", "int8-qdq", 16),
        ("h100-pt2.11-bf16", "h100", "pt2.11", "bf16", None),
        ("our board", "our-board", "unknown", "unknown", None),
        ("ort1.32-fp32", "ort1.32-fp32", "unknown", "unknown", None),
    ],
)
def test_a_name_of_the_usual_form_says_what_it_is(name, device, runtime, precision, threads):
    found = named_platform(name)
    assert (found.device, found.runtime, found.precision, found.threads) == (device, runtime, precision, threads)
