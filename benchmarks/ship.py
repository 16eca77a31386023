"""Put a trained run into the package, with a model card made from what the run recorded.

python benchmarks/ship.py runs/nnformer-base
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from costmodel.pretrained import Bundle, load_bundle, save_bundle

PACKAGE = Path(__file__).parents[1] / "costmodel" / "pretrained"

CARDS = Path(__file__).parent / "cards"
"""A card for each name, with places for what a run recorded."""


def card(bundle: Bundle) -> str:
    """Markdown that says what the weights are made of and how far off they are."""
    config = bundle.config
    errors = config.provenance["errors_on_left_out_families"]
    rows = [
        f"| {e['platform']} | {e['networks']} | {e['mape_percent']:.2f} | {e['median_percent']:.2f} "
        f"| {e['within_10_percent']:.1f} | {e['kendall_tau']:.3f} | {e['coverage_percent']:.1f} |"
        for e in errors
    ]
    return (
        (CARDS / f"{config.name}.md")
        .read_text()
        .format(
            name=config.name,
            members=config.members,
            parameters=sum(tensor.numel() for tensor in bundle.members[0].parameters()),
            networks=config.provenance["networks"],
            rows="\n".join(rows),
        )
    )


def main() -> None:
    """Copy the bundle of a run into the package, with its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    bundle = load_bundle(parser.parse_args().run)
    save_bundle(replace(bundle, card=card(bundle)), PACKAGE / bundle.config.name)


if __name__ == "__main__":
    main()
