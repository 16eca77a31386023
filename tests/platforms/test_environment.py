import pytest

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


def test_capture_describes_this_machine():
    captured = Environment.capture(runtime="r", runtime_version="1", threads=2)

    assert captured.cpu
    assert captured.logical_cores >= 1
    assert captured.threads == 2
    assert Environment.model_validate_json(captured.model_dump_json()) == captured
