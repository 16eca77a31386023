"""What ``load_graph`` reads: the tables of ``docs/coverage.md``, as Markdown on stdout.

    python benchmarks/coverage.py light
    python benchmarks/coverage.py files FOLDER [--shape 'FILES:INPUT:DIMS']...
    python benchmarks/coverage.py timm GRAPHS

``light`` reads the models that come with the onnx package, ``files`` every ONNX file below a folder; ``--shape``
gives the shape of an input in the files whose path below the folder matches a glob.  ``timm`` sums up a folder of
graphs made by ``benchmarks/timm_graphs.py`` and compares their FLOPs with timm's own, which it takes from the
folder named by ``COSTMODEL_DATA`` (see ``costmodel.data.timm_benchmark``).
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from statistics import median

import onnx

from costmodel.cli.options import parse_shapes
from costmodel.data import GraphStore
from costmodel.data.timm_benchmark import TimmRow, architecture_family, read_timm_benchmark, timm_benchmark_path
from costmodel.errors import CostModelError
from costmodel.graph import OTHER, VOCABULARY, Op, OpGraph, load_graph, op_costs, total_cost
from costmodel.graph.onnx import from_onnx
from costmodel.graph.onnx.skim import skim
from costmodel.graph.onnx.tensors import dtype_of
from costmodel.graph.vocabulary import VIEW_OPS, op_type_index

_Shapes = Mapping[str, Sequence[int]]

LIGHT_MODELS = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LARGER_BATCH = 8
READS = 3
CLOSE = 0.02
TIMM_ROUNDS_OFF = 0.005
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Attention", "Einsum"})
"""What timm's counter takes as multiply-accumulates."""


def main() -> int:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("light", help="the models that come with onnx")
    files = commands.add_parser("files", help="every ONNX file below a folder")
    files.add_argument("folder", type=Path)
    files.add_argument("--shape", action="append", default=[], metavar="FILES:INPUT:DIMS")
    timm = commands.add_parser("timm", help="a folder of graphs made by timm_graphs.py")
    timm.add_argument("graphs", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.command == "light":
        report = file_report(LIGHT_MODELS, [])
    elif arguments.command == "files":
        report = file_report(arguments.folder, arguments.shape)
    else:
        report = timm_report(arguments.graphs)
    for line in report:
        print(line, flush=True)
    return 0


# ONNX files


@dataclass(frozen=True, slots=True)
class FileReading:
    """One ONNX file, read.

    Attributes:
        opset: Version of ONNX's operator set that the file asks for.
        nodes: Nodes of the file's main graph.
        held: Floating-point and quantised elements the file holds in all, those in branches not taken included.
        as_it_stands: The graph before it is simplified.
        graph: The simplified graph.
        read_ms: Time from the file to the simplified graph, the best of a few.
    """

    opset: int
    nodes: int
    held: int
    as_it_stands: OpGraph
    graph: OpGraph
    read_ms: float

    @classmethod
    def of(cls, path: Path, shapes: _Shapes) -> FileReading:
        """Read the file at ``path``."""
        times_ms = []
        for _ in range(READS):
            began = time.perf_counter()
            graph = load_graph(path, shapes=shapes)
            times_ms.append(1000 * (time.perf_counter() - began))
        model = skim(path)
        return cls(
            opset=next(opset.version for opset in model.opset_import if not opset.domain),
            nodes=len(model.graph.node),
            held=held_parameters(model.graph),
            as_it_stands=from_onnx(path, shapes={name: tuple(shape) for name, shape in shapes.items()}),
            graph=graph,
            read_ms=min(times_ms),
        )

    def cells(self, growth: str) -> tuple[object, ...]:
        """A row of the table, behind the name of the file."""
        cost, cost_before = total_cost(self.graph), total_cost(self.as_it_stands)
        return (
            self.opset,
            self.nodes,
            len(self.graph),
            f"{cost.flops / 1e9:.4g}",
            f"{cost_before.flops / 1e9:.4g}",
            f"{cost.params / 1e6:.4g}",
            f"{self.held / 1e6:.4g}",
            len(unknown_shapes(self.graph)),
            sum(map(has_no_word, self.graph)),
            growth,
            f"{self.read_ms:.0f}",
        )


def file_report(folder: Path, shape_options: Sequence[str]) -> Iterator[str]:
    """The table of every ONNX file below ``folder``, then what stood in the way."""
    yield from _table_head(
        "file | opset | nodes | ops | GFLOPs | as it stands | M params | M held | no shape | no word | batch 8 | ms"
    )
    failures, fixed_batches, wordless = [], [], Counter[str]()
    for path in sorted(folder.rglob("*.onnx")):
        name = path.relative_to(folder).as_posix()
        shapes = _shapes_for(name, shape_options)
        try:
            reading = FileReading.of(path, shapes)
        except CostModelError as error:
            failures.append(f"* `{name}`: {error}")
            continue
        try:
            growth = f"x {_growth(path, shapes, reading.graph):.3f}"
        except CostModelError as error:
            growth = "no"
            fixed_batches.append(f"* `{name}`: {error}")
        wordless.update(op.qualified_type for op in reading.graph if has_no_word(op))
        yield _row(f"`{name}`", *reading.cells(growth))
    yield from _section("Not read:", failures)
    yield from _section(f"Not at batch {LARGER_BATCH}:", fixed_batches)
    yield from _section("Operators without a word:", [f"* {name}: {count}" for name, count in wordless.most_common()])


def _shapes_for(name: str, options: Sequence[str]) -> _Shapes:
    matching = [shape for pattern, _, shape in (option.partition(":") for option in options) if fnmatch(name, pattern)]
    return parse_shapes(matching)


def _growth(path: Path, shapes: _Shapes, graph: OpGraph) -> float:
    """FLOPs at the larger batch over those of ``graph``; sizes in ``shapes`` that stand for a batch of 1 grow too."""
    grown = {name: (LARGER_BATCH, *shape[1:]) if shape[0] == 1 else shape for name, shape in shapes.items()}
    return total_cost(load_graph(path, shapes=grown, batch=LARGER_BATCH)).flops / total_cost(graph).flops


def held_parameters(graph: onnx.GraphProto) -> int:
    """Floating-point and quantised elements that ``graph`` and its subgraphs hold."""
    held = sum(map(_parameters, graph.initializer))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                held += held_parameters(attribute.g)
            elif attribute.HasField("t") and node.op_type == "Constant":
                held += _parameters(attribute.t)
    return held


def _parameters(tensor: onnx.TensorProto) -> int:
    dtype = dtype_of(tensor.data_type)
    return prod(tensor.dims) if dtype.is_float or dtype.is_quantized else 0


def unknown_shapes(graph: OpGraph) -> list[Op]:
    """Operations with a result of unknown shape."""
    return [op for op in graph if any(value.shape is None for value in graph.results(op))]


def has_no_word(op: Op) -> bool:
    """Whether the model sees ``op`` as some operation or other only."""
    return op.op_type not in VIEW_OPS and VOCABULARY[op_type_index(op.op_type)] == OTHER


# timm


@dataclass(frozen=True, slots=True)
class Comparison:
    """What we count in one architecture beside what timm counts.

    Attributes:
        key: Architecture and image size, ``arch@size``.
        gmacs: Multiply-accumulates of convolutions and matrix products, billions an image.
        params_millions: Parameters, millions.
        timm_gmacs: timm's, to two decimals.
        timm_params_millions: timm's, to two decimals.
    """

    key: str
    gmacs: float
    params_millions: float
    timm_gmacs: float
    timm_params_millions: float

    @property
    def ratio(self) -> float:
        """Our multiply-accumulates over timm's."""
        return self.gmacs / self.timm_gmacs

    @property
    def is_close(self) -> bool:
        """Whether they differ by no more than two per cent, or by what timm rounds off."""
        return abs(self.gmacs - self.timm_gmacs) <= max(CLOSE * self.timm_gmacs, TIMM_ROUNDS_OFF)


def timm_report(folder: Path) -> Iterator[str]:
    """How many graphs there are, what is missing, costs beside timm's own, and operators without a word."""
    store = GraphStore(folder)
    published = {f"{row.arch}@{row.image_size}": row for row in read_timm_benchmark(timm_benchmark_path())}
    comparisons, unknown = [], []
    wordless, graphs_with = Counter[str](), Counter[str]()
    keys = list(store)
    for key in keys:
        graph = store.read(key)
        without_word = Counter(op.qualified_type for op in graph if has_no_word(op))
        wordless.update(without_word)
        graphs_with.update(without_word.keys())
        if unknown_shapes(graph):
            unknown.append(f"* `{key}`")
        if key in published and (comparison := _compared(key, graph, published[key])):
            comparisons.append(comparison)
    architectures = {_architecture(key) for key in keys}
    absent = sorted({row.arch for row in published.values()} - architectures)
    yield f"{len(architectures):,} architectures read, {len(keys):,} pairs of architecture and image size."
    yield from _section("Failed:", _failures(folder))
    yield from _section("In timm's table, but not here:", [f"* `{arch}`" for arch in absent])
    yield from _section("With an unknown shape:", unknown)
    yield from _comparison_report(comparisons)
    yield from _section("Operators without a word:", _counts(wordless, graphs_with))


def _architecture(key: str) -> str:
    return key.partition("@")[0]


def _compared(key: str, graph: OpGraph, row: TimmRow) -> Comparison | None:
    if not row.gmacs or not row.params_millions:
        return None
    params_millions = total_cost(graph).params / 1e6
    return Comparison(key, product_gmacs(graph), params_millions, row.gmacs, row.params_millions)


def product_gmacs(graph: OpGraph) -> float:
    """Billions of multiply-accumulates in convolutions and matrix products, per image."""
    costs = zip(graph, op_costs(graph), strict=True)
    return sum(cost.flops for op, cost in costs if op.op_type in PRODUCTS) / 2e9 / graph.batch


def _failures(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("failures*.csv")):
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                yield f"* `{row['arch']}` at {row['image_size']}: {row['error']}"


def _comparison_report(comparisons: Sequence[Comparison]) -> Iterator[str]:
    if not comparisons:
        return
    close = sum(one.is_close for one in comparisons) / len(comparisons)
    yield ""
    yield (
        f"MACs beside timm's: {len(comparisons):,} pairs compared, median ratio "
        f"{median(one.ratio for one in comparisons):.4f}, {close:.1%} within {CLOSE:.0%}. The others by family:"
    )
    yield ""
    yield from _table_head("family | pairs | ratio | furthest off | GMACs | timm's | M params | timm's")
    families = defaultdict[str, list[Comparison]](list)
    for one in comparisons:
        if not one.is_close:
            families[architecture_family(one.key)].append(one)
    for family, outliers in sorted(families.items(), key=lambda item: (-len(item[1]), item[0])):
        ratios = [one.ratio for one in outliers]
        furthest = max(outliers, key=lambda one: abs(one.ratio - 1))
        yield _row(
            family,
            len(outliers),
            f"{min(ratios):.3f} to {max(ratios):.3f}",
            f"`{furthest.key}`",
            f"{furthest.gmacs:.4g}",
            furthest.timm_gmacs,
            f"{furthest.params_millions:.4g}",
            furthest.timm_params_millions,
        )


def _counts(occurrences: Counter[str], graphs: Counter[str]) -> list[str]:
    return [f"* {name}: {count} in {graphs[name]} graphs" for name, count in occurrences.most_common()]


# Markdown


def _table_head(columns: str) -> Iterator[str]:
    yield f"| {columns} |"
    yield "|---" * (columns.count("|") + 1) + "|"


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", title, "", *found)


if __name__ == "__main__":
    sys.exit(main())
