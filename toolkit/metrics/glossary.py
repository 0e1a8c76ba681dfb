"""The glossary: every metric of a workspace with all that is said of it, the teams' common language.

What this room cannot see, an experiment's plan or a published number, is handed in by whoever can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from toolkit.data import LABEL, ModelDefinition, load_model
from toolkit.metrics.definitions import load_metrics
from toolkit.metrics.kinds import MetricDefinition
from toolkit.metrics.needs import columns_needed, scalars_needed
from toolkit.metrics.objectives import load_objectives
from toolkit.workspace import Workspace


class MetricUse(NamedTuple):
    """Where a metric is used: `what` and its key (`model delay`), and as what (`the loss`)."""

    what: str
    key: str
    role: str


class MetricGoal(NamedTuple):
    """An objective that a metric stands for."""

    key: str
    model: str
    target: str
    business_outcome: str
    owner: str


class PublishedValue(NamedTuple):
    """A metric's number in a report: what of it (`current`), and the report's reference and as-of day."""

    statistic: str
    value: float
    unit: str
    ci_lower: float | None
    ci_upper: float | None
    report: str
    as_of: str


@dataclass(frozen=True)
class MetricEntry:
    """One metric of the glossary.

    Attributes
    ----------
    parameters: what the kind was given (`quantile`: 0.95), by name.
    maturity: when the number is final, in words.
    latest: the newest numbers of it that were published.
    """

    key: str
    metric: MetricDefinition
    parameters: Mapping[str, str]
    maturity: str
    goals: tuple[MetricGoal, ...]
    uses: tuple[MetricUse, ...]
    latest: tuple[PublishedValue, ...]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What the business has from it: by its own words, and by the objectives that it stands for."""
        own = [self.metric.business_outcome] if self.metric.business_outcome else []
        return tuple(dict.fromkeys([*own, *(goal.business_outcome for goal in self.goals)]))


def glossary(
    workspace: Workspace,
    *,
    uses: Mapping[str, Sequence[MetricUse]] | None = None,
    latest: Mapping[str, Sequence[PublishedValue]] | None = None,
) -> list[MetricEntry]:
    """Every metric of metrics.yml, in the file's order.

    Parameters
    ----------
    uses: by metric, where it is used beside models and objectives.
    latest: by metric, the newest published numbers; those in another unit than the metric's are sums or ratios of it.

    Raises `DefinitionError` for a definition that is wrong.
    """
    metrics = load_metrics(workspace)
    objectives = load_objectives(workspace)
    models = [load_model(workspace, key) for key in workspace.keys("models")]
    return [
        MetricEntry(
            key=key,
            metric=metric,
            parameters=_parameters(metric),
            maturity=_maturity(metric, models),
            goals=tuple(
                MetricGoal(name, each.model, each.target.label, each.business_outcome, each.owner)
                for name, each in objectives.items()
                if each.metric == key
            ),
            uses=(
                *(MetricUse("model", model.key, "the loss") for model in models if model.loss == key),
                *(uses or {}).get(key, ()),
            ),
            latest=tuple(value for value in (latest or {}).get(key, ()) if value.unit == metric.unit),
        )
        for key, metric in metrics.items()
    ]


def _parameters(metric: MetricDefinition) -> dict[str, str]:
    own = set(type(metric).model_fields) - set(MetricDefinition.model_fields)
    given = metric.model_dump(mode="json")
    return {name: str(given[name]) for name in type(metric).model_fields if name in own and given[name] is not None}


def _maturity(metric: MetricDefinition, models: Sequence[ModelDefinition]) -> str:
    if metric.maturity_days is not None:
        return f"final {_days(metric.maturity_days)} after the request"
    if LABEL not in columns_needed(scalars_needed([metric])):
        return "final at once"
    waits = ", ".join(f"{model.key}: {_days(model.label.maturity_days)}" for model in models)
    return f"final with its labels ({waits or 'no model'})"


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"
