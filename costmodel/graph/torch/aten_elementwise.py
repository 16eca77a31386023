"""Arithmetic, comparison and logic, element by element."""

from __future__ import annotations

from costmodel.graph.lowering import for_dtype
from costmodel.graph.torch.call import Call, Names
from costmodel.graph.torch.registry import lowers

__all__: list[str] = []

_UNARY = {
    "abs": "Abs",
    "absolute": "Abs",
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
    "isnan": "IsNaN",
    "log": "Log",
    "logical_not": "Not",
    "neg": "Neg",
    "negative": "Neg",
    "reciprocal": "Reciprocal",
    "round": "Round",
    "sgn": "Sign",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "tan": "Tan",
}

_COMPARISONS = {
    "__and__": "BitwiseAnd",
    "__or__": "BitwiseOr",
    "__xor__": "BitwiseXor",
    "bitwise_and": "BitwiseAnd",
    "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor",
    "eq": "Equal",
    "ge": "GreaterOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "lt": "Less",
}

_ARITHMETIC = {
    "maximum": "Max",
    "minimum": "Min",
    "mul": "Mul",
    "multiply": "Mul",
}


@lowers(*_UNARY)
def unary(call: Call) -> Names:
    """One operand, one ONNX operator."""
    return call.result(for_dtype(_UNARY[call.name], call.dtype(call.first)), [call.first])


@lowers(*_COMPARISONS)
def compare(call: Call) -> Names:
    """Two operands, one ONNX operator; a Python scalar becomes a constant."""
    return call.result(for_dtype(_COMPARISONS[call.name], call.dtype(call.first)), call.tensors("self", "other"))


@lowers(*_ARITHMETIC)
def arithmetic(call: Call) -> Names:
    """Two operands of the result's type, one ONNX operator."""
    return call.result(_ARITHMETIC[call.name], _promoted(call, "self", "other"))


@lowers("fmod", "remainder")
def modulo(call: Call) -> Names:
    """``Mod``, which ONNX has for floating-point numbers with the sign of ``self`` only."""
    return call.result("Mod", _promoted(call, "self", "other"), {"fmod": int(call.result_dtype.is_float)})


@lowers("bitwise_left_shift", "bitwise_right_shift")
def shift_bits(call: Call) -> Names:
    """``BitShift``."""
    direction = "LEFT" if call.name == "bitwise_left_shift" else "RIGHT"
    return call.result("BitShift", _promoted(call, "self", "other"), {"direction": direction})


@lowers("add", "sub", "subtract", "rsub")
def add_scaled(call: Call) -> Names:
    """``self ± alpha · other``, or the other way round for ``rsub``."""
    names = ("other", "self") if call.name == "rsub" else ("self", "other")
    left, right = _promoted(call, *names)
    if call.number("alpha", 1) != 1:
        right = call.step("Mul", [right, _scalar(call, call.number("alpha"))], call.shape(right))
    return call.result("Add" if call.name == "add" else "Sub", [left, right])


@lowers("div", "divide", "true_divide", "floor_divide")
def divide(call: Call) -> Names:
    """``Div``, rounded where a rounding mode asks for it; integer ``Div`` rounds by itself."""
    operands = _promoted(call, "self", "other")
    rounds = call.name == "floor_divide" or call.has("rounding_mode")
    if not rounds or not call.result_dtype.is_float:
        return call.result("Div", operands)
    return call.result("Floor", [call.step("Div", operands, call.result_shape)])


@lowers("pow")
def power(call: Call) -> Names:
    """``Pow`` with a tensor or a scalar on either side."""
    return call.result("Pow", _promoted(call, "self", "exponent"))


@lowers("square")
def square(call: Call) -> Names:
    """``self · self``."""
    return call.result("Mul", [call.first, call.first])


@lowers("rsqrt")
def reciprocal_sqrt(call: Call) -> Names:
    """``1 / sqrt(self)``."""
    return call.result("Reciprocal", [call.step("Sqrt", [call.first], call.result_shape)])


@lowers("expm1")
def exp_minus_one(call: Call) -> Names:
    """``exp(self) - 1``."""
    return call.result("Sub", [call.step("Exp", [call.first], call.result_shape), _scalar(call, 1)])


@lowers("log1p")
def log_of_one_plus(call: Call) -> Names:
    """``log(1 + self)``."""
    return call.result("Log", [call.step("Add", [call.first, _scalar(call, 1)], call.result_shape)])


@lowers("exp2")
def exp_base_two(call: Call) -> Names:
    """``2 ** self``."""
    return call.result("Pow", [_scalar(call, 2), call.first])


_LOG_OF_BASE = {"log2": 0.6931471805599453, "log10": 2.302585092994046}


@lowers(*_LOG_OF_BASE)
def log_of_base(call: Call) -> Names:
    """``log(self) / log(base)``."""
    logarithm = call.step("Log", [call.first], call.result_shape)
    return call.result("Div", [logarithm, _scalar(call, _LOG_OF_BASE[call.name])])


@lowers("erfc")
def erf_complement(call: Call) -> Names:
    """``1 - erf(self)``."""
    return call.result("Sub", [_scalar(call, 1), call.step("Erf", [call.first], call.result_shape)])


@lowers("trunc", "fix")
def truncate(call: Call) -> Names:
    """``sign(self) · floor(|self|)``."""
    magnitude = call.step("Abs", [call.first], call.result_shape)
    whole = call.step("Floor", [magnitude], call.result_shape)
    return call.result("Mul", [call.step("Sign", [call.first], call.result_shape), whole])


@lowers("atan2")
def arc_tangent_of_ratio(call: Call) -> Names:
    """``atan(self / other)``; the quadrant costs nothing worth counting."""
    return call.result("Atan", [call.step("Div", call.tensors("self", "other"), call.result_shape)])


@lowers("addcmul", "addcdiv")
def add_product(call: Call) -> Names:
    """``self + value · tensor1 · tensor2``, or with a quotient."""
    first, second = call.tensors("tensor1", "tensor2")
    shape = _broadcast(call.shape(first), call.shape(second))
    term = call.step("Mul" if call.name == "addcmul" else "Div", [first, second], shape)
    if call.number("value", 1) != 1:
        term = call.step("Mul", [term, _scalar(call, call.number("value"))], shape)
    return call.result("Add", [call.first, term])


@lowers("lerp")
def interpolate(call: Call) -> Names:
    """``self + weight · (end - self)``."""
    start, end, weight = call.tensors("self", "end", "weight")
    distance = call.step("Sub", [end, start], call.result_shape)
    return call.result("Add", [start, call.step("Mul", [distance, weight], call.result_shape)])


@lowers("hypot")
def hypotenuse(call: Call) -> Names:
    """``sqrt(self² + other²)``."""
    left, right = call.tensors("self", "other")
    squares = [call.step("Mul", [side, side], call.shape(side)) for side in (left, right)]
    return call.result("Sqrt", [call.step("Add", squares, call.result_shape)])


@lowers("ne", "not_equal")
def not_equal(call: Call) -> Names:
    """``not (self == other)``."""
    return call.result("Not", [call.step("Equal", call.tensors("self", "other"), call.result_shape)])


@lowers("where")
def where(call: Call) -> Names:
    """``Where(condition, self, other)``."""
    return call.result("Where", call.tensors("condition", "self", "other"))


@lowers("masked_fill")
def masked_fill(call: Call) -> Names:
    """``Where(mask, value, self)``."""
    return call.result("Where", call.tensors("mask", "value", "self"))


@lowers("clamp", "clip", "clamp_min", "clamp_max")
def clamp(call: Call) -> Names:
    """``Clip`` between scalars, ``Max`` and ``Min`` between tensors."""
    low, high = call.tensors("min", "max") if call.name in ("clamp", "clip") else _one_sided_bounds(call)
    if all(not bound or call.shape(bound) == () for bound in (low, high)):
        return call.result("Clip", [call.first, low, high])
    if not high:
        return call.result("Max", [call.first, low])
    raised = call.step("Max", [call.first, low], call.result_shape) if low else call.first
    return call.result("Min", [raised, high])


def _one_sided_bounds(call: Call) -> tuple[str, str]:
    return (call.tensor("min"), "") if call.name == "clamp_min" else ("", call.tensor("max"))


def _promoted(call: Call, *names: str) -> list[str]:
    """Operands converted to the result's element type, which torch does by itself and ONNX does not."""
    return [call.cast(operand, call.result_dtype) for operand in call.tensors(*names)]


def _scalar(call: Call, number: float) -> str:
    return call.constant(number, call.result_dtype)


def _broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    return tuple(max(sizes) if min(sizes) else 0 for sizes in zip(*padded, strict=True))
