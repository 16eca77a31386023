"""Sizes that a file leaves open, and sizes that only inference finds."""

import numpy as np
import onnx
import pytest
from onnx import parser

from costmodel.errors import UsageError
from costmodel.graph import DType
from costmodel.graph.onnx import from_onnx


def parsed(body, opset=21):
    imports = f'["": {opset}, "com.microsoft": 1, "my": 1]'
    return parser.parse_model(f"<ir_version: 10, opset_import: {imports}> {body}")


def shape_of(model, name="y", **options):
    return from_onnx(model, **options).values[name].shape


class TestOpenSizes:
    image = parsed("g (float[N,3,H,W] x) => (float[N,3,H,W] y) { y = Relu(x) }")

    def test_are_given_by_shape_and_batch(self):
        assert shape_of(self.image, shapes={"x": (2, 3, 10, 12)}) == (2, 3, 10, 12)
        assert shape_of(parsed("g (float[N,5] x) => (float[N,5] y) { y = Relu(x) }"), batch=7) == (7, 5)

    def test_leading_one_is_1_when_nothing_is_given(self):
        assert shape_of(parsed("g (float[N,5] x) => (float[N,5] y) { y = Relu(x) }")) == (1, 5)

    @pytest.mark.parametrize("written", [0, -1])
    def test_are_also_written_as_0_and_minus_1(self, written):
        model = parsed("g (float[N,5] x) => (float[N,5] y) { y = Relu(x) }")
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = written
        assert shape_of(model, batch=3) == (3, 5)

    def test_that_nothing_gives_are_asked_for_with_the_option(self):
        with pytest.raises(UsageError, match=r"'x' of shape \(N, 3, H, W\).*--shape x:1x3x224x224"):
            from_onnx(self.image)

    def test_of_one_name_get_one_size(self):
        model = parsed("g (float[N,S] a, float[N,S] b) => (float[N,S] y) { y = Add(a, b) }")
        graph = from_onnx(model, shapes={"b": (4, 9)})
        assert graph.values["a"].shape == graph.values["y"].shape == (4, 9)
        with pytest.raises(UsageError, match="'S' cannot be both 9 and 8"):
            from_onnx(model, shapes={"a": (4, 9), "b": (4, 8)})

    def test_without_a_name_of_their_own_are_independent(self):
        model = parsed("g (float[N,H,W] x) => (float[N,H,W] y) { y = Relu(x) }")
        for value in (*model.graph.input, *model.graph.output):
            for dim in value.type.tensor_type.shape.dim:
                dim.dim_param = "?"
        assert shape_of(model, shapes={"x": (1, 48, 192)}) == (1, 48, 192)

    def test_of_unknown_rank_need_a_shape(self):
        model = parsed("g (float[] x) => (float[] y) { y = Relu(x) }")
        model.graph.input[0].type.tensor_type.ClearField("shape")
        with pytest.raises(UsageError, match="unknown rank"):
            from_onnx(model)
        assert shape_of(model, shapes={"x": (2, 3)}) == (2, 3)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"shapes": {"pixls": (1, 3)}}, "unknown input 'pixls'. Did you mean pixels"),
            ({"shapes": {"pixels": (1, 3, 4)}}, "expected 2 sizes, got 1x3x4"),
            ({"shapes": {"pixels": (1, 4)}}, "the file fixes axis 1 to 3, got 4"),
            ({"shapes": {"pixels": (-1, 3)}}, "sizes must be from 0"),
            ({"shapes": {"pixels": (2, 3)}, "batch": 4}, None),
            ({"batch": 0}, "expected from 1"),
            ({"batch": 10**30}, "expected from 1"),
        ],
    )
    def test_requests_that_make_no_sense_say_why(self, options, message):
        model = parsed("g (float[N,3] pixels) => (float[N,3] y) { y = Relu(pixels) }")
        if message is None:
            assert shape_of(model, **options) == (2, 3), "a shape is more particular than a batch"
        else:
            with pytest.raises(UsageError, match=message):
                from_onnx(model, **options)


class TestInference:
    def test_follows_shape_arithmetic_that_onnx_does_not(self):
        model = parsed("""
            g (float[2,12,4] x) => (float[?] y) <int64 one = {1}, int64 three = {3}, int64[1] at = {0}> {
                shape = Shape(x)
                width = Gather(shape, one)
                real = Cast<to = 1>(width)
                scale = Cast<to = 1>(three)
                part = Div(real, scale)
                down = Floor(part)
                rows = Cast<to = 7>(down)
                row = Unsqueeze(rows, at)
                rest = Constant<value_ints = [-1]>()
                target = Concat<axis = 0>(row, rest)
                y = Reshape(x, target)
            }
        """)
        assert shape_of(model) == (4, 24)

    def test_takes_shapes_beyond_numpy_in_its_stride(self):
        model = parsed(f"g (float[{2**62},8] x) => (float[?] y) {{ s = Shape(x)  y = Reshape(x, s) }}")
        assert from_onnx(model).values["s"].shape == (2,)

    def test_trusts_itself_more_than_annotations(self):
        model = parsed("g (float[2,3] x) => (float[9,9] y) <float[5,5] t> { t = Relu(x)  y = Relu(t) }")
        graph = from_onnx(model)
        assert graph.values["t"].shape == graph.values["y"].shape == (2, 3)

    def test_takes_annotations_for_operators_nobody_knows(self):
        graph = from_onnx(
            parsed("g (float[N,3] x) => (float[N,5] z) <float[N,5] t> { t = my.Odd(x)  z = Relu(t) }"), batch=2
        )
        assert graph.values["z"].shape == (2, 5)

    def test_leaves_open_what_nothing_tells(self):
        graph = from_onnx(parsed("g (float[2,3] x) => (float[] z) { t = my.Odd(x)  z = Relu(t) }"))
        assert [op.qualified_type for op in graph] == ["my::Odd", "Relu"]
        assert graph.values["t"].shape is None

    def test_sequences_have_no_shape_and_do_no_harm(self):
        graph = from_onnx(
            parsed(
                "g (float[2,3] x) => (float[?] y) { s = SequenceConstruct(x, x)  y = ConcatFromSequence<axis = 0>(s) }"
            )
        )
        assert graph.values["s"].shape is None

    def test_quantised_operators_of_onnx(self):
        graph = from_onnx(
            parsed("""
            g (float[1,3,8,8] x, float s, uint8 z, uint8[4,3,3,3] w) => (float[?] y) {
                q = QuantizeLinear(x, s, z)
                c = QLinearConv(q, s, z, w, s, z, s, z)
                y = DequantizeLinear(c, s, z)
            }
        """)
        )
        assert graph.values["c"].shape == graph.values["y"].shape == (1, 4, 6, 6)
        assert graph.values["c"].dtype is DType.UINT8


def contrib(call, **inputs):
    """Shape of the first output of one ``com.microsoft`` call and of what reads it."""
    listed = ", ".join(f"{dtype} {name}" for name, dtype in inputs.items())
    graph = from_onnx(parsed(f"g ({listed}) => (float[] read) {{ y = com.microsoft.{call}  read = Identity(y) }}"))
    assert graph.values["read"].shape == graph.values["y"].shape
    return graph.values["y"].shape


IMAGE, TOKENS = "float[1,8,6,6]", "float[2,5,8]"


@pytest.mark.parametrize(
    ("call", "inputs", "shape"),
    [
        ('FusedConv<activation = "Relu", strides = [2, 2]>(x, w)', {"x": IMAGE, "w": "float[4,8,2,2]"}, (1, 4, 3, 3)),
        ("BiasGelu(x, b)", {"x": TOKENS, "b": "float[8]"}, (2, 5, 8)),
        ("SkipLayerNormalization(x, s, g)", {"x": TOKENS, "s": TOKENS, "g": "float[8]"}, (2, 5, 8)),
        ("FusedMatMul<transA = 1, transB = 1>(a, b)", {"a": "float[3,4,2]", "b": "float[3,7,4]"}, (3, 2, 7)),
        ("FusedMatMul<transBatchA = 1>(a, b)", {"a": "float[4,3,2]", "b": "float[3,2,7]"}, (3, 4, 7)),
        ("QLinearAdd(a, s, z, b, s, z, s, z)",
         {"a": "uint8[2,1,4]", "b": "uint8[3,1]", "s": "float", "z": "uint8"}, (2, 3, 4)),
        ("QLinearConcat<axis = 1>(s, z, a, s, z, b, s, z)",
         {"a": "uint8[2,3]", "b": "uint8[2,4]", "s": "float", "z": "uint8"}, (2, 7)),
        ("QLinearGlobalAveragePool(x, s, z, s, z)", {"x": "uint8[1,8,6,6]", "s": "float", "z": "uint8"}, (1, 8, 1, 1)),
        ("NhwcMaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)", {"x": "uint8[1,6,6,8]"}, (1, 3, 3, 8)),
        ("DynamicQuantizeMatMul(a, b, s)", {"a": "float[2,5,4]", "b": "uint8[4,7]", "s": "float"}, (2, 5, 7)),
        ("MatMulNBits<K = 64, N = 48, bits = 4, block_size = 32>(a, b, s)",
         {"a": "float[2,5,64]", "b": "uint8[48,2,16]", "s": "float[96]"}, (2, 5, 48)),
        ("DynamicQuantizeLSTM<hidden_size = 5>(x, w, r)",
         {"x": "float[7,2,4]", "w": "int8[2,4,20]", "r": "int8[2,5,20]"}, (7, 2, 2, 5)),
        ("Attention<num_heads = 2>(x, w, b)", {"x": TOKENS, "w": "float[8,24]", "b": "float[24]"}, (2, 5, 8)),
        ("MultiHeadAttention<num_heads = 2>(q, k, v)",
         {"q": TOKENS, "k": "float[2,9,8]", "v": "float[2,9,6]"}, (2, 5, 6)),
        ("GroupQueryAttention<num_heads = 4, kv_num_heads = 2>(x)", {"x": "float[2,5,64]"}, (2, 5, 32)),
        ("EmbedLayerNormalization(i, i, t)", {"i": "int32[2,5]", "t": "float[100,8]"}, (2, 5, 8)),
    ],
)  # fmt: skip
def test_operators_of_onnxruntime(call, inputs, shape):
    assert contrib(call, **inputs) == shape


def test_element_type_of_a_quantised_product_is_float():
    model = parsed("""
        g (uint8[2,4] a, uint8[4,7] b, float s) => (float[] y) { y = com.microsoft.MatMulIntegerToFloat(a, b, s, s) }
    """)
    assert from_onnx(model).values["y"].dtype is DType.FLOAT32


def test_a_malformed_contrib_node_is_only_unknown():
    assert shape_of(parsed("g (float[4] x) => (float[] y) { y = com.microsoft.Attention(x) }")) is None
    assert shape_of(parsed("g (float[4] x) => (float[] y) { y = com.microsoft.QLinearConcat(x) }")) is None


def test_elements_are_kept_for_small_weights_only():
    model = parsed("g (float[4] x) => (float[?] y) { y = Add(x, x) }")
    for name, count in (("small", 1024), ("large", 1025)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(count, np.int64), name))
        model.graph.node.append(onnx.helper.make_node("Identity", [name], [f"{name}_read"]))
    values = from_onnx(model).values
    assert values["small"].data is not None
    assert values["large"].data is None
