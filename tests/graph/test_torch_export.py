"""Modules, exported programs and fx graphs come out as the same graph of operations."""

import operator

import pytest
import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from costmodel.errors import UnsupportedModelError, UsageError
from costmodel.graph import DType, ValueKind, op_cost
from costmodel.graph.torch import from_fx, from_torch


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.block = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.block(x)
        return self.head(self.drop(functional.adaptive_avg_pool2d(x, 1).flatten(1)))


class Attention(nn.Module):
    def __init__(self, width=8, heads=2):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.heads = heads

    def forward(self, x):
        batch, length, width = x.shape
        joint = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = joint.unbind(0)
        weights = (query @ key.transpose(-2, -1) * 0.5).softmax(-1)
        return (weights @ value).transpose(1, 2).reshape(batch, length, width)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens, *, shift, scale=1.0):
        logits = self.head(self.embed(tokens))
        return {"scaled": logits * scale, "both": (logits + shift, tokens)}


IMAGE = torch.zeros(2, 3, 8, 8)
TOKENS = torch.zeros(2, 3, dtype=torch.int64)


def types(graph):
    return [op.op_type for op in graph]


CONV_NET = ["Conv", "BatchNormalization", "Relu", "Conv", "Add", "GlobalAveragePool", "Flatten", "Gemm"]


def test_a_convolutional_network_keeps_weights_attributes_and_places():
    graph = from_torch(ConvNet(), IMAGE)

    assert types(graph) == CONV_NET
    stem, depthwise, head = graph.ops[0], graph.ops[3], graph.ops[-1]
    assert [value.shape for value in graph.operands(stem)] == [(2, 3, 8, 8), (8, 3, 3, 3), (8,)]
    assert [value.kind for value in graph.operands(stem)] == [ValueKind.INPUT, ValueKind.WEIGHT, ValueKind.WEIGHT]
    assert stem.attributes == {
        "kernel_shape": (3, 3),
        "strides": (2, 2),
        "pads": (1, 1, 1, 1),
        "dilations": (1, 1),
        "group": 1,
    }
    assert depthwise.attributes["group"] == 8
    assert (stem.scope, depthwise.scope, head.scope) == ("stem.0", "block", "head")
    assert head.sources == ("linear",)
    assert graph.values[head.inputs[1]].shape == (5, 8)
    assert graph.values[graph.outputs[0]].shape == (2, 5)
    assert graph.name == "ConvNet"


def test_an_in_place_activation_is_seen_by_later_readers_of_its_operand():
    class Residual(nn.Module):
        def forward(self, x):
            y = x * 2
            functional.relu(y, inplace=True)
            return y + 1

    assert types(from_torch(Residual(), torch.zeros(3))) == ["Mul", "Relu", "Add"]


def test_a_write_into_a_slice_is_scattered_into_its_base():
    class Write(nn.Module):
        def forward(self, x):
            y = x * 2
            y[:, 1:3] = x[:, :2]
            return y

    graph = from_torch(Write(), torch.zeros(2, 4))
    (scatter,) = [op for op in graph if op.op_type == "ScatterND"]
    assert graph.outputs == scatter.outputs
    assert graph.values[scatter.inputs[0]].shape == (2, 4)
    assert graph.values[scatter.inputs[2]].size == 4
    cost = op_cost(scatter, graph)
    assert (cost.bytes_read, cost.weight_bytes) == (4 * (8 + 4), 0)


def test_handwritten_attention_is_read_operation_by_operation():
    graph = from_torch(Attention(), torch.zeros(2, 5, 8))

    products = [op for op in graph if op.op_type == "MatMul"]
    assert [graph.values[op.outputs[0]].shape for op in products] == [(2, 2, 5, 5), (2, 2, 5, 4)]
    assert types(graph).count("Softmax") == 1
    (qkv_split,) = [op for op in graph if op.op_type == "Split"]
    assert len(qkv_split.outputs) == 3


def test_a_transformer_layer_avoids_the_fast_path_and_stays_in_training_mode():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    layer.norm1.eval()
    graph = from_torch(layer, torch.zeros(2, 5, 16))

    assert types(graph).count("Attention") == 1
    assert types(graph).count("Gemm") == 4
    assert types(graph).count("LayerNormalization") == 2
    assert not {op.domain for op in graph} - {""}
    assert layer.training
    assert not layer.norm1.training
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(("module", "op_type", "gates"), [(nn.LSTM, "LSTM", 4), (nn.GRU, "GRU", 3), (nn.RNN, "RNN", 1)])
def test_a_recurrent_layer_is_one_operation_a_layer(module, op_type, gates):
    network = module(8, 16, num_layers=2, bidirectional=True, batch_first=True)
    graph = from_torch(network, torch.zeros(3, 5, 8))

    first, second = (op for op in graph if op.op_type == op_type)
    assert first.attributes["hidden_size"] == 16
    shapes = [graph.values[name].shape for name in first.inputs[:4]]
    assert shapes == [(5, 3, 8), (2, gates * 16, 8), (2, gates * 16, 16), (2, 2 * gates * 16)]
    assert graph.values[second.inputs[1]].shape == (2, gates * 16, 32)
    assert [graph.values[name].shape for name in graph.outputs] == [
        (3, 5, 32),
        *[(4, 3, 16)] * (len(graph.outputs) - 1),
    ]
    packed = {name for op in (first, second) for name in op.inputs[1:4]}
    assert sum(graph.values[name].size for name in packed) == sum(weight.numel() for weight in network.parameters())


def test_keywords_nested_outputs_and_tied_weights():
    graph = from_torch(Tied(), TOKENS, kwargs={"shift": torch.zeros(10), "scale": 3.0})

    assert types(graph) == ["Gather", "Gemm", "Mul", "Add"]
    assert graph.inputs == ("tokens", "shift")
    assert graph.outputs == ("mul", "add", "tokens")
    assert graph.ops[0].inputs[0] == graph.ops[1].inputs[1]
    (factor,) = [value for value in graph.operands(graph.ops[2]) if value.is_weight]
    assert (float(factor.data), factor.dtype) == (3.0, DType.FLOAT32)


def test_a_module_without_weights_in_memory_gives_the_same_graph():
    with torch.device("meta"):
        weightless = ConvNet()
    assert from_torch(weightless, IMAGE) == from_torch(ConvNet(), IMAGE)


def test_inputs_without_elements_give_the_same_graph():
    with FakeTensorMode():
        fake = torch.empty(IMAGE.shape)
    expected = from_torch(ConvNet(), IMAGE)
    assert from_torch(ConvNet(), IMAGE.to("meta")) == expected
    assert from_torch(ConvNet(), fake) == expected


def test_element_types_follow_the_module():
    graph = from_torch(ConvNet().to(torch.bfloat16), IMAGE.to(torch.bfloat16))
    assert {value.dtype for value in graph.values.values() if value.dtype.is_float} == {DType.BFLOAT16}


def test_an_exported_program_and_its_module_need_no_inputs():
    program = torch.export.export(ConvNet().eval(), (IMAGE,), strict=False)
    assert types(from_torch(program)) == CONV_NET
    assert types(from_torch(program.module())) == CONV_NET


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own, from run_decompositions
def test_a_program_of_core_operators_multiplies_by_the_weights_torch_stores():
    program = torch.export.export(ConvNet().eval(), (IMAGE,), strict=False).run_decompositions()
    graph = from_torch(program)
    assert [name for name in types(graph) if name not in ("Reshape", "ReduceMean")] == [
        name for name in CONV_NET if name not in ("Flatten", "GlobalAveragePool")
    ]
    assert graph.values[graph.ops[-1].inputs[1]].shape == (5, 8)


def test_a_dynamic_batch_counts_as_the_batch_it_was_traced_with():
    batch = torch.export.Dim("batch")
    program = torch.export.export(ConvNet().eval(), (IMAGE,), dynamic_shapes=({0: batch},), strict=False)
    assert from_torch(program) == from_torch(ConvNet(), IMAGE).renamed("ExportedProgram")


def test_regions_of_another_grad_mode_are_part_of_the_graph():
    class Region(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            with torch.no_grad():
                y = self.linear(x)
            z = self.linear(y + x)
            with torch.no_grad():
                return self.linear(z)

    program = torch.export.export(Region(), (torch.zeros(2, 4),), strict=False)
    assert any(isinstance(node.target, torch._ops.HigherOrderOperator) for node in program.graph.nodes)
    assert types(from_torch(program)) == ["Gemm", "Add", "Gemm", "Gemm"]


def test_a_symbolic_trace_needs_example_inputs():
    traced = fx.symbolic_trace(ConvNet())
    assert types(from_torch(traced, IMAGE)) == CONV_NET
    with pytest.raises(UsageError, match="example inputs"):
        from_torch(traced)
    with pytest.raises(UsageError, match="from_torch"):
        from_fx(traced.graph)


def test_a_graph_module_of_aten_calls_is_read_as_it_is():
    network = Attention().eval()
    traced = make_fx(network)(torch.zeros(2, 5, 8))
    graph = from_torch(traced)
    assert [graph.values[name].shape for name in graph.inputs] == [(2, 5, 8)]
    assert {"Gemm", "MatMul", "Softmax"} <= set(types(graph))
    assert (
        sum(value.size for value in graph.values.values() if value.is_weight and value.dtype.is_float)
        == 24 * 8 + 24 + 1
    )


def test_an_operator_nothing_is_known_about_keeps_its_shapes():
    class Order(nn.Module):
        def forward(self, x):
            return torch.kthvalue(x, 3, dim=1)

    (unknown,) = (graph := from_torch(Order(), torch.zeros(2, 8))).ops
    assert (unknown.domain, unknown.op_type) == ("aten", "kthvalue")
    assert (unknown.attributes["k"], unknown.attributes["dim"]) == (3, 1)
    assert [graph.values[name].shape for name in unknown.outputs] == [(2,), (2,)]
    assert [graph.values[name].dtype for name in unknown.outputs] == [DType.FLOAT32, DType.INT64]


def test_an_operator_without_a_lowering_is_read_as_what_torch_makes_of_it():
    class Contract(nn.Module):
        def forward(self, x, y):
            return torch.tensordot(x, y, dims=2)

    graph = from_torch(Contract(), (torch.zeros(2, 3, 4), torch.zeros(3, 4, 5)))
    assert types(graph) == ["Reshape", "Reshape", "MatMul"]


def test_a_large_literal_keeps_its_shape_only():
    class Add(nn.Module):
        def forward(self, x):
            return x + torch.arange(4) + torch.zeros(2000, 4)

    graph = from_torch(Add(), torch.zeros(4))
    literals = {value.shape: value.data for value in graph.values.values() if value.is_weight}
    assert literals[4,].tolist() == [0, 1, 2, 3]
    assert literals[2000, 4] is None


def test_control_flow_on_data_is_refused_with_the_place():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedModelError, match=r"Branch at .*test_torch_export\.py:\d+ in forward") as caught:
        from_torch(Branch(), torch.zeros(3))
    assert "\n" not in str(caught.value)


def test_a_size_that_depends_on_data_is_refused():
    class Select(nn.Module):
        def forward(self, x):
            return x[x > 0]

    with pytest.raises(UnsupportedModelError, match="depends on the elements"):
        from_torch(Select(), torch.ones(3))


def test_nodes_without_shapes_are_refused():
    graph = fx.Graph()
    x = graph.placeholder("x")
    x.meta["val"] = torch.zeros(3)
    y = graph.call_function(torch.ops.aten.relu.default, (x,))
    graph.output(graph.call_function(operator.getitem, (y, 0)))
    with pytest.raises(UsageError, match="FakeTensorProp"):
        from_fx(graph)
