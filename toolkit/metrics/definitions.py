"""`metrics.yml`: a team's metrics, in the words that reports use."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Union, get_args

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, create_model

from toolkit.errors import DefinitionError
from toolkit.metrics.decisions import (
    F1,
    Accuracy,
    Confusion,
    NearThresholdShare,
    Precision,
    Recall,
    Specificity,
)
from toolkit.metrics.kinds import MetricDefinition
from toolkit.metrics.quantiles import Quantile
from toolkit.metrics.ranks import Auc, Lift, Ndcg
from toolkit.metrics.registration import FORM, kind_name, load_kind
from toolkit.metrics.reliability import BrierDecomposition, CalibrationError, CalibrationIntercept, CalibrationSlope
from toolkit.metrics.requests import (
    Count,
    Coverage,
    ErrorRate,
    Mean,
    NullShare,
    Proportion,
    Rate,
    Ratio,
    ShareOverBudget,
    Throughput,
)
from toolkit.metrics.scored import Bias, Brier, Calibration, LogLoss, MeanAbsoluteError, Pinball, RootMeanSquaredError
from toolkit.metrics.segments import SegmentDefinition
from toolkit.workspace import Definition, Problem, Workspace
from toolkit.workspace.documents import read_yaml

METRICS_FILE = "metrics.yml"

_BuiltIn = (
    Count
    | Proportion
    | Mean
    | Ratio
    | Rate
    | Quantile
    | Brier
    | LogLoss
    | Calibration
    | Auc
    | CalibrationError
    | CalibrationSlope
    | CalibrationIntercept
    | BrierDecomposition
    | Lift
    | Ndcg
    | Accuracy
    | Precision
    | Recall
    | F1
    | Specificity
    | Confusion
    | NearThresholdShare
    | MeanAbsoluteError
    | RootMeanSquaredError
    | Bias
    | Pinball
    | ErrorRate
    | ShareOverBudget
    | Throughput
    | Coverage
    | NullShare
)
KINDS: dict[str, type[MetricDefinition]] = {kind_name(kind): kind for kind in get_args(_BuiltIn)}
"""The kinds that the toolkit has, by what metrics.yml calls them."""

LONGEST_KEY = 40
"""Characters of a metric's key, at most."""


def _checked_key(key: str) -> str:
    if not key or len(key) > LONGEST_KEY or "__" in key:
        raise ValueError(f"a metric's key has 1 to {LONGEST_KEY} characters and no '__'; the name may say more")
    return key


MetricKey = Annotated[str, AfterValidator(_checked_key)]
"""Columns of results are called by it and two underscores, and PostgreSQL cuts a name after 63 bytes."""


class _SchemaByKind:
    """The JSON Schema of a metric in the form that editors understand best.

    "None of 32 schemas fits" helps nobody: what every metric has is said once, the parameters in one branch per kind.
    """

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        branches: dict[str, str] = handler(core_schema)["discriminator"]["mapping"]
        every = MetricDefinition.model_json_schema()
        kinds = {"enum": list(branches), "description": every["properties"]["kind"]["description"]}
        return {
            "type": "object",
            "properties": every["properties"] | {"kind": kinds},
            "required": every["required"],
            "allOf": [
                {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": {"$ref": reference}}
                for kind, reference in branches.items()
            ],
        }


class MetricsFile(Definition):
    """`metrics.yml`: the metrics that reports speak of, their segments, and the team's own kinds."""

    kinds: tuple[str, ...] = Field(default=(), description=f"own kinds of metric, as {FORM}")
    segments: dict[str, SegmentDefinition] = Field(
        default_factory=dict, description="segmentations by name, beside the columns of predictions"
    )
    metrics: dict[MetricKey, Annotated[_BuiltIn, Field(discriminator="kind"), _SchemaByKind()]] = Field(
        min_length=1, description="metrics by key"
    )


def load_metrics(workspace: Workspace) -> dict[str, MetricDefinition]:
    """The metrics of `metrics.yml` by key, in the file's order. Raises `DefinitionError`."""
    return dict(_load(workspace).metrics)


def load_segments(workspace: Workspace) -> dict[str, SegmentDefinition]:
    """The segmentations that `metrics.yml` names. Raises `DefinitionError`."""
    return _load(workspace).segments


def load_kinds(workspace: Workspace) -> dict[str, type[MetricDefinition]]:
    """The kinds that the workspace's metrics may be of: the toolkit's, and its own. Raises `DefinitionError`."""
    return KINDS | _own_kinds(workspace)


def _load(workspace: Workspace) -> MetricsFile:
    own = _own_kinds(workspace)
    widened = _file_of(tuple(own.values()))
    return workspace.load(METRICS_FILE, widened if own else MetricsFile)


def _own_kinds(workspace: Workspace) -> dict[str, type[MetricDefinition]]:
    """The classes that the file names under `kinds`; what is no list of texts is left to the validation."""
    file = workspace.root / METRICS_FILE
    if not file.is_file() or b"kinds" not in file.read_bytes():  # nearly always: the file is then read only once
        return {}
    document = read_yaml(file, shown=METRICS_FILE)
    given = document.data.get("kinds") if isinstance(document.data, dict) else None
    if not isinstance(given, list) or not all(isinstance(named, str) for named in given):
        return {}
    own: dict[str, type[MetricDefinition]] = {}
    problems = []
    for place, named in enumerate(given):
        try:
            kind = load_kind(workspace, named, taken={*KINDS, *own})
            own[kind_name(kind)] = kind
        except DefinitionError as err:
            problems.append(Problem(["kinds", place], f"kinds.{place} is {named!r}: {err}"))
    if problems:
        raise document.error(problems)
    return own


@cache
def _file_of(own: tuple[type[MetricDefinition], ...]) -> type[MetricsFile]:
    """The file's model where metrics may also be of a team's own kinds."""
    if not own:
        return MetricsFile
    kinds: Any = Union[(*get_args(_BuiltIn), *own)]
    metrics = MetricsFile.model_fields["metrics"]
    annotation: Any = dict[MetricKey, Annotated[kinds, Field(discriminator="kind")]]
    return create_model("MetricsFile", __base__=MetricsFile, metrics=(annotation, metrics))
