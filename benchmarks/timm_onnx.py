r"""Export small architectures of timm, the smallest of each family, as ONNX files without weights, to be measured.

    python benchmarks/timm_onnx.py -o runs/timm-onnx [--most-gmacs 3] [--part 0/2]
    costmodel measure runs/timm-onnx/*.onnx --family alexnet:60 --family efficientnet:60 --family googlenet:60 \
        --family mnasnet:60 --family mobilenet_v2:60 --family mobilenet_v3:60 --family nasbench201:60 \
        --family resnet:60 --family squeezenet:60 --family vgg:60 -o runs/records.jsonl --dataset FILE.parquet

The second command rebuilds the dataset in ``benchmarks/data`` on another machine.  The first needs
``pip install timm onnxscript`` beside the project and ``COSTMODEL_DATA`` (see ``costmodel.data.timm_benchmark``),
which names the architectures.  Files that are there already are kept.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch
from timm_models import add_part_option, import_timm, share_of, time_limit

from costmodel.data.timm_benchmark import architecture_family, read_timm_benchmark, timm_benchmark_path
from costmodel.data.weightless import strip_weights

TIME_LIMIT_S = 240
ALSO = (
    ("maxvit_tiny_tf_224", 224),
    ("resnetv2_50x1_bit", 224),
    ("swinv2_cr_tiny_ns_224", 224),
    ("vit_relpos_small_patch16_224", 224),
)
"""Architectures that compute weights from weights, which PyTorch does at every run and onnxruntime once."""


def wanted(most_gmacs: float, place: int) -> list[tuple[str, int]]:
    """Of each family the architecture and image size of the fewest multiply-accumulates, where few, and `ALSO`.

    Args:
        most_gmacs: Larger networks are left out.
        place: 1 for the smallest of a family, 2 for the next, alone ...
    """
    families: dict[str, set[tuple[float, str, int]]] = {}
    for row in read_timm_benchmark(timm_benchmark_path()):
        if row.gmacs is not None and row.gmacs <= most_gmacs:
            families.setdefault(architecture_family(row.arch), set()).add((row.gmacs, row.arch, row.image_size))
    ranked = [sorted(members) for members in families.values()]
    chosen = [members[place - 1][1:] for members in ranked if len(members) >= place]
    return sorted({*chosen, *(ALSO if place == 1 else ())})


def export(arch: str, size: int, path: Path) -> None:
    """Write ``arch`` at ``size`` pixels and batch 1."""
    torch.manual_seed(0)
    module = import_timm().create_model(arch).eval()
    # The exporter merges equal tensors and drops biases of zero, which an untrained network is full of.
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    program = torch.onnx.export(module, (torch.zeros(1, 3, size, size),), dynamo=True, verbose=False)
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    path.write_bytes(strip_weights(program.model_proto).SerializeToString())


def main() -> int:
    """Export what is missing; returns 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--most-gmacs", type=float, default=3.0)
    parser.add_argument("--place", type=int, default=1, help="2: the second smallest of each family, and so on")
    add_part_option(parser)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    failures = 0
    for arch, size in share_of(wanted(arguments.most_gmacs, arguments.place), arguments.part):
        path = arguments.output / f"{arch}@{size}.onnx"
        if path.exists():
            continue
        began = time.perf_counter()
        try:
            with time_limit(TIME_LIMIT_S):
                export(arch, size, path)
            print(f"{path.name}: {time.perf_counter() - began:.1f} s", flush=True)
        except Exception as error:  # each architecture fails in its own way
            failures += 1
            print(f"{path.name}: {str(error).splitlines()[:1] or type(error).__name__}", file=sys.stderr, flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
