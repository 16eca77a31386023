"""The published latency readout."""

from __future__ import annotations

import torch

from costmodel.model import SumReadout


def test_sums_over_the_nodes_of_each_graph() -> None:
    torch.manual_seed(0)
    readout = SumReadout(8, num_statics=4)
    nodes, statics = torch.randn(5, 8), torch.randn(2, 4)
    both = readout(nodes, torch.tensor([0, 0, 0, 1, 1]), statics)
    alone = torch.cat(
        [
            readout(nodes[:3], torch.zeros(3, dtype=torch.int64), statics[:1]),
            readout(nodes[3:], torch.zeros(2, dtype=torch.int64), statics[1:]),
        ]
    )
    assert both.shape == (2,)
    torch.testing.assert_close(both, alone)


def test_latency_is_positive_whatever_the_network_says() -> None:
    readout = SumReadout(8, num_statics=4)
    one_node = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        for parameter in readout.output_mlp[-1].parameters():
            parameter.fill_(-5.0)
        assert readout(torch.randn(1, 8), one_node, torch.randn(1, 4)) > 0


def test_depth_and_statics_both_count() -> None:
    """A mean over nodes would read the same from a network and from the same network twice as deep."""
    torch.manual_seed(0)
    readout = SumReadout(8, num_statics=4)
    node, statics = torch.randn(1, 8), torch.randn(1, 4)
    read = [
        readout(node.expand(depth, 8), torch.zeros(depth, dtype=torch.int64), statics * factor).item()
        for depth, factor in ((10, 1), (20, 1), (10, 2))
    ]
    assert len(set(read)) == 3


def test_a_graph_without_nodes_still_reads() -> None:
    readout = SumReadout(8, num_statics=4)
    assert readout(torch.zeros(0, 8), torch.zeros(0, dtype=torch.int64), torch.zeros(1, 4)).shape == (1,)
