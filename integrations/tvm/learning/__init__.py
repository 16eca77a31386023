"""Learning to put candidates in order, and how well that goes."""

from costmodel.integrations.tvm.learning.fitting import CandidateFitConfig, fit_candidates, predict_log_times
from costmodel.integrations.tvm.learning.losses import centred_huber, ranking_loss
from costmodel.integrations.tvm.learning.metrics import pair_accuracy, top_k_score

__all__ = [
    # training
    "CandidateFitConfig",
    "fit_candidates",
    "predict_log_times",
    # what is minimised
    "centred_huber",
    "ranking_loss",
    # what is reported
    "pair_accuracy",
    "top_k_score",
]
