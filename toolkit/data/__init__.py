"""Production data: where it lies, what contract it keeps, and what was known at an instant."""

from toolkit.data.contracts import CONTRACTS, Column, Table
from toolkit.data.events import (
    LABEL,
    business_values,
    labelled_predictions,
    latest_labels,
    serving_version,
    window_incidents,
)
from toolkit.data.models import ModelDefinition, Period, VersionDefinition, load_model
from toolkit.data.source import Source, open_source

__all__ = [
    "CONTRACTS",
    "LABEL",
    "Column",
    "ModelDefinition",
    "Period",
    "Source",
    "Table",
    "VersionDefinition",
    "business_values",
    "labelled_predictions",
    "latest_labels",
    "load_model",
    "open_source",
    "serving_version",
    "window_incidents",
]
