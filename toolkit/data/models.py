"""`models/*.yml`: what a team states about a model it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Self

from pydantic import Field, field_validator, model_validator

from toolkit.checks import check_in
from toolkit.errors import ToolkitError
from toolkit.windows import Window
from toolkit.workspace import Definition, Workspace


class Period(Definition):
    """A half-open period of days in UTC: `start <= t < end`."""

    start: str = Field(description="the first day, as 2030-01-01")
    end: str = Field(description="the first day after it, as 2030-02-01")

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        _explain(Window.of, self.start, self.end)
        return self

    @property
    def window(self) -> Window:
        """The period as a window."""
        return Window.of(self.start, self.end)


class LabelDefinition(Definition):
    """The outcome a model predicts, and how long after the request it is normally known."""

    name: str = Field(description="what really happened, in a few words")
    description: str = Field(description="when it is 1 and when 0")
    maturity_days: int = Field(ge=0, description="so many days after the request the label is normally known")


class FeatureDefinition(Definition):
    """An input of a model."""

    name: str = Field(description="its column in predictions")
    description: str = Field(description="what it is, with its unit")
    owner: str = Field(description="who answers for it")
    freshness: str = Field(description="how old it may be at the request")


class VersionDefinition(Definition):
    """One version of a model: what it was trained on, and the period that its production is compared with."""

    description: str = Field(description="what is in it")
    features: tuple[str, ...] = Field(description="names of the features that it reads")
    trained: Period = Field(description="the period that it was trained on")
    reference: Period = Field(description="the period that production is compared with")
    training_digest: str | None = Field(default=None, description="digest of the training snapshot")
    commit: str | None = Field(default=None, description="the commit that it was built from")


class LossValue(Definition):
    """What one unit of a model's loss costs the business, as its owner gave it: a range and the likely value."""

    currency: str = Field(min_length=1, description="the currency, such as EUR")
    low: float = Field(ge=0, description="a unit of loss hardly costs less than this")
    likely: float = Field(ge=0, description="the most likely cost of a unit of loss")
    high: float = Field(ge=0, description="a unit of loss hardly costs more than this")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"low {self.low:g} <= likely {self.likely:g} <= high {self.high:g} does not hold")
        return self


class ModelDefinition(Definition):
    """`models/<key>.yml`: a model that a team runs."""

    key: str = Field(description="the file's name without .yml; what the column model of predictions holds")
    name: str = Field(description="what people call it")
    description: str = Field(description="what it predicts, for whom, and when")
    owner: str = Field(description="who answers for it")
    label: LabelDefinition = Field(description="the outcome that it predicts")
    decision_threshold: float = Field(gt=0, lt=1, description="a score at or above it counts as a yes")
    loss: str = Field(description="key of the metric that measures this model's loss")
    loss_value: LossValue | None = Field(default=None, description="what one unit of that loss costs the business")
    segments: tuple[str, ...] = Field(default=(), description="columns by which reports look for trouble")
    review_on: date | None = Field(default=None, description="when somebody must look at the whole of it again")
    features: tuple[FeatureDefinition, ...] = Field(default=(), description="the inputs of its versions")
    versions: dict[str, VersionDefinition] = Field(min_length=1, description="versions by key")

    @field_validator("review_on", mode="before")
    @classmethod
    def _read_date(cls, value: object) -> object:
        return date.fromisoformat(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _features_are_known(self) -> Self:
        known = [feature.name for feature in self.features]
        for version in self.versions.values():
            for name in version.features:
                _explain(check_in, name, known, noun="feature")
        return self

    def version(self, version: str) -> VersionDefinition:
        """The definition of one version; `UnknownNameError` with the nearest one."""
        check_in(version, self.versions, noun=f"version of model {self.key}")
        return self.versions[version]


def _explain(check: Callable[..., object], *given: object, **options: object) -> None:
    """Run a check inside a validator, where pydantic wants a plain ValueError."""
    try:
        check(*given, **options)
    except ToolkitError as err:
        raise ValueError(str(err)) from None


def load_model(workspace: Workspace, key: str) -> ModelDefinition:
    """Read `models/<key>.yml`. Raises `UnknownNameError` (nearest key) and `DefinitionError`."""
    return workspace.load_keyed("models", key, ModelDefinition, noun="model")
