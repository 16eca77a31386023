from __future__ import annotations

import pytest

from costmodel.errors import DataError
from costmodel.platforms import Layout, PlatformKind, PlatformRegistry, timm_platform

NAMES = {
    "fp32-nchw-pt240-cpu-i9_10940x-dynamo": "i9-10940x-pt2.4-fp32-dynamo",
    "fp32-nchw-pt221-cpu-i9_10940x-dynamo": "i9-10940x-pt2.2-fp32-dynamo",
    "amp-nchw-pt291-cu128-4090": "rtx4090-pt2.9-amp-nchw",
    "amp-nchw-pt291-cu128-4090-dynamo": "rtx4090-pt2.9-amp-nchw-dynamo",
    "amp-nchw-pt240-cu124-rtx4090": "rtx4090-pt2.4-amp-nchw",
    "amp-nchw-pt240-cu124-rtx3090": "rtx3090-pt2.4-amp-nchw",
    "amp-nchw-pt240-cu124-rtx4090-dynamo": "rtx4090-pt2.4-amp-nchw-dynamo",
    "amp-nhwc-pt240-cu124-rtx4090": "rtx4090-pt2.4-amp-nhwc",
    "amp-nhwc-pt240-cu124-rtx3090": "rtx3090-pt2.4-amp-nhwc",
    "amp-nchw-pt210-cu121-rtx3090": "rtx3090-pt2.1-amp-nchw",
    "amp-nhwc-pt210-cu121-rtx3090": "rtx3090-pt2.1-amp-nhwc",
    "amp-nchw-pt113-cu117-rtx3090": "rtx3090-pt1.13-amp-nchw",
    "amp-nhwc-pt113-cu117-rtx3090": "rtx3090-pt1.13-amp-nhwc",
}


def test_every_published_label_gets_its_own_name():
    assert {label: timm_platform(label).name for label in NAMES} == NAMES
    assert len(PlatformRegistry(map(timm_platform, NAMES))) == len(NAMES)


def test_the_parts_of_a_label_become_fields():
    cpu = timm_platform("fp32-nchw-pt221-cpu-i9_10940x-dynamo")
    assert (cpu.device, cpu.kind, cpu.runtime, cpu.precision) == ("i9-10940x", PlatformKind.CPU, "pt2.2", "fp32")
    assert (cpu.layout, cpu.compiled, cpu.threads) == (Layout.NCHW, True, None)
    assert cpu.aliases == ("fp32-nchw-pt221-cpu-i9_10940x-dynamo",)
    gpu = timm_platform("amp-nhwc-pt240-cu124-rtx3090")
    assert (gpu.kind, gpu.layout, gpu.compiled) == (PlatformKind.GPU, Layout.NHWC, False)


@pytest.mark.parametrize("label", ["", "resnet50", "amp-nchw-pt24-cu124-rtx3090", "amp-nchw-pt240-rtx3090"])
def test_another_label_is_refused(label):
    with pytest.raises(DataError, match="not a timm benchmark label"):
        timm_platform(label)
