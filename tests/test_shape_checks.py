from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from costmodel.training import mape_percent


def test_shapes_are_checked_in_tests():
    with pytest.raises(TypeCheckError):
        mape_percent(np.ones(3), np.ones(4))
