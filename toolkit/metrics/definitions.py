"""`metrics.yml`: a team's metrics, in the words that reports use."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from toolkit.workspace import Definition, Workspace

METRICS_FILE = "metrics.yml"


class MetricDefinition(Definition):
    """One metric.

    Kinds: `proportion` and `mean` of a column (`label` is the matured label); `log_loss`, `brier`, `auc` and
    `calibration` (mean label minus mean score) of the score against the label.
    """

    name: str
    description: str
    owner: str
    kind: Literal["proportion", "mean", "auc", "log_loss", "brier", "calibration"]
    column: str | None = None
    unit: str = ""
    direction: Literal["increase", "decrease", "toward_zero", "none"] = Field(description="the way that is better")
    practical_threshold: float = Field(gt=0, description="the smallest change worth acting on, in the metric's unit")
    role: Literal["loss", "quality", "operation", "input"]

    @model_validator(mode="after")
    def _column_goes_with_kind(self) -> Self:
        takes_column = self.kind in {"proportion", "mean"}
        if takes_column and not self.column:
            raise ValueError(f"a metric of kind {self.kind} needs a column")
        if not takes_column and self.column:
            raise ValueError(f"a metric of kind {self.kind} takes no column; it compares score and label")
        return self


class _MetricsFile(Definition):
    metrics: dict[str, MetricDefinition] = Field(min_length=1)


def load_metrics(workspace: Workspace) -> dict[str, MetricDefinition]:
    """The metrics of `metrics.yml` by key, in the file's order. Raises `DefinitionError`."""
    return workspace.load(METRICS_FILE, _MetricsFile).metrics
