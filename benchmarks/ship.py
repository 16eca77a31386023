"""Put a trained run into the package, with a model card made from what the run recorded.

python benchmarks/ship.py runs/nnformer-base
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from costmodel.pretrained import Bundle, load_bundle, save_bundle

PACKAGE = Path(__file__).parents[1] / "costmodel" / "pretrained"

CARD = """# {name}

NN-Former with a physical prior (see `costmodel.model.LatencyModel`), {members} members of {parameters:,} parameters,
averaged in the log domain.  Made by `costmodel train benchmarks/configs/{name}.toml` and `benchmarks/ship.py`.

## Data and licences

{networks} networks (architecture and image size):

* timm's published inference benchmark, the `results` folder of huggingface/pytorch-image-models (Apache-2.0): step
  times of real architectures on RTX 3090, RTX 4090 and Core i9-10940X.  The graphs were exported from timm 1.0.31.
* 600 networks of ten generated families and 79 small architectures of timm, measured by this project with onnxruntime
  on one core of a virtual machine (AMD EPYC, family 25 model 1) shared with other work: CPU time, the minimum of
  13 visits (families) or 8 (timm) of 3 runs.  The Parquet file in `benchmarks/data` holds them with the environment;
  the median spread between visits is 18 %.
* The same 600 generated networks and 369 architectures of timm, measured by this project with torch 2.11 in bfloat16 on
  an NVIDIA H100, half at batch 1 and half at 128 (163 of timm's at both).  The virtual
  processor that starts the kernels was loading other networks meanwhile: two visits to a network differ by 11 % in the
  median and by half for one in ten, which is part of the platform's error below.

The weights are the project's own, Apache-2.0.

## Error on architecture families that were left out

Each member left one fifth of the families out; every figure is of predictions by the member that had not seen the
network's family, one seed.  The shipped average of all members has no left-out data to be measured on.

| platform | networks | MAPE % | median % | within 10 %, % | Kendall's tau | 90 % interval holds, % |
|---|---|---|---|---|---|---|
{rows}

## Limits

* Batch 1 was measured on the processors, the largest batch that fits on the graphics cards: other batches there are
  extrapolations by the prior.
* Image networks only: no language models, no recurrent networks, no quantised networks in the training data.
* Rows of timm's table that are not of the network timm 1.0.31 builds under that name were left out:
  `ig_resnext101_32x16d`, `_32x32d` and `_32x48d` (built as `32x8d`), `ecaresnext50t_32x4d` (the row repeats
  `ecaresnext26t_32x4d`), `ghostnetv3_*` (timed re-parameterised) and `regnety_2560` at 224 pixels.
* A norm folded into a convolution leaves no trace: VGG with norms takes mostly 8 to 24 % longer than without in timm's
  eager rows, and both get the same prediction.
"""


def card(bundle: Bundle) -> str:
    """Markdown that says what the weights are made of and how far off they are."""
    config = bundle.config
    errors = config.provenance["errors_on_left_out_families"]
    rows = [
        f"| {e['platform']} | {e['networks']} | {e['mape_percent']:.2f} | {e['median_percent']:.2f} "
        f"| {e['within_10_percent']:.1f} | {e['kendall_tau']:.3f} | {e['coverage_percent']:.1f} |"
        for e in errors
    ]
    return CARD.format(
        name=config.name,
        members=config.members,
        parameters=sum(tensor.numel() for tensor in bundle.members[0].parameters()),
        networks=config.provenance["networks"],
        rows="\n".join(rows),
    )


def main() -> None:
    """Copy the bundle of a run into the package, with its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    bundle = load_bundle(parser.parse_args().run)
    save_bundle(replace(bundle, card=card(bundle)), PACKAGE / bundle.config.name)


if __name__ == "__main__":
    main()
