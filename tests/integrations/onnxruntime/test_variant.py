from pathlib import Path

import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state

from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.onnxruntime import ModelFormat, Variant
from costmodel.integrations.onnxruntime.candidates import candidate_variants
from costmodel.integrations.onnxruntime.session_config import SESSION_CONFIG_KEYS, parse_session_config
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT

QDQ, DYNAMIC = ModelFormat.INT8_QDQ, ModelFormat.INT8_DYNAMIC
PREPACKING_OFF = (("session.disable_prepacking", "1"),)


@pytest.mark.parametrize(
    ("variant", "platform"),
    [
        (Variant(), "epyc-7r13-ort1.32-fp32-1t"),
        (Variant(graph_optimization="extended"), "epyc-7r13-ort1.32-fp32-extended-1t"),
        (Variant(QDQ), "epyc-7r13-ort1.32-int8-qdq-1t"),
        (Variant(DYNAMIC, "none", threads=4), "epyc-7r13-ort1.32-int8-dynamic-none-4t"),
        (Variant(provider="CUDAExecutionProvider"), "epyc-7r13-ort1.32-fp32-cuda-1t"),
        (Variant(session_config=PREPACKING_OFF), None),
    ],
)
def test_a_variant_is_a_platform_of_its_own(variant, platform):
    assert variant.platform("epyc-7r13-ort1.32-fp32-1t") == platform


def test_beside_a_platform_that_somebody_named():
    assert Variant().platform("here") == "here"
    assert Variant(QDQ).platform("here") == "here-int8-qdq-1t"


def test_names_tell_all_variants_apart():
    variants = candidate_variants(
        graph_optimizations=("all", "none"), threads=(1, 2), session_config=dict(PREPACKING_OFF)
    )
    assert len({variant.name for variant in variants}) == len(variants) == 3 * 2 * 2 * 2


def test_the_default_session_is_a_candidate_whatever_is_asked_for():
    assert candidate_variants(formats=[QDQ], graph_optimizations=["all"]) == [DEFAULT_VARIANT, Variant(QDQ)]


def test_a_session_gets_the_settings():
    options = Variant(QDQ, "basic", threads=2, session_config=PREPACKING_OFF).session_options()

    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.disable_prepacking") == "1"


def test_settings_are_described_as_onnxruntime_names_them():
    described = Variant(graph_optimization="none", session_config=PREPACKING_OFF).describe_session()

    assert described["options"]["graph_optimization_level"] == "ORT_DISABLE_ALL"
    assert described["session_config"] == {"session.disable_prepacking": "1"}


def test_every_known_key_is_one_of_the_installed_onnxruntime():
    library = Path(onnxruntime_pybind11_state.__file__).read_bytes()

    assert [key for key in SESSION_CONFIG_KEYS if key.encode() not in library] == []


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (["session.disable_prepackin=1"], UnknownNameError, "Did you mean session.disable_prepacking"),
        (["session.disable_prepacking=yes"], UsageError, "takes 0 or 1, got 'yes'"),
        (["session.disable_prepacking"], UsageError, "KEY=VALUE"),
        (["session.disable_prepacking=1", "session.disable_prepacking=0"], UsageError, "given twice"),
    ],
)
def test_entries_that_onnxruntime_would_take_unread_are_refused(texts, error, message):
    with pytest.raises(error, match=message):
        parse_session_config(texts)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"graph_optimization": "max"}, UnknownNameError, "graph optimisation 'max'"),
        ({"threads": 0}, UsageError, "1 thread"),
        ({"provider": "cuda"}, UsageError, "no execution provider"),
        ({"session_config": (("session.nonsense", "1"),)}, UnknownNameError, "session-config key"),
    ],
)
def test_wrong_settings(settings, error, message):
    with pytest.raises(error, match=message):
        Variant(**settings)


def test_a_provider_that_is_not_installed():
    with pytest.raises(UnknownNameError, match="execution provider 'NoneSuchExecutionProvider'"):
        candidate_variants(providers=["NoneSuchExecutionProvider"])


def test_nothing_to_choose_from():
    with pytest.raises(UsageError, match="nothing to choose from"):
        candidate_variants(formats=[])
