"""Pooling and resizing of images, sequences and volumes."""

from __future__ import annotations

from costmodel.graph.op_graph import AttributeValue
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []


@lowers("max_pool1d", "max_pool2d", "max_pool3d")
@lowers("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")
def max_pool(call: Call) -> Names:
    """``MaxPool``, with the indices as second result where somebody reads them."""
    rank = int(call.name.removesuffix("_with_indices")[-2])
    attributes = _window(call, rank) | {"dilations": call.integers("dilation", rank)}
    emit = call.result if call.is_read(1) else call.sole_result
    return emit("MaxPool", [call.first], attributes)


@lowers("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(call: Call) -> Names:
    """``AveragePool``."""
    attributes = _window(call, int(call.name[-2])) | {"count_include_pad": int(call.flag("count_include_pad"))}
    return call.result("AveragePool", [call.first], attributes)


@lowers("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
@lowers("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def adaptive_average_pool(call: Call) -> Names:
    """``GlobalAveragePool`` to a single element, else the ``AveragePool`` with the same windows."""
    return _adaptive_pool(call, "AveragePool")


@lowers("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(call: Call) -> Names:
    """``GlobalMaxPool`` to a single element, else the ``MaxPool`` with the same windows; no indices are made."""
    return _adaptive_pool(call, "MaxPool"), ""


@lowers("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
@lowers("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")
@lowers("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d")
@lowers("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def resize(call: Call) -> Names:
    """``Resize`` to the sizes that torch computed."""
    if call.result_shape == call.input_shape:
        return call.first
    mode = "nearest" if "nearest" in call.name else "cubic" if "cubic" in call.name else "linear"
    attributes: dict[str, AttributeValue] = {
        "mode": mode,
        "antialias": int(call.name.endswith("_aa")),
        "coordinate_transformation_mode": _coordinates(call, mode),
    }
    return call.result("Resize", [call.first, "", "", call.constant(call.result_shape)], attributes)


@lowers("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler")
def grid_sample(call: Call) -> Names:
    """``GridSample``."""
    attributes: dict[str, AttributeValue] = {
        "mode": ("linear", "nearest", "cubic")[call.integer("interpolation_mode")],
        "padding_mode": ("zeros", "border", "reflection")[call.integer("padding_mode")],
        "align_corners": int(call.flag("align_corners")),
    }
    return call.result("GridSample", call.tensors("input", "grid"), attributes)


@lowers("affine_grid_generator")
def affine_grid(call: Call) -> Names:
    """``AffineGrid``."""
    size = call.constant(call.integers("size"))
    return call.result("AffineGrid", [call.tensor("theta"), size], {"align_corners": int(call.flag("align_corners"))})


def _window(call: Call, rank: int) -> dict[str, AttributeValue]:
    kernel = call.integers("kernel_size", rank)
    return {
        "kernel_shape": kernel,
        "strides": call.integers("stride", rank) or kernel,
        "pads": call.integers("padding", rank) * 2,
        "ceil_mode": int(call.flag("ceil_mode")),
    }


def _adaptive_pool(call: Call, op_type: str) -> str:
    """Windows of ``in - (out - 1) · stride`` elements, ``stride = in // out`` apart, cover the input evenly."""
    rank = int(call.name[-2])
    shape = call.result_shape
    before, after = call.input_shape[-rank:], shape[-rank:]
    if before == after:
        return call.first
    if after == (1,) * rank:
        return call.step(f"Global{op_type}", [call.first], shape)
    if any(large < small for large, small in zip(before, after, strict=True)):
        return call.step("Resize", [call.first, "", "", call.constant(shape)], shape, {"mode": "nearest"})
    strides = tuple(large // small for large, small in zip(before, after, strict=True))
    covered = [(small - 1) * stride for small, stride in zip(after, strides, strict=True)]
    kernel = tuple(large - start for large, start in zip(before, covered, strict=True))
    attributes: dict[str, AttributeValue] = {"kernel_shape": kernel, "strides": strides, "pads": (0,) * (2 * rank)}
    return call.step(op_type, [call.first], shape, attributes)


def _coordinates(call: Call, mode: str) -> str:
    """How ONNX names the grid that torch samples."""
    if "exact" in call.name:
        return "half_pixel"
    if mode == "nearest":
        return "asymmetric"
    if call.flag("align_corners"):
        return "align_corners"
    return "half_pixel" if mode == "cubic" or call.name.endswith("_aa") else "pytorch_half_pixel"
