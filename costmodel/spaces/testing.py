"""A test kit for those who write a search space."""

from __future__ import annotations

import numpy as np

from costmodel.errors import UsageError
from costmodel.spaces.search_space import SearchSpace

__all__ = ["SearchSpaceConformance"]


class SearchSpaceConformance:
    """The contract of :class:`~costmodel.spaces.SearchSpace`, as tests.

    Subclass it and write :meth:`make_space`; pytest then collects the tests::

        class TestMySpace(SearchSpaceConformance):
            def make_space(self):
                return MySpace()

    Attributes:
        draws: How many architectures are tried; a network is built of the first alone.
    """

    draws = 20

    def make_space(self) -> SearchSpace:
        """A space to test."""
        raise NotImplementedError(f"{type(self).__name__} must write make_space().")

    def drawn(self) -> list[str]:
        """Random architectures of the space."""
        rng, space = np.random.default_rng(0), self.make_space()
        return [space.draw(rng) for _ in range(self.draws)]

    def test_an_architecture_is_its_decisions(self) -> None:
        """There and back, from both ends."""
        space, rng = self.make_space(), np.random.default_rng(1)
        for arch in self.drawn():
            assert arch in space
            assert space.arch_of(space.decisions_of(arch)) == arch
            decisions = tuple(int(rng.integers(options)) for options in space.choices)
            if not space.allows(decisions):
                continue
            assert space.decisions_of(space.arch_of(decisions)) == decisions

    def test_the_seed_decides_what_is_drawn(self) -> None:
        """Drawn twice with one seed, architectures are the same, and not all are alike."""
        assert self.drawn() == self.drawn()
        assert len(set(self.drawn())) > 1

    def test_cells_are_graphs_of_named_operations(self) -> None:
        """Each operation but the first is fed by one before it."""
        space = self.make_space()
        assert len(set(space.operations)) == len(space.operations)
        for arch in self.drawn():
            cell = space.cell_graph(arch)
            assert set(cell.edges[:, 1].tolist()) == set(range(1, len(cell)))

    def test_effective_cells_are_parts_of_cells(self) -> None:
        """With the same first and last operation, and no more in between."""
        space = self.make_space()
        for arch in self.drawn():
            whole, part = space.cell_graph(arch), space.effective_cell(arch)
            assert len(part) <= len(whole)
            assert part.operations[[0, -1]].tolist() == whole.operations[[0, -1]].tolist()

    def test_cells_tell_architectures_apart(self) -> None:
        """Those that differ in their canonical form differ in their cells."""
        space = self.make_space()
        forms: dict[object, str] = {}
        for arch in self.drawn():
            cell = space.cell_graph(arch)
            form = (tuple(cell.operations.tolist()), tuple(map(tuple, cell.edges.tolist())))
            assert forms.setdefault(form, space.canonical(arch)) == space.canonical(arch)

    def test_what_is_no_architecture_is_refused(self) -> None:
        """An empty text is none, nor is a decision too few, or one that is out of range."""
        space = self.make_space()
        assert "" not in space
        assert 7 not in space
        wrong = ([0] * (len(space.choices) - 1), [*space.choices])
        for decisions in wrong:
            try:
                space.arch_of(decisions)
            except UsageError:
                continue
            raise AssertionError(f"took the decisions {decisions}")

    def test_the_network_computes_what_its_graph_says(self) -> None:
        """The module and the graph of operations have as many parameters, and as much to compute."""
        import torch

        from costmodel.graph import load_graph, total_cost

        space, arch = self.make_space(), self.drawn()[0]
        graph = space.op_graph(arch)
        images = torch.zeros(graph.values[graph.inputs[0]].shape or ())
        read = load_graph(space.module(arch).eval(), example_inputs=(images,))
        ours, theirs = total_cost(graph), total_cost(read)
        np.testing.assert_allclose(ours.flops, theirs.flops, rtol=0.02)
        np.testing.assert_allclose(ours.params, theirs.params, rtol=0.02)

    def test_a_batch_is_that_of_the_network(self) -> None:
        """Larger batches are more to compute, and none is refused."""
        space, arch = self.make_space(), self.drawn()[0]
        assert space.op_graph(arch, batch=4).batch == 4
        try:
            space.op_graph(arch, batch=0)
        except UsageError:
            return
        raise AssertionError("took a batch of 0")
