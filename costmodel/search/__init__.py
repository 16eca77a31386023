"""Architectures of a space that are both accurate and fast, by predictions alone."""

from costmodel.search.front import Candidate, hypervolume, pareto_front
from costmodel.search.objectives import Objectives, PredictedObjectives
from costmodel.search.study import SearchSettings, SearchStudy

__all__ = [
    # what is searched for
    "Candidate",
    "Objectives",
    "PredictedObjectives",
    # searching
    "SearchSettings",
    "SearchStudy",
    # how good it is
    "hypervolume",
    "pareto_front",
]
