import numpy as np
import pytest

from costmodel.errors import GraphError
from costmodel.graph import CellGraph


def test_a_cell_has_as_many_nodes_as_operations():
    cell = CellGraph(np.array([0, 3, 1]), np.array([[0, 1], [1, 2]]))
    assert len(cell) == 3
    assert len(CellGraph(np.array([0]), np.zeros((0, 2), dtype=np.int64))) == 1


@pytest.mark.parametrize("edge", [(1, 0), (1, 1), (0, 3), (-1, 1)])
def test_edges_lead_forward_between_operations_that_exist(edge):
    with pytest.raises(GraphError, match="expected edges from an earlier to a later one"):
        CellGraph(np.array([0, 3, 1]), np.array([(0, 1), edge]))
