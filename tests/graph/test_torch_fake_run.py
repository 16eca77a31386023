"""A run on fake tensors gives the graph that torch.export gives, and leaves the module alone."""

import logging

import pytest
import torch
from torch import nn

from costmodel.errors import UnsupportedModelError
from costmodel.graph.torch import from_torch
from costmodel.graph.torch.fake_run import from_fake_run


class Shared(nn.Module):
    """One module under two paths, called from both."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(4, 4)
        self.left = nn.Sequential(self.scale, nn.ReLU())
        self.right = nn.Sequential(nn.Tanh(), self.scale)

    def forward(self, x):
        return self.right(self.left(x))


class Keeping(nn.Module):
    """Keeps what it computes: in attributes, lists and dicts."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.seen = []
        self.by_name = {"width": 4}
        self.last = None

    def forward(self, x):
        self.last = self.layer(x)
        self.seen.append(self.last)
        self.by_name["last"] = self.last
        self.layer.cached = self.last
        return self.last + 1


class Inputs(nn.Module):
    def forward(self, first, relu, *rest, mask=None, **others):
        return first + relu[0].relu() + rest[0] + mask["of"] + others["more"]


class Branching(nn.Module):
    def forward(self, x):
        return x.relu() if x.sum() > 0 else x.tanh()


class Cached(nn.Module):
    """A table that is not saved, and is looked up by constant places: the places are known numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("places", torch.tensor([2, 0, 1]), persistent=False)
        self.register_buffer("table", torch.zeros(3, 4))

    def forward(self, x):
        return x + self.table[self.places]


def described(graph):
    # torch.export leaves "self_" out of the path "self_attn".
    operands = [
        [value and (value.name.replace("self_", ""), value.shape, value.kind) for value in graph.operands(op)]
        for op in graph
    ]
    return [(op.op_type, op.attributes) for op in graph], operands, graph.inputs, graph.outputs


@pytest.fixture
def same_graph():
    def check(module, *positional, **keywords):
        ours = from_fake_run(module, positional, keywords, "net")
        program = torch.export.export(module.eval(), positional, keywords, strict=False)
        theirs = from_torch(program, name="net")
        assert described(ours) == described(theirs)
        return ours

    return check


@pytest.mark.parametrize(
    ("module", "example"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)), (1, 3, 9, 9)),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
        (nn.Sequential(nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten(), nn.Dropout()), (2, 4, 3, 3)),
        (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Hardswish(), nn.Softmax(1)), (1, 2, 4, 4)),
        (Cached(), (3, 4)),
    ],
    ids=["convolutions", "attention", "norms", "resizing", "tables"],
)
def test_it_is_the_graph_of_an_export(same_graph, module, example):
    graph = same_graph(module, torch.zeros(example))

    assert len(graph) > 0


def test_inputs_go_by_the_names_of_parameters(same_graph):
    first, relu, rest, mask, more = (torch.zeros(2) for _ in range(5))

    graph = same_graph(Inputs(), first, [relu.double()], rest, mask={"of": mask}, more=more)

    assert graph.inputs == ("first", "relu_0", "rest_0", "mask_of", "more")


def test_a_shared_module_goes_by_the_path_it_is_called_at():
    graph = from_torch(Shared(), torch.zeros(2, 4))

    assert [op.scope for op in graph] == ["left.0", "left.1", "right.0", "right.1"]
    assert len({name for op in graph if op.op_type == "Gemm" for name in op.inputs[1:]}) == 2


def test_what_a_module_keeps_of_the_run_is_taken_away_again(caplog):
    module = Keeping()

    with caplog.at_level(logging.DEBUG, "costmodel"):
        graph = from_torch(module, torch.zeros(2, 4))

    assert len(graph) == 2
    assert "left to torch.export" not in caplog.text
    assert (module.seen, module.by_name, module.last) == ([], {"width": 4}, None)
    assert not hasattr(module.layer, "cached")
    assert module.training
    assert not module._forward_hooks and not module.layer._forward_pre_hooks


def test_a_module_that_looks_at_its_data_is_left_to_export(caplog):
    with caplog.at_level(logging.DEBUG, "costmodel"), pytest.raises(UnsupportedModelError, match="Branching at"):
        from_torch(Branching(), torch.zeros(3))

    assert "left to torch.export" in caplog.text


def test_an_operator_that_is_only_known_in_parts_is_left_to_export(caplog):
    class Rare(nn.Module):
        def forward(self, x):
            return torch.special.i0e(x) + torch.nn.functional.logsigmoid(x)

    with caplog.at_level(logging.DEBUG, "costmodel"):
        graph = from_torch(Rare(), torch.zeros(3))

    assert "no lowering" in caplog.text
    assert len(graph) > 1
