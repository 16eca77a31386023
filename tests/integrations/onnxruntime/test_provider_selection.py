from typing import NamedTuple

import onnxruntime
import pytest

from costmodel.errors import UnknownNameError
from costmodel.integrations.onnxruntime.gains import Gain, Gains
from costmodel.integrations.onnxruntime.provider_selection import provider_selector


class Device(NamedTuple):
    """What onnxruntime shows of a device to a delegate."""

    ep_name: str


CPU, CUDA, QNN = (Device(f"{name}ExecutionProvider") for name in ("CPU", "CUDA", "QNN"))


def gains_of_cuda(ratio):
    return Gains(
        measured_on="elsewhere", by_precision={"fp32-cuda": Gain(ratio=ratio, low=ratio, high=ratio, networks=1)}
    )


@pytest.mark.parametrize(
    ("ratio", "devices", "most", "selected"),
    [
        (0.1, [CPU, CUDA], 8, [CUDA, CPU]),
        (0.1, [CUDA, CPU], 1, [CUDA]),
        (10.0, [CUDA, CPU], 8, [CPU]),
        (0.1, [QNN, CPU], 8, [CPU]),
        (0.1, [QNN], 8, [QNN]),
    ],
    ids=["faster", "one only", "slower", "unknown", "unknown and alone"],
)
def test_the_provider_that_is_expected_to_be_fastest(network, predictor, ratio, devices, most, selected):
    select = provider_selector(network, predictor=predictor, gains=gains_of_cuda(ratio))

    assert list(select(devices, {}, {}, most)) == selected


def test_a_session_takes_it(network, predictor):
    options = onnxruntime.SessionOptions()
    options.set_provider_selection_policy_delegate(provider_selector(network, predictor=predictor))

    assert onnxruntime.InferenceSession(network, options).get_providers() == ["CPUExecutionProvider"]


def test_an_unknown_platform_is_told_at_once(network, predictor):
    with pytest.raises(UnknownNameError, match="'nowhere'"):
        provider_selector(network, predictor=predictor, platform="nowhere")
