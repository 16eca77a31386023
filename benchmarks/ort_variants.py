"""Measure generated networks as several variants in onnxruntime: a table to train on, and mean gains.

    python benchmarks/ort_variants.py -o runs/ort-variants [--per-family 30] [--per-family-at-8 5] [--visits 10]
    python benchmarks/ort_variants.py -o runs/ort-variants --graphs-of benchmarks/data/epyc-f25m1-ort1.32-variants.csv
    costmodel train benchmarks/configs/ort-variants.toml -o runs/ort

One thread, in fp32 at three levels of optimisation and in both formats of eight bits unless ``--variant`` says
otherwise.  Quantised models and visits are kept in the folder as they are made: interrupted, the same command goes on.
At the end, and with ``--collect`` at once, it writes ``measurements.csv`` with the graphs that its rows are about, in
``graphs``, without weights; and ``gains.json``, by which ``costmodel tune`` ranks where it knows no better, of the
networks at batch 1.  A copy of that comes with the package, as ``integrations/onnxruntime/gains.json``.
``--graphs-of`` measures nothing, but generates the graphs of a table that was made so.
"""

from __future__ import annotations

import argparse
import csv
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from costmodel.calibration import Campaign, FamilyNetwork, ModelSource, OnnxFile, Progress
from costmodel.data import Journal, MeasurementRecord, strip_weights
from costmodel.data.families import FAMILIES
from costmodel.errors import MeasurementError
from costmodel.files import replaced
from costmodel.integrations.onnxruntime import ModelFormat, Variant
from costmodel.integrations.onnxruntime.feeds import random_feeds
from costmodel.integrations.onnxruntime.format_maker import FormatMaker
from costmodel.integrations.onnxruntime.gains import Gain, Gains
from costmodel.integrations.onnxruntime.measuring import VariantMeasurer
from costmodel.integrations.onnxruntime.variant import DEFAULT_VARIANT, default_platform_here

VARIANTS = (
    DEFAULT_VARIANT,
    Variant(graph_optimization="extended"),
    Variant(graph_optimization="none"),
    Variant(ModelFormat.INT8_QDQ),
    Variant(ModelFormat.INT8_DYNAMIC),
)
TIME_LIMIT_S = 300.0
CALIBRATION_INPUTS = 4

logger = logging.getLogger("ort_variants")


def networks_of(families: Iterable[str], counts: Mapping[int, int]) -> list[FamilyNetwork]:
    """The networks of each family at each batch, families in turns so that an early stop has some of all."""
    return [
        FamilyNetwork(family, seed, batch)
        for batch, count in counts.items()
        for seed in range(count)
        for family in families
    ]


def quantized_file(folder: Path, network: FamilyNetwork, model_format: ModelFormat) -> Path:
    """Where a quantised network is kept."""
    return folder / "quantized" / model_format / f"{network.name}.onnx"


def quantize_all(networks: Sequence[FamilyNetwork], formats: Sequence[ModelFormat], folder: Path) -> None:
    """Make the quantised formats that are not there yet; what cannot be made is said, and has no row."""
    for number, network in enumerate(networks, start=1):
        missing = [form for form in formats if not quantized_file(folder, network, form).exists()]
        if not missing:
            continue
        model = network.load()
        with TemporaryDirectory() as work:
            source = Path(work) / "model.onnx"
            onnx.save(model, source)
            feeds = random_feeds(model, CALIBRATION_INPUTS)
            with FormatMaker(source, Path(work), feeds, TIME_LIMIT_S) as maker:
                for form in missing:
                    try:
                        made = maker.make(form)
                    except MeasurementError as error:
                        logger.warning("%s: %s", network.name, error)
                        continue
                    with replaced(quantized_file(folder, network, form)) as partial:
                        partial.write_bytes(made.path.read_bytes())
        logger.info("quantised %d of %d: %s", number, len(networks), network.name)


def sources_of(variant: Variant, networks: Sequence[FamilyNetwork], folder: Path) -> list[ModelSource]:
    """The networks in a variant's format, those that could be made."""
    if not variant.format.is_quantized:
        return list(networks)
    files = {network.name: quantized_file(folder, network, variant.format) for network in networks}
    return [OnnxFile(path, name) for name, path in files.items() if path.exists()]


def journal_of(variant: Variant, folder: Path) -> Journal:
    """Where the visits to a variant are kept."""
    return Journal(folder / "visits" / f"{variant.precision}.jsonl")


def measure_all(
    variants: Sequence[Variant], networks: Sequence[FamilyNetwork], folder: Path, visits: int, platform: str
) -> None:
    """Visit everything, variants in turns: a gain is the ratio of times from the same minutes."""
    for round_number in range(1, visits + 1):
        for variant in variants:
            sources = sources_of(variant, networks, folder)
            if not sources:
                continue
            campaign = Campaign(
                sources,
                VariantMeasurer(variant),
                journal_of(variant, folder),
                platform=variant.platform(platform),
                visits=round_number,
                round_interval_s=0.0,
                time_limit_s=TIME_LIMIT_S,
            )
            campaign.run(_say_now_and_then)
            logger.info("round %d of %d: %s", round_number, visits, variant.precision)


def _say_now_and_then(progress: Progress) -> None:
    if progress.last is not None and progress.done % 50 == 0:
        logger.info("%d of %d visits", progress.done, progress.total)


def trusted_records(variant: Variant, folder: Path) -> dict[str, MeasurementRecord]:
    """What was measured of a variant, by network."""
    journal = journal_of(variant, folder)
    if not journal.path.exists():
        return {}
    return {record.model: record for record in journal.read().records() if record.is_trusted}


def write_table(variants: Sequence[Variant], networks: Sequence[FamilyNetwork], folder: Path) -> int:
    """Write the table and its graphs; how many rows it has."""
    rows = []
    for variant in variants:
        records = trusted_records(variant, folder)
        rows += [(network, records[network.name]) for network in networks if network.name in records]
    write_graphs({network for network, _ in rows}, folder)
    with replaced(folder / "measurements.csv") as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("model", "platform", "latency_ms", "batch"))
        for network, record in rows:
            writer.writerow((f"graphs/{network.name}.onnx", record.platform, f"{record.latency_ms:.6g}", record.batch))
    return len(rows)


def write_graphs(networks: Iterable[FamilyNetwork], folder: Path) -> None:
    """Write the graphs that are not there yet, without weights."""
    for network in networks:
        graph = folder / "graphs" / f"{network.name}.onnx"
        if not graph.exists():
            with replaced(graph) as partial:
                partial.write_bytes(strip_weights(network.load()).SerializeToString())


def networks_named(table: Path) -> list[FamilyNetwork]:
    """The networks that the rows of a table are about."""
    with table.open(newline="", encoding="utf-8") as stream:
        rows = {(Path(row["model"]).stem, int(row["batch"])) for row in csv.DictReader(stream)}
    found = []
    for name, batch in sorted(rows):
        family, seed = name.removesuffix(f"-b{batch}").rsplit("-", 1)
        found.append(FamilyNetwork(family, int(seed), batch))
    return found


def gains_of(variants: Sequence[Variant], folder: Path, platform: str) -> Gains:
    """Mean gains over the networks at batch 1 that were measured as the default session too."""
    default = {name: r for name, r in trusted_records(DEFAULT_VARIANT, folder).items() if r.batch == 1}
    by_precision = {}
    for variant in variants:
        records = trusted_records(variant, folder)
        common = sorted(default.keys() & records.keys())
        if not common or variant == DEFAULT_VARIANT:
            continue
        ratios = np.array([records[name].latency_ms / default[name].latency_ms for name in common])
        low, high = np.quantile(ratios, (0.05, 0.95))
        by_precision[variant.precision] = Gain(
            ratio=round(float(np.exp(np.log(ratios).mean())), 4),
            low=round(float(low), 4),
            high=round(float(high), 4),
            networks=len(common),
        )
    return Gains(measured_on=platform, by_precision=by_precision)


def parse_options() -> argparse.Namespace:
    """What was typed."""
    known = {variant.precision: variant for variant in VARIANTS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--per-family", type=int, default=30)
    parser.add_argument("--per-family-at-8", type=int, default=5)
    parser.add_argument("--variant", nargs="+", choices=known, default=list(known))
    parser.add_argument("--visits", type=int, default=10)
    parser.add_argument("--platform", default=None, help="of the default session; made from device and runtime")
    parser.add_argument("--graphs-of", type=Path, metavar="TABLE", help="generate the graphs of a table and end")
    parser.add_argument("--collect", action="store_true", help="write the tables of what there is and end")
    options = parser.parse_args()
    options.variant = [known[name] for name in options.variant]
    return options


def main() -> None:
    """Quantise, measure, and write the tables."""
    options = parse_options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.graphs_of is not None:
        write_graphs(networks_named(options.graphs_of), options.output)
        shutil.copy(options.graphs_of, options.output / "measurements.csv")
        return
    platform = options.platform or default_platform_here()
    networks = networks_of(options.family, {1: options.per_family, 8: options.per_family_at_8})
    if not options.collect:
        formats = [variant.format for variant in options.variant if variant.format.is_quantized]
        quantize_all(networks, formats, options.output)
        measure_all(options.variant, networks, options.output, options.visits, platform)
    rows = write_table(options.variant, networks, options.output)
    gains = gains_of(options.variant, options.output, platform)
    gains.save(options.output / "gains.json")
    print(f"{rows} rows in {options.output / 'measurements.csv'}")
    for precision, gain in gains.by_precision.items():
        print(f"{precision:<16} {gain.ratio:.3f} ({gain.low:.3f} to {gain.high:.3f}) of {gain.networks} networks")


if __name__ == "__main__":
    main()
