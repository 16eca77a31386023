from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from costmodel.data.families import FAMILIES, Activation, Family, NetworkBuilder, Tensor, generate, nasbench201_network
from costmodel.errors import GraphError, UnknownNameError, UsageError

CUT = "|none~0|+|none~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|"
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
CONVS = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def inferred_shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    shapes = {info.name: shape_of(info) for info in (*graph.input, *graph.value_info, *graph.output)}
    return shapes | {weight.name: tuple(weight.dims) for weight in graph.initializer}


def shape_of(info: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)


def attribute(node: NodeProto, name: str) -> object:
    return next(helper.get_attribute_value(a) for a in node.attribute if a.name == name)


def macs(model: ModelProto) -> int:
    shapes = inferred_shapes(model)
    return sum(
        prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm")
    )


def run_all(model: ModelProto, image: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Every tensor that a node of ``model`` makes, from a random image."""
    outputs = [node.output[0] for node in model.graph.node]
    (final,) = model.graph.output
    observed = ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(observed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if image is None:
        image = np.random.default_rng(0).standard_normal(shape_of(model.graph.input[0]), dtype=np.float32)
    results = dict(zip(outputs, session.run(outputs, {"input": image}), strict=True))
    assert results[final.name].shape == shape_of(final)
    return results


def scores(model: ModelProto, image: np.ndarray | None = None) -> np.ndarray:
    return run_all(model, image)[model.graph.output[0].name]


@pytest.mark.parametrize("family", FAMILIES)
def test_weightless_variants_repeat_and_keep_every_shape(family: str) -> None:
    for seed in range(5):
        model = generate(family, seed, weights=False)
        data = model.SerializeToString()
        assert data == generate(family, seed, weights=False).SerializeToString()
        assert len(data) < 100_000
        assert model.graph.name == f"{family}-{seed:04d}"
        shapes = inferred_shapes(model)
        assert all(0 not in shapes[name] for node in model.graph.node for name in node.output)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_sane_and_do_not_change_the_architecture(family: str) -> None:
    model = generate(family, 7)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.node == generate(family, 7, weights=False, batch=3).graph.node
    for name, tensor in run_all(model).items():
        magnitudes = np.abs(tensor)
        assert np.isfinite(tensor).all(), name
        assert 1e-2 < np.sqrt(np.square(tensor, dtype=np.float64).mean()) < 1e3, name
        # A denormal operand slows a CPU down a hundredfold: timings would measure the weights.
        assert magnitudes[magnitudes > 0].min() > 1e-30, name


@pytest.mark.parametrize("family", FAMILIES)
def test_variants_keep_to_the_budget(family: str) -> None:
    for seed in range(100, 110):
        model = generate(family, seed, weights=False, batch=2)
        assert 8e6 <= macs(model) / 2 <= 2e9
        assert sum(prod(weight.dims) for weight in model.graph.initializer) * 4 < 120e6


def test_variants_cover_what_changes_latency() -> None:
    convolutions = list(_convolutions(seeds=8))
    kernels = {max(attribute(node, "kernel_shape")) for node, _ in convolutions}
    assert kernels >= {1, 3, 5, 7}
    assert {attribute(node, "strides")[0] for node, _ in convolutions} >= {1, 2, 4}
    groups = {(attribute(node, "group"), weight[0]) for node, weight in convolutions}
    assert any(1 < count < channels for count, channels in groups)
    assert any(1 < count == channels for count, channels in groups)


def _convolutions(seeds: int) -> Iterator[tuple[NodeProto, tuple[int, ...]]]:
    for family in FAMILIES:
        models = [generate(family, seed, weights=False) for seed in range(seeds)]
        assert len({macs(model) for model in models}) == seeds, f"{family} repeats itself"
        for model in models:
            dims = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
            yield from ((node, dims[node.input[1]]) for node in model.graph.node if node.op_type == "Conv")


def test_channels_keep_to_blocks_in_some_variants_and_not_in_others() -> None:
    stems = [generate("resnet", seed, weights=False).graph.initializer[0].dims[0] for seed in range(30)]
    assert any(channels % 2 for channels in stems)
    assert any(channels % 16 == 0 for channels in stems)


def test_nodes_have_readable_unique_names() -> None:
    names = [node.name for node in generate("resnet", 0, weights=False).graph.node]
    assert {"stem.conv1", "stage1.block0.conv1", "stage1.block0.shortcut.conv1", "head.fc1"} <= set(names)
    assert len(names) == len(set(names))


def test_unusable_requests() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean .*mobilenet_v2"):
        generate("mobilenetv2", 0)
    with pytest.raises(UsageError, match="seed -1"):
        generate("vgg", -1)
    with pytest.raises(UsageError, match="batch 0"):
        generate("vgg", 0, batch=0)


def test_family_contract_is_checked() -> None:
    class Headless(Family):
        name = "headless"

        def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
            return net.conv(net.image(64), 32, 3)

    class Tiny(Family):
        name = "tiny"

        def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
            return net.classifier(net.image(8), 10)

    class Heavy(Family):
        name = "heavy"

        def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
            return net.gemm(net.flatten(net.image(100)), 1000)

    with pytest.raises(GraphError, match=r"'headless'.*\(1, 32, 64, 64\)"):
        Headless().generate(0)
    with pytest.raises(GraphError, match="'tiny': none of"):
        Tiny().generate(0)
    with pytest.raises(GraphError, match="'heavy': none of"):
        Heavy().generate(0)


def test_builder_refuses_layers_that_do_not_fit() -> None:
    net = NetworkBuilder("misfit")
    image = net.image(8)
    with pytest.raises(GraphError, match="2 groups"):
        net.conv(image, 4, 3, groups=2)
    with pytest.raises(GraphError, match="does not fit"):
        net.max_pool(image, 9, 1)
    with pytest.raises(GraphError, match="cannot add"):
        net.add(image, net.conv(image, 3, 3, stride=2))
    with pytest.raises(GraphError, match="cannot concatenate"):
        net.concat([image, net.conv(image, 3, 3, stride=2)])


@pytest.mark.parametrize("kind", Activation)
def test_activations_compute_what_they_are_called(kind: Activation) -> None:
    net = NetworkBuilder("activation")
    model = net.to_model(net.activation(net.image(8), kind), weights_rng=np.random.default_rng(0))
    x = np.linspace(-9, 9, 3 * 8 * 8, dtype=np.float32).reshape(1, 3, 8, 8)
    expected = {
        Activation.RELU: np.maximum(x, 0),
        Activation.RELU6: np.clip(x, 0, 6),
        Activation.LEAKY_RELU: np.where(x > 0, x, 0.1 * x),
        Activation.SWISH: x / (1 + np.exp(-x)),
        Activation.HARD_SWISH: x * np.clip(x + 3, 0, 6) / 6,
        Activation.SIGMOID: 1 / (1 + np.exp(-x)),
        Activation.HARD_SIGMOID: np.clip(x + 3, 0, 6) / 6,
    }
    np.testing.assert_allclose(scores(model, x), expected[kind], atol=1e-5)


def test_nasbench201_has_the_published_parameter_count() -> None:
    model = nasbench201_network(CONVS, weights=False)
    # The benchmark lists 1.531546 M; 7,264 of them scale and shift batch norms, 10 are the biases of the classes.
    weights = sum(prod(weight.dims) for weight in model.graph.initializer if len(weight.dims) >= 2)
    assert weights == 1_531_546 - 7_264 - 10


def test_nasbench201_reduction_adds_its_shortcut() -> None:
    results = run_all(nasbench201_network(SKIPS, cells=1, channels=4, image=8))
    x = results["stage0.cell0.node3.add2"]
    np.testing.assert_allclose(
        results["stage1.reduction.shortcut.pool1"], x.reshape(1, 4, 4, 2, 4, 2).mean((3, 5)), rtol=1e-4, atol=1e-5
    )
    branches = results["stage1.reduction.shortcut.conv1"], results["stage1.reduction.conv2"]
    np.testing.assert_allclose(results["stage1.reduction.add1"], sum(branches), rtol=1e-5)


def test_nasbench201_cells_of_skips_multiply_by_four() -> None:
    # Node 1 is x, node 2 is 2x, node 3 is 4x.
    results = run_all(nasbench201_network(SKIPS, cells=2, channels=4, image=8))
    np.testing.assert_allclose(results["stage0.cell1.node3.add2"], 16 * results["stem.conv1"], rtol=1e-5)


def test_nasbench201_leaves_out_dead_edges() -> None:
    arch = "|nor_conv_1x1~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
    nodes = nasbench201_network(arch, cells=1, weights=False).graph.node
    assert [node.name for node in nodes if "cell" in node.name] == [
        f"stage{stage}.cell0.node3.from0.pool1" for stage in range(3)
    ]


def test_nasbench201_cut_cell_ignores_its_input_but_keeps_the_stem() -> None:
    model = nasbench201_network(CUT, cells=1)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.node[0].name == "stem.conv1"
    ones = np.ones((1, 3, 32, 32), dtype=np.float32)
    np.testing.assert_array_equal(scores(model, ones), scores(model, -ones))


@pytest.mark.parametrize(
    "arch",
    [
        "",
        "nor_conv_3x3",
        SKIPS.rsplit("+", 1)[0],
        SKIPS + "+|none~0|none~1|none~2|none~3|",
        SKIPS.replace("connect~2", "connect~1"),
        SKIPS.replace("connect~2", "connect~9"),
        SKIPS.replace("skip_connect~2", "nor_conv_5x5~2"),
        SKIPS.replace("~2|", "~2"),
    ],
)
def test_nasbench201_refuses_other_texts(arch: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        nasbench201_network(arch)


def test_nasbench201_refuses_sizes_it_cannot_halve_twice() -> None:
    with pytest.raises(UsageError, match="multiple of 4"):
        nasbench201_network(SKIPS, image=30)
    with pytest.raises(UsageError, match="cells"):
        nasbench201_network(SKIPS, cells=0)


def test_same_seed_same_weights() -> None:
    first, second = (generate("nasbench201", 1).graph.initializer for _ in range(2))
    assert first == second
    assert numpy_helper.to_array(first[0]).std() > 0.05
