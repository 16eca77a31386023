"""Time each kernel of the networks that ``ort_variants.py`` measured, in the default session.

    python benchmarks/ort_profiles.py benchmarks/data/epyc-f25m1-ort1.32-variants.csv -o runs/ort-variants/profiles

One file a network, as ``costmodel measure --profile`` writes it; what is there already is not made again.  A table that
names the folder in ``profiles`` is trained with ``op_shares``, see ``benchmarks/configs/ort-variants.toml``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ort_variants import networks_named

from costmodel.calibration import OnnxRuntimeMeasurer, Profiler
from costmodel.errors import MeasurementError
from costmodel.integrations.onnxruntime.variant import default_platform_here

RUNS = 20


def main() -> None:
    """Profile what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--platform", default=None, help="made from device and runtime")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    platform = options.platform or default_platform_here()
    with Profiler(OnnxRuntimeMeasurer(), platform=platform, time_limit_s=300) as profiler:
        for network in networks_named(options.table):
            path = options.output / f"{network.name}.json"
            if path.exists():
                continue
            try:
                found = profiler.profile(network, batch=network.batch, runs=RUNS)
            except MeasurementError as error:
                print(error, flush=True)
                continue
            found.save(path)
            print(f"{network.name}: {found.run_ms:.2f} ms, {100 * found.mapped_share:.0f} % mapped", flush=True)


if __name__ == "__main__":
    main()
