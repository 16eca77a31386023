"""A local change of an fx graph is predicted from what is around it, and agrees with the whole predicted again."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.torch import RewriteMeter
from costmodel.predictor import Predictor

PLATFORM = "i9-10940x-pt2.4-fp32-dynamo"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_pretrained()


@pytest.fixture
def calls() -> fx.GraphModule:
    layers = [part for _ in range(6) for part in (nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())]
    module = nn.Sequential(*layers).eval()
    traced: fx.GraphModule = make_fx(module, tracing_mode="fake", _allow_non_fake_inputs=True)(
        torch.zeros(2, 64, 56, 56)
    )
    return traced


@pytest.fixture
def meter(calls: fx.GraphModule, predictor: Predictor) -> RewriteMeter:
    return RewriteMeter(calls, PLATFORM, predictor=predictor)


def nodes_of(calls: fx.GraphModule, target: object) -> list[fx.Node]:
    return calls.graph.find_nodes(op="call_function", target=target)


def put_in_place(node: fx.Node, target: object, *args: object) -> fx.Node:
    with node.graph.inserting_after(node):
        new = node.graph.call_function(target, args)
    node.replace_all_uses_with(new)
    node.graph.erase_node(node)
    return new


def test_a_graph_that_was_not_touched_takes_what_it_took(meter: RewriteMeter, predictor: Predictor):
    assert meter.change_ms() == 0
    assert meter.accept() == 0
    assert meter.latency_ms == pytest.approx(predictor.predict(meter.graph_module, PLATFORM).latency_ms)


def test_a_layer_less_takes_less_and_the_whole_says_so_too(meter: RewriteMeter):
    before, after = nodes_of(meter.graph_module, torch.ops.aten.relu.default)[1:3]
    after.replace_all_uses_with(before)
    meter.graph_module.graph.eliminate_dead_code()

    change_ms = meter.change_ms()

    assert change_ms < 0
    assert meter.change_ms() == change_ms, "asking changes nothing"
    whole_ms = meter.accept()
    assert change_ms == pytest.approx(whole_ms, rel=0.5)
    assert meter.change_ms() == 0


def test_what_is_put_back_costs_nothing(meter: RewriteMeter):
    before_ms = meter.latency_ms
    relu = nodes_of(meter.graph_module, torch.ops.aten.relu.default)[0]
    gelu = put_in_place(relu, torch.ops.aten.gelu.default, relu.args[0])
    assert meter.change_ms() > 0
    put_in_place(gelu, torch.ops.aten.relu.default, gelu.args[0])

    assert meter.change_ms() == pytest.approx(0, abs=1e-3 * before_ms)


def test_a_smaller_convolution_is_cheaper_by_about_as_much_as_the_whole_says(meter: RewriteMeter):
    graph_module = meter.graph_module
    conv = nodes_of(graph_module, torch.ops.aten.convolution.default)[3]
    graph_module.register_buffer("pointwise", torch.zeros(64, 64, 1, 1))
    with graph_module.graph.inserting_before(conv):
        weight = graph_module.graph.get_attr("pointwise")
    source, _, bias, strides, _, *rest = conv.args
    new = put_in_place(conv, torch.ops.aten.convolution.default, source, weight, bias, strides, [0, 0], *rest)

    change_ms = meter.change_ms()

    assert new.meta["val"].shape == (2, 64, 56, 56), "inferred, as new nodes lack it"
    whole_ms = meter.accept()
    assert whole_ms < 0
    assert change_ms == pytest.approx(whole_ms, rel=0.5)


def test_what_nobody_reads_takes_no_time(meter: RewriteMeter):
    relu = nodes_of(meter.graph_module, torch.ops.aten.relu.default)[1]
    with meter.graph_module.graph.inserting_after(relu):
        meter.graph_module.graph.call_function(torch.ops.aten.exp.default, (relu,))

    assert meter.change_ms() == pytest.approx(0, abs=1e-3 * meter.latency_ms)


def test_a_new_call_that_cannot_run_is_named(meter: RewriteMeter):
    relu = nodes_of(meter.graph_module, torch.ops.aten.relu.default)[1]
    new = put_in_place(relu, torch.ops.aten.mm.default, relu.args[0], relu.args[0])

    with pytest.raises(UsageError, match=f"fx node '{new.name}' has no meta.*cannot be inferred"):
        meter.change_ms()


def test_a_graph_of_modules_is_to_be_traced_first(predictor: Predictor):
    with pytest.raises(UsageError, match="make_fx"):
        RewriteMeter(fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3))), PLATFORM, predictor=predictor)


def test_an_unknown_platform_is_named(calls: fx.GraphModule, predictor: Predictor):
    with pytest.raises(UnknownNameError, match="no-such-board"):
        RewriteMeter(calls, "no-such-board", predictor=predictor)
