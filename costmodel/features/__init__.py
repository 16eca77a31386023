"""OpGraph → the tensors the model reads."""

from costmodel.features.build import build_features
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.tokens import FEATURE_NAMES, feature_schema_hash

__all__ = ["FEATURE_NAMES", "GraphFeatures", "build_features", "feature_schema_hash"]
