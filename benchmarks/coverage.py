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
from pathlib import Path
from statistics import median

import onnx

from costmodel.cli.options import parse_shapes
from costmodel.data import GraphStore
from costmodel.data.timm_benchmark import architecture_family, read_timm_benchmark, timm_benchmark_path
from costmodel.errors import CostModelError
from costmodel.graph import OTHER, VOCABULARY, Op, OpGraph, load_graph, op_costs, total_cost
from costmodel.graph.dtypes import DType
from costmodel.graph.onnx import from_onnx
from costmodel.graph.onnx.skim import skim
from costmodel.graph.onnx.tensors import dtype_of
from costmodel.graph.vocabulary import VIEW_OPS, op_type_index

_Shapes = Mapping[str, Sequence[int]]

LIGHT_MODELS = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LARGER_BATCH = 8
READS = 3
CLOSE = 0.02
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


def file_report(folder: Path, shape_options: Sequence[str]) -> Iterator[str]:
    """The table of every ONNX file below ``folder``, then what could not be read and operators without a word."""
    yield from _table_head(
        "file | opset | nodes | ops | GFLOPs | as it stands | M params | M held | unknown shapes | no word | batch 8 "
        "| ms"
    )
    failures, wordless = [], Counter[str]()
    for path in sorted(folder.rglob("*.onnx")):
        name = path.relative_to(folder).as_posix()
        shapes = _shapes_for(name, shape_options)
        try:
            reading = FileReading.of(path, shapes)
        except CostModelError as error:
            failures.append(f"* `{name}`: {error}")
            continue
        without_word = [op.qualified_type for op in reading.graph if has_no_word(op)]
        wordless.update(without_word)
        cost, before = total_cost(reading.graph), total_cost(reading.as_it_stands)
        yield _row(
            f"`{name}`",
            reading.opset,
            reading.nodes,
            len(reading.graph),
            f"{cost.flops / 1e9:.4g}",
            f"{before.flops / 1e9:.4g}",
            f"{cost.params / 1e6:.4g}",
            f"{reading.held / 1e6:.4g}",
            len(unknown_shapes(reading.graph)),
            len(without_word),
            _growth(path, shapes, cost.flops),
            f"{reading.read_ms:.0f}",
        )
    yield from _section("Not read:", failures)
    yield from _section("Operators without a word:", [f"* {name}: {count}" for name, count in wordless.most_common()])


def _shapes_for(name: str, options: Sequence[str]) -> _Shapes:
    matching = [shape for pattern, _, shape in (option.partition(":") for option in options) if fnmatch(name, pattern)]
    return parse_shapes(matching)


def _growth(path: Path, shapes: _Shapes, flops: float) -> str:
    """FLOPs at the larger batch over FLOPs at the batch of the file or of ``shapes``."""
    try:
        larger = load_graph(path, shapes=shapes, batch=LARGER_BATCH)
    except CostModelError:
        return "no"
    return f"x {total_cost(larger).flops / flops:.3f}"


def held_parameters(graph: onnx.GraphProto) -> int:
    """Floating-point and quantised elements that ``graph`` and its subgraphs hold."""
    tensors = list(graph.initializer)
    inner = 0
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and node.op_type == "Constant":
                tensors.append(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                inner += held_parameters(attribute.g)
    return inner + sum(_size(tensor) for tensor in tensors)


def _size(tensor: onnx.TensorProto) -> int:
    dtype: DType = dtype_of(tensor.data_type)
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size if dtype.is_float or dtype.is_quantized else 0


def unknown_shapes(graph: OpGraph) -> list[Op]:
    """Operations with a result of unknown shape."""
    return [op for op in graph if any(value.shape is None for value in graph.results(op))]


def has_no_word(op: Op) -> bool:
    """Whether the model sees ``op`` as some operation or other only."""
    return op.op_type not in VIEW_OPS and VOCABULARY[op_type_index(op.op_type)] == OTHER


# timm


@dataclass(frozen=True, slots=True)
class Comparison:
    """FLOPs of one architecture beside what timm says.

    Attributes:
        key: Architecture and image size, ``arch@size``.
        gmacs: Our multiply-accumulates of convolutions and matrix products, billions.
        timm_gmacs: timm's.
    """

    key: str
    gmacs: float
    timm_gmacs: float

    @property
    def ratio(self) -> float:
        """Ours over timm's."""
        return self.gmacs / self.timm_gmacs


def timm_report(folder: Path) -> Iterator[str]:
    """How many graphs there are, what failed, FLOPs beside timm's own, and operators without a word."""
    store = GraphStore(folder)
    published = _published_gmacs()
    comparisons, wordless, graphs_with = [], Counter[str](), Counter[str]()
    keys = list(store)
    unknown = []
    for key in keys:
        graph = store.read(key)
        without_word = Counter(op.qualified_type for op in graph if has_no_word(op))
        wordless += without_word
        graphs_with.update(without_word.keys())
        if unknown_shapes(graph):
            unknown.append(key)
        if key in published:
            comparisons.append(Comparison(key, product_gmacs(graph), published[key]))
    architectures = {key.partition("@")[0] for key in keys}
    yield f"Read: {len(architectures):,} architectures, {len(keys):,} pairs of architecture and image size."
    yield f"Graphs with an unknown shape: {len(unknown)}{': ' if unknown else '.'}{', '.join(unknown)}"
    yield from _section("Not read:", list(_failures(folder)))
    yield ""
    yield from _comparison_report(comparisons)
    yield ""
    yield from _table_head("operator without a word | occurrences | graphs")
    for name, count in wordless.most_common():
        yield _row(name, count, graphs_with[name])


def _published_gmacs() -> dict[str, float]:
    rows = read_timm_benchmark(timm_benchmark_path())
    return {f"{row.arch}@{row.image_size}": row.gmacs for row in rows if row.gmacs}


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
    close = sum(abs(one.ratio - 1) <= CLOSE for one in comparisons) / len(comparisons)
    yield (
        f"MACs beside timm's: {len(comparisons):,} compared, median ratio {median(c.ratio for c in comparisons):.4f}, "
        f"{close:.1%} within {CLOSE:.0%}."
    )
    families = defaultdict[str, list[Comparison]](list)
    for one in comparisons:
        if abs(one.ratio - 1) > CLOSE:
            families[architecture_family(one.key)].append(one)
    yield ""
    yield from _table_head("family | outliers | ratio | the furthest | ours, GMACs | timm's")
    for family, outliers in sorted(families.items(), key=lambda item: -len(item[1])):
        ratios = [one.ratio for one in outliers]
        furthest = max(outliers, key=lambda one: abs(one.ratio - 1))
        span = f"{min(ratios):.3f} to {max(ratios):.3f}"
        yield _row(
            family, len(outliers), span, f"`{furthest.key}`", f"{furthest.gmacs:.4g}", f"{furthest.timm_gmacs:.4g}"
        )


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
