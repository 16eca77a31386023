from __future__ import annotations

import pytest
import shape_checks
import torch

shape_checks.install()  # before the rooms that hold tensors are imported

from costmodel.features import FEATURE_NAMES, feature_schema_hash
from costmodel.graph import VOCABULARY
from costmodel.model.latency_model import LatencyModel, LatencyModelConfig
from costmodel.model.nn_former import NNFormerConfig
from costmodel.platforms import timm_platform
from costmodel.pretrained import Bundle, BundleConfig

I9 = "fp32-nchw-pt240-cpu-i9_10940x-dynamo"
RTX = ("amp-nchw-pt240-cu124-rtx3090", "amp-nhwc-pt240-cu124-rtx3090")


@pytest.fixture(scope="session")
def untrained_bundle() -> Bundle:
    """A whole bundle, but tiny and never trained: three platforms, and only Conv and Relu count as seen."""
    torch.manual_seed(0)
    platforms = tuple(timm_platform(label) for label in (I9, *RTX))
    trunk = NNFormerConfig(num_op_types=len(VOCABULARY), num_features=len(FEATURE_NAMES), dim=16, depth=1, ffn_ratio=2)
    model = LatencyModelConfig(trunk=trunk, num_platforms=len(platforms), head_width=4)
    member = LatencyModel(model)
    for parameter in member.parameters():  # so that no two networks and no two platforms agree
        torch.nn.init.normal_(parameter, std=0.3)
    config = BundleConfig(
        feature_schema=feature_schema_hash(),
        name="untrained",
        model=model,
        members=1,
        platforms=platforms,
        seen_op_types=("Conv", "Relu"),
        error_quantiles=(0.1, 0.2, 0.3),
    )
    return Bundle(config, (member.eval(),))
