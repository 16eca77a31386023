"""Arithmetic, comparison and logic, element by element."""

from __future__ import annotations

import numpy as np

from costmodel.graph.lowering import for_dtype, onnx_number
from costmodel.integrations.tvm.relax_reader.call import Call, Names
from costmodel.integrations.tvm.relax_reader.registry import lowers

__all__: list[str] = []

_UNARY = {
    "abs": "Abs",
    "acos": "Acos",
    "acosh": "Acosh",
    "asin": "Asin",
    "asinh": "Asinh",
    "atan": "Atan",
    "atanh": "Atanh",
    "bitwise_not": "BitwiseNot",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "isinf": "IsInf",
    "log": "Log",
    "logical_not": "Not",
    "negative": "Neg",
    "round": "Round",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "tan": "Tan",
}

_BINARY = {
    "add": "Add",
    "bitwise_and": "BitwiseAnd",
    "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor",
    "divide": "Div",
    "equal": "Equal",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "maximum": "Max",
    "minimum": "Min",
    "multiply": "Mul",
    "power": "Pow",
    "subtract": "Sub",
}


@lowers(*_UNARY)
def unary(call: Call) -> Names:
    """One operand, one ONNX operator."""
    return call.result(for_dtype(_UNARY[call.name], call.dtype(call.first)), [call.first])


@lowers(*_BINARY)
def binary(call: Call) -> Names:
    """Two operands, one ONNX operator."""
    return call.result(for_dtype(_BINARY[call.name], call.dtype(call.first)), call.operands(0, 1))


@lowers("not_equal")
def not_equal(call: Call) -> Names:
    """``Not(Equal)``."""
    return call.result("Not", [call.step("Equal", call.operands(0, 1), call.result_shape)])


@lowers("floor_divide")
def floor_divide(call: Call) -> Names:
    """``Div``, rounded down."""
    operands = call.operands(0, 1)
    if not call.result_dtype.is_float:
        return call.result("Div", operands)
    return call.result("Floor", [call.step("Div", operands, call.result_shape)])


@lowers("mod", "floor_mod")
def modulo(call: Call) -> Names:
    """``Mod``, which ONNX has for floating-point numbers with the sign of the dividend only."""
    return call.result("Mod", call.operands(0, 1), {"fmod": int(call.result_dtype.is_float)})


@lowers("left_shift", "right_shift")
def shift_bits(call: Call) -> Names:
    """``BitShift``."""
    return call.result("BitShift", call.operands(0, 1), {"direction": call.name.removesuffix("_shift").upper()})


@lowers("rsqrt")
def reciprocal_sqrt(call: Call) -> Names:
    """``1 / sqrt(x)``."""
    return call.result("Reciprocal", [call.step("Sqrt", [call.first], call.result_shape)])


@lowers("square")
def square(call: Call) -> Names:
    """``x · x``."""
    return call.result("Mul", [call.first, call.first])


@lowers("trunc")
def truncate(call: Call) -> Names:
    """``sign(x) · floor(|x|)``."""
    whole = call.step("Floor", [call.step("Abs", [call.first], call.result_shape)], call.result_shape)
    return call.result("Mul", [call.step("Sign", [call.first], call.result_shape), whole])


@lowers("atan2")
def arc_tangent_of_ratio(call: Call) -> Names:
    """``atan(x1 / x2)``; the quadrant costs nothing worth counting."""
    return call.result("Atan", [call.step("Div", call.operands(0, 1), call.result_shape)])


@lowers("log_add_exp")
def log_add_exp(call: Call) -> Names:
    """``log(exp(x1) + exp(x2))``."""
    powers = [call.step("Exp", [operand], call.shape(operand)) for operand in call.operands(0, 1)]
    return call.result("Log", [call.step("Add", powers, call.result_shape)])


@lowers("ewise_fma")
def multiply_add(call: Call) -> Names:
    """``x1 · x2 + x3``."""
    left, right, added = call.operands(0, 1, 2)
    return call.result("Add", [call.step("Mul", [left, right], call.result_shape), added])


@lowers("isfinite")
def is_finite(call: Call) -> Names:
    """``|x| < ∞``."""
    magnitude = call.step("Abs", [call.first], call.input_shape, dtype=call.dtype(call.first))
    return call.result("Less", [magnitude, call.constant(float("inf"), call.dtype(call.first))])


@lowers("clip")
def clip(call: Call) -> Names:
    """``Clip`` between two numbers."""
    return call.result("Clip", call.operands(0, 1, 2))


@lowers("isnan")
def is_nan(call: Call) -> Names:
    """``IsNaN``; known of a constant, as the ONNX frontend asks it of the bounds of clips."""
    elements = call.builder.value(call.first).data
    return call.result("IsNaN", [call.first]) if elements is None else call.literal(np.isnan(elements))


@lowers("where")
def where(call: Call) -> Names:
    """``Where``; the operand itself where one condition, known before the run, decides for all elements."""
    condition, *choices = call.operands(0, 1, 2)
    known = call.builder.value(condition).data
    if known is not None and known.size == 1:
        chosen = choices[0] if bool(known.item()) else choices[1]
        if call.shape(chosen) == call.result_shape:
            return chosen
    return call.result("Where", [condition, *choices])


@lowers("astype", "wrap_param")
def cast(call: Call) -> Names:
    """``Cast`` where the element type changes."""
    if call.dtype(call.first) is call.result_dtype:
        return call.first
    return call.result("Cast", [call.first], {"to": onnx_number(call.result_dtype)})
