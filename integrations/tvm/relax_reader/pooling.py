"""Pooling and resizing of images, sequences and volumes."""

from __future__ import annotations

from collections.abc import Mapping

from costmodel.graph.op_graph import AttributeValue
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.generic import generic
from costmodel.integrations.tvm.relax_reader.layouts import order
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []

_FIRST = {3: "NCW", 4: "NCHW", 5: "NCDHW"}
"""Layouts with the channels first, by their number of dimensions."""


@lowers("nn.max_pool1d", "nn.max_pool2d", "nn.max_pool3d")
def max_pool(call: Call) -> Names:
    """``MaxPool``."""
    return _on_image(call, "MaxPool", _window(call) | {"dilations": call.integers("dilation")})


@lowers("nn.avg_pool1d", "nn.avg_pool2d", "nn.avg_pool3d")
def average_pool(call: Call) -> Names:
    """``AveragePool``."""
    return _on_image(call, "AveragePool", _window(call) | {"count_include_pad": int(call.flag("count_include_pad"))})


@lowers("nn.adaptive_avg_pool1d", "nn.adaptive_avg_pool2d", "nn.adaptive_avg_pool3d")
def adaptive_average_pool(call: Call) -> Names:
    """``GlobalAveragePool`` to a single element, else the ``AveragePool`` whose windows cover the image evenly.

    Windows have ``in - (out - 1) · stride`` elements and are ``stride = in // out`` apart.
    """
    layout = call.text("layout")
    if sorted(layout) != sorted(_FIRST.get(len(call.input_shape), "")):
        return generic(call)
    first = _FIRST[len(layout)]
    before, after = ([shape[layout.index(dim)] for dim in first[2:]] for shape in (call.input_shape, call.result_shape))
    if before == after:
        return call.first
    if set(after) == {1}:
        return _on_image(call, "GlobalAveragePool", {})
    if any(large < small for large, small in zip(before, after, strict=True)):
        return generic(call)
    strides = tuple(large // small for large, small in zip(before, after, strict=True))
    kernel = tuple(large - (small - 1) * stride for large, small, stride in zip(before, after, strides, strict=True))
    return _on_image(
        call, "AveragePool", {"kernel_shape": kernel, "strides": strides, "pads": (0,) * (2 * len(kernel))}
    )


@lowers("image.resize2d", "image.resize3d")
def resize(call: Call) -> Names:
    """``Resize`` to the sizes that are written down."""
    layout = call.text("layout")
    if sorted(layout) != sorted(_FIRST.get(len(call.input_shape), "")):
        return generic(call)
    if call.result_shape == call.input_shape:
        return call.first
    mode = _RESIZE_MODES[call.text("method")]
    attributes: dict[str, AttributeValue] = {
        "mode": mode,
        "coordinate_transformation_mode": call.text("coordinate_transformation_mode"),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = _NEAREST_MODES.get(call.text("rounding_method"), "round_prefer_floor")
    if mode == "cubic":
        attributes["cubic_coeff_a"] = call.number("cubic_alpha", -0.75)
    sizes = call.constant([call.result_shape[layout.index(dimension)] for dimension in _FIRST[len(layout)]])
    return _on_image(call, "Resize", attributes, ["", "", sizes])


_RESIZE_MODES = {"nearest_neighbor": "nearest", "linear": "linear", "cubic": "cubic"}
_NEAREST_MODES = {"floor": "floor", "ceil": "ceil", "round_prefer_ceil": "round_prefer_ceil"}


@lowers("image.grid_sample")
def grid_sample(call: Call) -> Names:
    """``GridSample``; the grid has its coordinates first in Relax and last in ONNX."""
    if call.text("layout") != "NCHW":
        return generic(call)
    attributes: dict[str, AttributeValue] = {
        "mode": {"bilinear": "linear", "bicubic": "cubic"}.get(call.text("method"), call.text("method")),
        "padding_mode": call.text("padding_mode"),
        "align_corners": int(call.flag("align_corners")),
    }
    return call.result("GridSample", [call.first, call.transpose(call.operand(1), (0, 2, 3, 1))], attributes)


def _window(call: Call) -> dict[str, AttributeValue]:
    kernel = call.integers("pool_size")
    return {
        "kernel_shape": kernel,
        "strides": call.integers("strides") or kernel,
        "pads": call.integers("padding"),
        "ceil_mode": int(call.flag("ceil_mode")),
    }


def _on_image(
    call: Call, op_type: str, attributes: Mapping[str, AttributeValue], operands: list[str] | None = None
) -> Names:
    """An operation on the first operand with its channels first; another layout is transposed to that and back."""
    layout = call.text("layout")
    out_layout = call.text("out_layout", layout)
    first = _FIRST.get(len(call.input_shape), "")
    if sorted(layout) != sorted(first) or sorted(out_layout) != sorted(first):
        return generic(call)  # channels in blocks
    data = call.transpose(call.first, order(layout, first))
    back = order(first, out_layout)
    if out_layout == first:
        return call.result(op_type, [data, *(operands or ())], attributes)
    shape = [call.result_shape[out_layout.index(dimension)] for dimension in first]
    made = call.step(op_type, [data, *(operands or ())], shape, attributes)
    return call.result("Transpose", [made], {"perm": back})
