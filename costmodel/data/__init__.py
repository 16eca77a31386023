"""Measurement records, the journal they are written to as they are made, and datasets on disk."""

from costmodel.data.dataset import Dataset
from costmodel.data.graph_store import GraphStore
from costmodel.data.journal import Journal, JournalContent, JournalHeader
from costmodel.data.records import Clock, MeasurementRecord, Status, Visit
from costmodel.data.weightless import graph_hash, strip_weights

__all__ = [
    # Records
    "Clock",
    "MeasurementRecord",
    "Status",
    "Visit",
    # Journal
    "Journal",
    "JournalContent",
    "JournalHeader",
    # Networks on disk
    "Dataset",
    "GraphStore",
    "graph_hash",
    "strip_weights",
]
