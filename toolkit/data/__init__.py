"""Production data: where it lies, what contract it keeps, what was known at an instant, and how services write it.

Each name is imported when it is first used: a model service that imports `toolkit.data.writer` comes through here, and
wants no data library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.facade import facade

if TYPE_CHECKING:
    from toolkit.data.contracts import CONTRACTS, Column, Table
    from toolkit.data.events import business_values, serving_version, window_incidents
    from toolkit.data.labels import LABEL, label_arrivals, labelled_predictions, latest_labels
    from toolkit.data.models import ModelDefinition, Period, VersionDefinition, load_model
    from toolkit.data.schemas import arrow_schema, json_schema
    from toolkit.data.source import Source, open_source
    from toolkit.data.unit_days import DayOfEvents, UnitDays
    from toolkit.data.writer import EventWriter

_NAMES = {
    "contracts": ("CONTRACTS", "Column", "Table"),
    "events": ("business_values", "serving_version", "window_incidents"),
    "labels": ("LABEL", "label_arrivals", "labelled_predictions", "latest_labels"),
    "models": ("ModelDefinition", "Period", "VersionDefinition", "load_model"),
    "schemas": ("arrow_schema", "json_schema"),
    "source": ("Source", "open_source"),
    "unit_days": ("DayOfEvents", "UnitDays"),
    "writer": ("EventWriter",),
}
_MODULES = {name: f"toolkit.data.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "CONTRACTS",
    "LABEL",
    "Column",
    "DayOfEvents",
    "EventWriter",
    "ModelDefinition",
    "Period",
    "Source",
    "Table",
    "UnitDays",
    "VersionDefinition",
    "arrow_schema",
    "business_values",
    "json_schema",
    "label_arrivals",
    "labelled_predictions",
    "latest_labels",
    "load_model",
    "open_source",
    "serving_version",
    "window_incidents",
]

__getattr__, __dir__ = facade(__name__, _MODULES)
