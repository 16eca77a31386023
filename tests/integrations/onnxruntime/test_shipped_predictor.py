"""Weights that know the variants of a session are taken where they know the machine."""

from __future__ import annotations

from costmodel.integrations.onnxruntime import ModelFormat, Variant
from costmodel.integrations.onnxruntime.shipped_predictor import shipped_predictor
from costmodel.pretrained import pretrained_platforms

KNOWN = "epyc-f25m1-ort1.32-fp32-1t"


def test_a_machine_whose_variants_are_known():
    predictor = shipped_predictor(KNOWN)

    assert KNOWN in predictor.platforms
    for model_format in (ModelFormat.INT8_QDQ, ModelFormat.INT8_DYNAMIC):
        assert Variant(model_format).platform(KNOWN) in predictor.platforms


def test_any_other_machine_gets_the_weights_that_know_most():
    assert set(shipped_predictor("unknown-ort1.32-fp32-1t").platforms) == {
        platform.name for platform in pretrained_platforms("nnformer-base")
    }
