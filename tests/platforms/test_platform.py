from __future__ import annotations

import pytest
from pydantic import ValidationError

from costmodel.platforms import Layout, Platform, PlatformKind, platform_name

PLATFORM = Platform(
    name="xeon-8488c-ort1.32-fp32-1t",
    device="xeon-8488c",
    kind=PlatformKind.CPU,
    runtime="ort1.32",
    precision="fp32",
    threads=1,
    environment={"isa": ["avx512f"]},
)


def test_a_name_is_made_of_slugs():
    assert platform_name("Xeon 8488C", "ort1.32", "fp32", threads=1) == "xeon-8488c-ort1.32-fp32-1t"
    assert platform_name("a", "b", "c", layout=Layout.NHWC, compiled=True) == "a-b-c-nhwc-dynamo"


def test_it_survives_json_and_can_be_a_key():
    again = Platform.model_validate_json(PLATFORM.model_dump_json())
    assert again == PLATFORM
    assert len({again, PLATFORM}) == 1


def test_its_description_names_what_was_set():
    assert PLATFORM.description == "xeon-8488c (cpu), ort1.32, fp32, 1 thread"


def test_it_is_frozen_and_strict():
    with pytest.raises(ValidationError, match="frozen"):
        PLATFORM.name = "other"
    fields = PLATFORM.model_dump()
    with pytest.raises(ValidationError, match="pattern"):
        Platform.model_validate({**fields, "name": "Xeon 8488C"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Platform.model_validate({**fields, "colour": "blue"})
