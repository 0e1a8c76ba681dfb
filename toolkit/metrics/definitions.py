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

    name: str = Field(description="what people call it")
    description: str = Field(description="what it measures, in one sentence")
    owner: str = Field(description="who answers for the definition")
    kind: Literal["proportion", "mean", "auc", "log_loss", "brier", "calibration"] = Field(
        description="how it is computed: of a column (proportion, mean), or of the score against the label"
    )
    column: str | None = Field(default=None, description="for proportion and mean: the column; label is the outcome")
    unit: str = Field(default="", description="the unit of its values")
    direction: Literal["increase", "decrease", "toward_zero", "none"] = Field(description="the way that is better")
    practical_threshold: float = Field(gt=0, description="the smallest change worth acting on, in the metric's unit")
    role: Literal["loss", "quality", "operation", "input"] = Field(
        description="loss and quality of the model, its operation, or an input that may drift"
    )

    @model_validator(mode="after")
    def _column_goes_with_kind(self) -> Self:
        takes_column = self.kind in {"proportion", "mean"}
        if takes_column and not self.column:
            raise ValueError(f"a metric of kind {self.kind} needs a column")
        if not takes_column and self.column:
            raise ValueError(f"a metric of kind {self.kind} takes no column; it compares score and label")
        return self


class MetricsFile(Definition):
    """`metrics.yml`: the metrics that reports speak of."""

    metrics: dict[str, MetricDefinition] = Field(min_length=1, description="metrics by key")


def load_metrics(workspace: Workspace) -> dict[str, MetricDefinition]:
    """The metrics of `metrics.yml` by key, in the file's order. Raises `DefinitionError`."""
    return workspace.load(METRICS_FILE, MetricsFile).metrics
