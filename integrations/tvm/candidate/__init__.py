"""A candidate as a graph of loops, statements and accesses, and as the numbers that the model sees."""

from costmodel.integrations.tvm.candidate.features import (
    NUM_FEATURES,
    WORK_TERMS,
    NodeType,
    candidate_features,
    candidate_schema_hash,
)
from costmodel.integrations.tvm.candidate.reader import read_candidate
from costmodel.integrations.tvm.candidate.statement_graph import (
    Access,
    Loop,
    LoopKind,
    Operations,
    Statement,
    StatementGraph,
)

__all__ = [
    # what a candidate is
    "Access",
    "Loop",
    "LoopKind",
    "Operations",
    "Statement",
    "StatementGraph",
    "read_candidate",
    # what the model sees
    "NUM_FEATURES",
    "WORK_TERMS",
    "NodeType",
    "candidate_features",
    "candidate_schema_hash",
]
