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

    start: str
    end: str

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

    name: str
    description: str
    maturity_days: int = Field(ge=0)


class FeatureDefinition(Definition):
    """An input of a model."""

    name: str
    description: str
    owner: str
    freshness: str


class VersionDefinition(Definition):
    """One version of a model: what it was trained on, and the period that its production is compared with."""

    description: str
    features: tuple[str, ...]
    trained: Period
    reference: Period
    training_digest: str | None = None
    commit: str | None = None


class ModelDefinition(Definition):
    """`models/<key>.yml`."""

    key: str
    name: str
    description: str
    owner: str
    label: LabelDefinition
    decision_threshold: float = Field(gt=0, lt=1)
    loss: str = Field(description="key of the metric that measures this model's loss")
    segments: tuple[str, ...] = ()
    review_on: date | None = None
    features: tuple[FeatureDefinition, ...] = ()
    versions: dict[str, VersionDefinition] = Field(min_length=1)

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
