from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from costmodel.data.dataset import Dataset
from costmodel.data.journal import Journal, JournalHeader
from costmodel.data.records import Clock, Status, Visit
from costmodel.data.weightless import graph_hash, strip_weights
from costmodel.errors import DataError, ModelFileError
from costmodel.platforms.environment import Environment

ENVIRONMENT = Environment(
    cpu="c", logical_cores=1, os="o", kernel="k", python="3", runtime="r", runtime_version="1", threads=1
)
HEADER = JournalHeader(platform="p", environment=ENVIRONMENT)


def network(width: int = 64, seed: int = 0) -> ModelProto:
    """x @ weight, reshaped by a literal."""
    weight = np.random.default_rng(seed).standard_normal((width, width), dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weight"], ["h"]),
            helper.make_node("Add", ["h", "bias"], ["b"]),
            helper.make_node("Reshape", ["b", "shape"], ["y"]),
        ],
        f"seed {seed}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, width])],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(weight[0], "bias"),
            numpy_helper.from_array(np.array([1, 2, width]), "shape"),
        ],
    )
    return helper.make_model(graph, producer_name=f"seed {seed}")


def visit(model: str, graph: ModelProto, batch: int, status: Status = Status.OK) -> Visit:
    timed = {"run_ms": (1.5, 1.25), "clock": Clock.CPU, "wall_cpu_ratio": 1.0, "reference_ms": 0.5}
    return Visit(
        model=model,
        model_hash=graph_hash(graph),
        batch=batch,
        status=status,
        reason="" if status is Status.OK else "it did",
        measured_at=datetime.now(UTC),
        **(timed if status is Status.OK else {}),
    )


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    with journal.writer(HEADER) as writer:
        writer.append(visit("narrow-b1", network(64), 1))
        writer.append(visit("wide", network(256), 1))
        writer.append(visit("narrow-b8", network(64), 8))
        writer.append(visit("broken", network(32), 1, Status.CRASHED))
    return journal


def test_round_trip_keeps_records_graphs_and_header(journal, tmp_path):
    dataset = Dataset.from_journal(journal.path, [network(64), network(256), network(128)])
    dataset.save(tmp_path / "dataset.parquet")
    loaded = Dataset.load(tmp_path / "dataset.parquet")

    assert loaded == dataset
    assert [record.model for record in loaded.records] == ["narrow-b1", "wide", "narrow-b8"]
    assert len(loaded.graphs) == 2
    assert {record.model: graph_hash(model) == record.model_hash for record, model in loaded} == {
        "narrow-b1": True,
        "wide": True,
        "narrow-b8": True,
    }


def test_a_graph_is_stored_once_however_many_records_share_it(tmp_path):
    graph = strip_weights(network())
    graph.doc_string = np.random.default_rng(0).bytes(100_000).hex()  # does not compress below its 100 kB
    journal = Journal(tmp_path / "journal.jsonl")
    with journal.writer(HEADER) as writer:
        for batch in range(1, 31):
            writer.append(visit(f"b{batch}", graph, batch))

    Dataset.from_journal(journal.path, [graph]).save(tmp_path / "dataset.parquet")

    assert (tmp_path / "dataset.parquet").stat().st_size < 200_000


def test_a_measured_model_that_is_not_given_is_named(journal):
    with pytest.raises(DataError, match="1 records have no graph: wide"):
        Dataset.from_journal(journal.path, [network(64)])


@pytest.mark.parametrize("kind", ["missing", "text", "cut short", "foreign", "later version"])
def test_what_is_no_dataset_is_refused(journal, tmp_path, kind):
    path = tmp_path / "dataset.parquet"
    Dataset.from_journal(journal.path, [network(64), network(256)]).save(path)
    if kind == "missing":
        path.unlink()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "cut short":
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "foreign":
        pq.write_table(pa.table({"graph": ["a"]}), path)
    else:
        table = pq.read_table(path)
        header = table.schema.metadata[b"costmodel"].replace(b'"schema_version":1', b'"schema_version":2')
        pq.write_table(table.replace_schema_metadata({"costmodel": header}), path)

    with pytest.raises(DataError, match=r"dataset\.parquet"):
        Dataset.load(path)


def test_hash_ignores_weights_and_nothing_else():
    assert graph_hash(network(seed=0)) == graph_hash(network(seed=1)) == graph_hash(strip_weights(network(seed=2)))
    assert graph_hash(network(width=64)) != graph_hash(network(width=65))
    reshaped = network()
    reshaped.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array([2, 1, 64]), "shape"))
    assert graph_hash(reshaped) != graph_hash(network())
    with_attribute = network()
    with_attribute.graph.node[2].attribute.append(helper.make_attribute("allowzero", 1))
    assert graph_hash(with_attribute) != graph_hash(network())


def test_strip_keeps_shapes_and_literals_but_no_weights():
    model = network()
    before = model.SerializeToString()
    weight, bias, shape = strip_weights(model).graph.initializer

    assert (list(weight.dims), weight.data_location, weight.raw_data) == ([64, 64], TensorProto.EXTERNAL, b"")
    assert bias.data_location == TensorProto.EXTERNAL
    assert numpy_helper.to_array(shape).tolist() == [1, 2, 64]
    assert model.SerializeToString() == before, "the original must not change"


def test_strip_reaches_constants_and_subgraphs():
    weight = numpy_helper.from_array(np.zeros((50, 50), np.float32), "value")
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    body = helper.make_graph(
        [
            helper.make_node("Constant", [], ["w"], value=weight),
            helper.make_node("Constant", [], ["s"], value=scales),
            helper.make_node("Resize", ["w", "", "s"], ["r"]),
        ],
        "body",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((50, 50), np.float32), "unused")],
    )
    node = helper.make_node("If", ["condition"], ["y"], then_branch=body, else_branch=body)
    condition = helper.make_tensor_value_info("condition", TensorProto.BOOL, [])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stripped = strip_weights(helper.make_model(helper.make_graph([node], "g", [condition], [output])))

    assert len(stripped.SerializeToString()) < 1500
    then_branch = next(attribute.g for attribute in stripped.graph.node[0].attribute if attribute.name == "then_branch")
    assert then_branch.node[0].attribute[0].t.data_location == TensorProto.EXTERNAL
    assert numpy_helper.to_array(then_branch.node[1].attribute[0].t).tolist() == [1, 1, 2, 2]
    assert then_branch.initializer[0].data_location == TensorProto.EXTERNAL


def test_a_literal_that_contradicts_its_shape_is_a_typed_error():
    model = network()
    model.graph.initializer[2].raw_data = b"\0" * 7

    with pytest.raises(ModelFileError, match="'shape'"):
        graph_hash(model)


def test_wall_clock_times_of_a_busy_machine_stay_out(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    with journal.writer(HEADER) as writer:
        busy = visit("m", network(), 1).model_copy(update={"clock": Clock.WALL, "wall_cpu_ratio": 1.5})
        writer.append(busy)

    assert len(Dataset.from_journal(journal.path, [network()])) == 0
