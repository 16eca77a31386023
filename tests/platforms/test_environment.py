import pytest

from costmodel.platforms import measured_platform
from costmodel.platforms.environment import Environment, default_platform_name


def environment(**changes) -> Environment:
    fields = {
        "cpu": "AMD EPYC",
        "logical_cores": 2,
        "os": "Linux",
        "kernel": "6",
        "python": "3.11.7",
        "runtime": "onnxruntime",
        "runtime_version": "1.32.0",
        "threads": 1,
    }
    return Environment(**{**fields, **changes})


@pytest.mark.parametrize(
    ("cpu", "device"),
    [
        ("AMD EPYC 7R13 Processor", "epyc-7r13"),
        ("AMD EPYC", "epyc-f25m1"),
        ("Intel(R) Xeon(R) Platinum 8488C", "xeon-8488c"),
        ("Intel(R) Core(TM) i9-10940X CPU @ 3.30GHz", "i9-10940x"),
        ("AMD Ryzen 9 7950X 16-Core Processor", "ryzen-9-7950x"),
        ("AMD Ryzen 7 5700G with Radeon Graphics", "ryzen-7-5700g"),
        ("Apple M2 Pro", "apple-m2-pro"),
        ("aarch64 0x41 0xd0c", "aarch64-0x41-0xd0c"),
        ("", "cpu-f25m1"),
    ],
)
def test_platform_name_starts_with_the_device(cpu, device):
    name = default_platform_name(environment(cpu=cpu, cpu_family=25, cpu_model=1))

    assert name == f"{device}-ort1.32-fp32-1t"


def test_platform_name_tells_runtime_precision_and_threads():
    name = default_platform_name(
        environment(cpu="A 1", runtime="openvino", runtime_version="2025.3.1", threads=8), "int8"
    )

    assert name == "a-1-openvino2025.3-int8-8t"


@pytest.mark.parametrize(
    ("card", "device"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm4"),
        ("AMD Radeon Pro W7900", "radeon-pro-w7900"),
        ("NVIDIA Graphics", "gpu"),
    ],
)
def test_an_accelerator_is_named_in_place_of_the_processor(card, device):
    found = environment(accelerator=card, runtime="torch", runtime_version="2.11.0")

    assert default_platform_name(found, "bf16") == f"{device}-pt2.11-bf16"
    platform = measured_platform("card", found, "bf16")
    assert (platform.device, platform.kind, platform.precision, platform.threads) == (device, "gpu", "bf16", None)


def test_a_processor_is_a_platform_with_threads():
    platform = measured_platform("here", environment(threads=4))

    assert (platform.device, platform.kind, platform.threads) == ("epyc", "cpu", 4)


def test_capture_describes_this_machine():
    captured = Environment.capture(runtime="r", runtime_version="1", threads=2)

    assert captured.cpu
    assert captured.logical_cores >= 1
    assert captured.threads == 2
    assert Environment.model_validate_json(captured.model_dump_json()) == captured
