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


INPUT, OUTPUT, CONV, SKIP, NONE = range(5)


def parts(cell):
    return cell.operations.tolist(), cell.edges.tolist()


def test_what_leads_nowhere_or_comes_from_nothing_is_dropped():
    cell = CellGraph(
        np.array([INPUT, CONV, NONE, CONV, CONV, OUTPUT]),
        np.array([(0, 1), (0, 2), (2, 3), (0, 4), (1, 5), (3, 5)]),  # 3 comes from nothing, 4 leads nowhere
    )
    assert parts(cell.without({NONE})) == ([INPUT, CONV, OUTPUT], [[0, 1], [1, 2]])


def test_readers_of_a_bypassed_operation_read_what_it_reads():
    cell = CellGraph(
        np.array([INPUT, CONV, SKIP, SKIP, CONV, OUTPUT]),
        np.array([(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (3, 5), (4, 5)]),
    )
    assert parts(cell.without(set(), bypassed={SKIP})) == (
        [INPUT, CONV, CONV, OUTPUT],
        [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]],
    )


def test_the_first_and_the_last_always_stay():
    cell = CellGraph(np.array([INPUT, NONE, OUTPUT]), np.array([(0, 1), (1, 2)]))
    assert parts(cell.without({NONE, INPUT, OUTPUT}, bypassed={INPUT})) == ([INPUT, OUTPUT], [])
