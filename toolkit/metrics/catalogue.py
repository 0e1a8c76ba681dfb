"""The catalogue of kinds: what metrics.yml can ask for, each with its parameters and in words."""

from __future__ import annotations

import inspect
from typing import NamedTuple

from toolkit.metrics.definitions import KINDS, load_kinds
from toolkit.metrics.kinds import MetricDefinition
from toolkit.workspace import Workspace


class KindEntry(NamedTuple):
    """One kind of metric.

    `parameters`: what a metric of this kind says beside what every metric says; `required` are those without a default.
    """

    kind: str
    text: str
    parameters: dict[str, str]
    required: tuple[str, ...]

    @property
    def form(self) -> str:
        """The names of the parameters; those that may be left out come last, in brackets."""
        return ", ".join([*self.required, *(f"[{name}]" for name in self.parameters if name not in self.required)])


def catalogue(workspace: Workspace | None = None) -> list[KindEntry]:
    """Every kind that the toolkit has, and those that the workspace registers. Raises `DefinitionError`.

    >>> next(entry for entry in catalogue() if entry.kind == "ratio").form
    'numerator, denominator'
    """
    kinds = KINDS if workspace is None else load_kinds(workspace)
    return [_entry(name, kind) for name, kind in kinds.items()]


def _entry(name: str, kind: type[MetricDefinition]) -> KindEntry:
    own = {each: field for each, field in kind.model_fields.items() if each not in MetricDefinition.model_fields}
    text = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return KindEntry(
        name,
        text,
        {each: field.description or "" for each, field in own.items()},
        tuple(each for each, field in own.items() if field.is_required()),
    )
