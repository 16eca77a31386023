"""Every lowering computes what torch computes: the graph is run as ONNX and compared, element by element."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional

from costmodel.graph import Op, OpGraph, ValueKind
from costmodel.graph.torch import from_torch


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *arguments):
        return self.function(*arguments)


def rand(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return torch.rand(shape, generator=generator, dtype=torch.float64).sub(0.4).to(dtype)


def positive(*shape):
    return rand(*shape).abs() + 0.1


def index(high, *shape):
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(1))


IMAGE = (2, 4, 7, 6)

CASES = {
    # arithmetic
    "add_alpha": (lambda x, y: torch.add(x, y, alpha=2), rand(3, 4), rand(4)),
    "sub_scalar": (lambda x: 1.5 - x, rand(3)),
    "rsub_alpha": (lambda x, y: torch.rsub(x, y, alpha=3), rand(3), rand(3)),
    "floor_divide": (lambda x: x // 0.3, rand(3, 4)),
    "rsqrt": (torch.rsqrt, positive(3, 4)),
    "log1p_expm1": (lambda x: torch.log1p(torch.expm1(x)), positive(5)),
    "log2": (torch.log2, positive(5)),
    "addcmul": (lambda x, y, z: torch.addcmul(x, y, z, value=0.5), rand(2, 3), rand(3), rand(2, 1)),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3), rand(3), rand(3)),
    "promoted": (lambda x, i: (x > 0) * x + i / 2 - i, rand(3), index(9, 3)),
    "pow": (lambda x: 2**x + x**3, positive(4)),
    "clamp_two_sides": (lambda x: x.clamp(-0.1, 0.2), rand(4, 4)),
    "clamp_min": (lambda x: x.clamp_min(0.1), rand(4, 4)),
    "clamp_tensor": (lambda x, y: torch.clamp(x, min=y), rand(4), rand(4)),
    "trunc": (torch.trunc, rand(9) * 5),
    "masked_fill": (lambda x: x.masked_fill(x > 0, -1.0), rand(3, 4)),
    "where_ne": (lambda x, y: torch.where(x.round() != 0, x, y), rand(6) * 2, rand(6)),
    "modulo": (lambda x: torch.fmod(x, 0.3), rand(9)),
    "counted": (lambda x: (x > 0).sum(1) + (x > 0) * 2, rand(4, 4)),
    "logic": (lambda x: ((x > 0) & ~(x > 0.3)).float(), rand(20)),
    "in_place_through_a_view": (lambda x: _write_through_view(x.clone()), rand(3, 4)),
    # activations
    "gelu_tanh": (lambda x: functional.gelu(x, approximate="tanh"), rand(9)),
    "swish": (functional.silu, rand(9)),
    "hard": (
        lambda x: functional.hardswish(x) + functional.hardsigmoid(x) + functional.relu6(x) + functional.hardtanh(x),
        rand(9) * 9,
    ),
    "mish_elu": (
        lambda x: functional.mish(x) + functional.elu(x, 0.3) + functional.selu(x) + functional.celu(x, 1.7),
        rand(9),
    ),
    "softplus_beta": (lambda x: functional.softplus(x, beta=2), rand(9)),
    "glu": (lambda x: functional.glu(x, 1), rand(2, 6, 3)),
    "softmax": (lambda x: functional.softmax(x, 1) + functional.log_softmax(x, -1), rand(2, 3, 4)),
    "shrink": (
        lambda x: functional.hardshrink(x, 0.2) + functional.softshrink(x, 0.1) + functional.threshold(x, 0.1, 7),
        rand(9),
    ),
    "leaky": (lambda x: functional.leaky_relu(x, 0.2), rand(9)),
    # products
    "linear": (nn.Linear(4, 5), rand(2, 3, 4)),
    "addmm": (lambda b, x, y: torch.addmm(b, x, y, alpha=2, beta=0.5), rand(5), rand(3, 4), rand(4, 5)),
    "baddbmm": (lambda b, x, y: torch.baddbmm(b, x, y, alpha=2), rand(2, 3, 5), rand(2, 3, 4), rand(2, 4, 5)),
    "outer": (torch.outer, rand(3), rand(4)),
    "einsum": (lambda x, y: torch.einsum("bhid,bhjd->bhij", x, y), rand(1, 2, 3, 4), rand(1, 2, 5, 4)),
    "conv_same": (nn.Conv2d(4, 6, (3, 4), padding="same", dilation=2, groups=2), rand(*IMAGE)),
    "conv_strided": (nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1, bias=False), rand(*IMAGE)),
    "conv1d_no_batch": (nn.Conv1d(4, 3, 3), rand(4, 9)),
    "conv3d": (nn.Conv3d(2, 3, (1, 2, 3)), rand(1, 2, 4, 5, 6)),
    "conv_transpose": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), rand(*IMAGE)),
    # normalisation
    "batch_norm": (nn.BatchNorm2d(4, eps=1e-3), rand(*IMAGE)),
    "batch_norm_plain": (nn.BatchNorm2d(4, affine=False), rand(*IMAGE)),
    "batch_norm_of_the_batch": (nn.BatchNorm2d(4, track_running_stats=False), rand(1, 4, 7, 6)),
    "layer_norm": (nn.LayerNorm((7, 6), eps=1e-3), rand(*IMAGE)),
    "rms_norm": (nn.RMSNorm(6, eps=1e-3), rand(*IMAGE)),
    "group_norm": (nn.GroupNorm(2, 4), rand(*IMAGE)),
    "instance_norm": (nn.InstanceNorm2d(4, affine=True), rand(*IMAGE)),
    "instance_norm_plain": (nn.InstanceNorm2d(4), rand(*IMAGE)),
    "normalize": (lambda x: functional.normalize(x, dim=1), rand(*IMAGE)),
    "vector_norm": (lambda x: torch.linalg.vector_norm(x, 3, dim=(1, 2)) + x.norm(1, dim=(1, 2)), rand(2, 3, 4)),
    "cosine_similarity": (lambda x, y: functional.cosine_similarity(x, y, dim=1), rand(2, 3), rand(2, 3)),
    # pooling and resizing
    "max_pool_indices": (lambda x: functional.max_pool2d(x, 2, return_indices=True)[1].float(), rand(1, 1, 4, 4)),
    "max_pool": (nn.MaxPool2d(3, 2, padding=1, dilation=1, ceil_mode=True), rand(*IMAGE)),
    "avg_pool": (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), rand(*IMAGE)),
    "avg_pool1d": (nn.AvgPool1d(3), rand(2, 4, 9)),
    "adaptive_one": (nn.AdaptiveAvgPool2d(1), rand(*IMAGE)),
    "adaptive_even": (nn.AdaptiveAvgPool2d((7, 3)), rand(*IMAGE)),
    "adaptive_max": (nn.AdaptiveMaxPool2d(1), rand(*IMAGE)),
    "bilinear": (lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"), rand(*IMAGE)),
    "nearest": (lambda x: functional.interpolate(x, size=(14, 12)), rand(*IMAGE)),
    "grid_sample": (lambda x, g: functional.grid_sample(x, g, align_corners=False), rand(1, 2, 5, 5), rand(1, 3, 3, 2)),
    # reductions
    "mean_of_all": (torch.mean, rand(2, 3)),
    "sum_dims": (lambda x: x.sum((1, -1)), rand(2, 3, 4)),
    "max_dim": (lambda x: torch.cat([x.max(1).values, x.max(1).indices.float()]), rand(3, 5)),
    "amin_keepdim": (lambda x: x.amin(1, keepdim=True), rand(3, 5)),
    "argmax_of_all": (torch.argmax, rand(3, 5)),
    "var_mean": (lambda x: sum(torch.var_mean(x, dim=1)), rand(3, 5)),
    "std_unbiased": (lambda x: x.std(dim=(0, 1)) + x.var(dim=0, unbiased=False).sum(), rand(3, 5)),
    # shapes
    "flatten": (lambda x: torch.flatten(x, 1), rand(*IMAGE)),
    "flatten_middle": (lambda x: torch.flatten(x, 1, 2), rand(*IMAGE)),
    "squeeze_unsqueeze": (lambda x: x.squeeze().unsqueeze(-1).squeeze(2), rand(1, 3, 1, 4)),
    "movedim": (lambda x: torch.movedim(x, (0, 1), (2, 0)), rand(2, 3, 4, 5)),
    "transpose": (lambda x: x.transpose(-1, 1).mT, rand(2, 3, 4)),
    "repeat": (lambda x: x.repeat(2, 1, 3), rand(3, 4)),
    "repeat_interleave": (lambda x: x.repeat_interleave(3, dim=1), rand(2, 3, 4)),
    "stack": (lambda x, y: torch.stack([x, y], -1), rand(2, 3), rand(2, 3)),
    "chunk": (lambda x: torch.cat(x.chunk(3, 1)[::-1], 1), rand(2, 8)),
    "unbind": (lambda x: sum(x.unbind(1)), rand(2, 3, 4)),
    "slices": (lambda x: x[:, 1:-1, ::2, -1], rand(2, 5, 6, 3)),
    "narrow": (lambda x: x.narrow(1, -3, 2), rand(2, 5)),
    "flip": (lambda x: x.flip((0, 2)), rand(2, 3, 4)),
    "roll": (lambda x: x.roll((-2, 1), (1, 2)), rand(2, 5, 4)),
    "roll_flat": (lambda x: x.roll(3), rand(2, 5)),
    "pad_reflect": (lambda x: functional.pad(x, (1, 2, 0, 3), mode="reflect"), rand(*IMAGE)),
    "pad_constant": (lambda x: functional.pad(x, (1, 2), value=0.5), rand(2, 5)),
    "pixel_shuffle": (lambda x: functional.pixel_shuffle(x, 2), rand(1, 8, 3, 5)),
    "pixel_unshuffle": (lambda x: functional.pixel_unshuffle(x, 2), rand(2, 1, 4, 6)),
    "channel_shuffle": (lambda x: functional.channel_shuffle(x, 2), rand(*IMAGE)),
    "meshgrid": (lambda x, y: torch.stack(torch.meshgrid(x, y, indexing="xy")), rand(3), rand(4)),
    "triu": (lambda x: x.triu(1) + x.tril(-1), rand(4, 4)),
    # windows
    "unfold": (lambda x: x.unfold(1, 3, 2), rand(2, 9, 4)),
    "im2col": (lambda x: functional.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)), rand(*IMAGE)),
    "col2im": (lambda x: functional.fold(x, (5, 6), (2, 3), stride=2, padding=1), rand(2, 12, 9)),
    # lookups
    "embedding": (nn.Embedding(7, 3), index(7, 2, 4)),
    "index_one": (lambda x, i: x[:, i], rand(2, 5, 3), index(5, 2, 2)),
    "index_middle": (lambda x, i, j: x[:, i, j], rand(2, 5, 3, 4), index(5, 6), index(3, 6)),
    "index_apart": (lambda x, i, j: x[i, :, j], rand(2, 5, 3), index(2, 6), index(3, 6)),
    "index_put": (lambda x, i, v: torch.index_put(x, (i,), v), rand(5, 2), torch.tensor([1, 3]), rand(2)),
    "index_put_middle": (
        lambda x, i, v: torch.ops.aten.index_put(x, [None, i], v, True),
        rand(3, 5, 2),
        torch.tensor([1, 3, 1, 0]),
        rand(3, 4, 2),
    ),
    "index_put_mask": (lambda x: torch.index_put(x, (x[..., 0] > 0,), torch.tensor(9.0)), rand(3, 5, 2)),
    "gather": (lambda x, i: x.gather(1, i), rand(2, 5), index(5, 2, 3)),
    "scatter_add": (lambda x, i, y: x.scatter_add(1, i, y), rand(2, 5), index(5, 2, 3), rand(2, 3)),
    "topk": (lambda x: x.topk(2, 1).values, rand(2, 5)),
    "argsort": (lambda x: x.argsort(1, descending=True), rand(2, 5)),
    "cumsum": (lambda x: x.cumsum(1), rand(2, 5)),
    "one_hot": (lambda i: functional.one_hot(i, 5), index(5, 3)),
    # attention
    "attention": (functional.scaled_dot_product_attention, rand(1, 2, 3, 4), rand(1, 2, 5, 4), rand(1, 2, 5, 4)),
    "attention_masked": (
        lambda q, m: functional.scaled_dot_product_attention(q, q, q, m, scale=0.3),
        rand(1, 2, 3, 4),
        rand(1, 1, 3, 3),
    ),
    "attention_causal": (lambda q: functional.scaled_dot_product_attention(q, q, q, is_causal=True), rand(1, 2, 3, 4)),
    "attention_one_head": (lambda q: functional.scaled_dot_product_attention(q, q, q), rand(2, 3, 4)),
    # constants
    "arange": (lambda x: x + torch.arange(1, 9, 2), rand(4)),
    "linspace_eye": (lambda x: x * torch.linspace(0, 1, 4) + torch.eye(4) + torch.full((4,), 2.0), rand(4)),
    "cast": (lambda x: x.to(torch.int32).float() + x.double().float(), rand(4) * 5),
}


def _write_through_view(x):
    x.view(-1).relu_()
    return x


@pytest.mark.parametrize("case", CASES)
def test_the_graph_computes_what_torch_computes(case):
    function, *arguments = CASES[case]
    module = function if isinstance(function, nn.Module) else Function(function)
    with torch.no_grad():
        expected = module.eval()(*arguments)
    program = torch.export.export(module, tuple(arguments), strict=False)
    graph = from_torch(program)

    (computed,) = run_as_onnx(graph, weights_of(program), arguments)

    assert not {op.domain for op in graph} - {""}
    assert graph.values[graph.outputs[0]].shape == tuple(expected.shape)
    np.testing.assert_allclose(computed, expected.numpy(), rtol=1e-4, atol=1e-5)


def weights_of(program):
    tensors = {**program.state_dict, **program.constants}
    specs = program.graph_signature.input_specs
    return {spec.arg.name: tensors[spec.target].detach().numpy() for spec in specs if spec.target in tensors}


def run_as_onnx(graph: OpGraph, weights, arguments):
    """Run ``graph`` with the ONNX reference runtime."""
    constants = {
        value.name: weights.get(value.name, value.data)
        for value in graph.values.values()
        if value.kind is ValueKind.WEIGHT
    }
    nodes = [node for op in graph for node in spelt_out(op, graph, constants)]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(name, *typed(graph, name)) for name in graph.inputs],
            [helper.make_tensor_value_info(name, *typed(graph, name)) for name in graph.outputs],
            [numpy_helper.from_array(np.asarray(array, order="C"), name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", onnx.defs.onnx_opset_version())],
    )
    onnx.checker.check_model(model, full_check=True)
    feeds = {name: tensor.numpy() for name, tensor in zip(graph.inputs, arguments, strict=True)}
    return ReferenceEvaluator(model).run(None, feeds)


def typed(graph, name):
    value = graph.values[name]
    return helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype.value)), value.shape


def spelt_out(op: Op, graph: OpGraph, constants):
    """``op`` as ONNX has it, where our form is freer: ``Gemm`` of any rank, axes as attributes, scales left out."""
    attributes, inputs = dict(op.attributes), list(op.inputs)
    if op.op_type == "Gemm" and len(graph.values[inputs[0]].shape) > 2:
        constants[f"{op.name}.T"] = constants[inputs[1]].T
        yield helper.make_node("MatMul", [inputs[0], f"{op.name}.T"], [f"{op.name}.product"])
        yield helper.make_node("Add", [f"{op.name}.product", inputs[2]], op.outputs)
        return
    if op.op_type.startswith("Reduce"):
        constants[f"{op.name}.axes"] = np.array(attributes.pop("axes"), dtype=np.int64)
        inputs.append(f"{op.name}.axes")
    yield helper.make_node(op.op_type, inputs, op.outputs, **attributes)
