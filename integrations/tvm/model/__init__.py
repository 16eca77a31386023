"""NN-Former over a candidate's loops, statements and accesses."""

from costmodel.integrations.tvm.model.candidate_model import CandidateModel, CandidateModelConfig

__all__ = ["CandidateModel", "CandidateModelConfig"]
