"""A drafted experiment: a backlog item as a plan that loads, with what the data say, and what is left to decide.

Whatever nobody has said is marked `to decide` in the file. The length is what the sizing says of the traffic and the
variance of the version that serves, whichever metric takes longest.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_in
from toolkit.data import load_model, open_source
from toolkit.data.events import serving_version
from toolkit.display import format_number
from toolkit.errors import DefinitionError, Refused
from toolkit.experiments.design import design_experiment
from toolkit.experiments.plan_problems import definition_problems, read_definitions
from toolkit.experiments.plans import ExperimentPlan
from toolkit.experiments.sizing import MOST_WEEKS, MetricDesign
from toolkit.metrics import MetricDefinition, load_metrics
from toolkit.triage.drafts import Draft, ask, check_free, comment, draft_key, scalar
from toolkit.windows import Window
from toolkit.workspace.definitions import validate
from toolkit.workspace.documents import parse_yaml

if TYPE_CHECKING:
    from toolkit.data import ModelDefinition, Source
    from toolkit.triage import PlannedItem, ReviewedPlan
    from toolkit.workspace import Workspace

_FIRST_GUESS_DAYS = 28
"""The length of a plan that nothing is known about, and the past that the served version is read from."""

_WHOLE_SHARE = 0.99
"""A version that serves so many of the requests is the one that serves."""


class _Length(NamedTuple):
    """So many days, and why."""

    days: int
    why: str


class _Served(NamedTuple):
    """The version that serves, and how that is known; "" where it is."""

    version: str
    why: str


def draft_experiment(
    workspace: Workspace, plan: ReviewedPlan, item: PlannedItem, *, owner: str, key: str | None = None
) -> Draft:
    """Draft `experiments/<key>.yml` for an item of a published plan; nothing is written.

    Parameters
    ----------
    owner: who answers for the item; "" where nobody is known. key: the experiment's; by default the item's.

    Raises `ArgumentError` for a key that is taken or cannot be the name of a file, and `DefinitionError` where no plan
    could be made: no metric that an experiment can be about, or definitions that are not valid.
    """
    path = f"experiments/{draft_key(item.key, key)}.yml"
    check_free(workspace, path)
    check_in(plan.model, workspace.keys("models"), noun="model")
    parts = _Parts(workspace, plan, item, owner, path)
    source = open_source(workspace)
    clustered = "cluster_id" in source.columns("predictions")
    served = _find_served(source, parts.model, plan)
    first = parts.text(served, clustered, _Length(_FIRST_GUESS_DAYS, ""))
    length = _find_length(_checked(workspace, path, first), source, plan)
    text = parts.text(served, clustered, length)
    _checked(workspace, path, text)
    return Draft(path, text)


class _Parts:
    """What of a plan follows from the definitions."""

    def __init__(self, workspace: Workspace, plan: ReviewedPlan, item: PlannedItem, owner: str, path: str) -> None:
        self.plan, self.item, self.owner = plan, item, owner
        self.key = Path(path).stem
        self.model = load_model(workspace, plan.model)
        metrics = {name: metric for name, metric in load_metrics(workspace).items() if _has_a_worse_side(metric)}
        if not metrics:
            raise DefinitionError(
                "metrics.yml: no metric that an experiment can be about; it needs one with direction increase or "
                "decrease that is a mean of requests or a quantile",
                path=workspace.root / "metrics.yml",
            )
        self.primary = _propose_primary(metrics, self.model)
        self.metric = metrics[self.primary]
        self.guardrails = {
            name: metric for name, metric in metrics.items() if metric.role == "operation" and name != self.primary
        }

    def text(self, served: _Served, clustered: bool, length: _Length) -> str:
        """The file."""
        start = self.plan.as_of.date() + timedelta(days=1)
        lines = [
            *comment(f"Drafted from {self.item.key} of {self.plan.report}, as of {self.plan.as_of:%Y-%m-%d}."),
            f"key: {scalar(self.key)}",
            *self._promise(),
            "kind: ab",
            f"model: {scalar(self.plan.model)}",
            *self._window(start, length),
            "unit: unit_id",
            *_analysis(clustered),
            f"assignment: {{hash: flagd-fractional, version: 2, key: {scalar(self.key)}}}",
            *self._variants(served),
            *self._metrics(),
            *self._numbers(),
        ]
        return "\n".join(lines) + "\n"

    def _promise(self) -> list[str]:
        item, better = self.item, {"increase": "higher", "decrease": "lower"}[self.metric.direction]
        hypothesis = f"{item.title.rstrip('.')}: {self.metric.name} will be {better} than without it."
        asked = [] if self.owner else ask("who answers for it; nobody is known")
        return [
            *ask("what will be better, and why; the item's title says only what is done"),
            f"hypothesis: {scalar(hypothesis)}",
            *asked,
            f"owner: {scalar(self.owner or 'to be named')}",
            f"origin: {scalar(item.key)}",
        ]

    def _window(self, start: date, length: _Length) -> list[str]:
        end = start + timedelta(days=length.days)
        return [
            *ask(f"when it can begin; proposed is the day after the plan's. {length.why}"),
            f'window: {{start: "{start}", end: "{end}"}}',
        ]

    def _variants(self, served: _Served) -> list[str]:
        asked = ask(f"the version without it; {served.why}") if served.why else []
        return [
            "variants:",
            *(f"  {line}" for line in asked),
            f"  control: {{version: {scalar(served.version)}, weight: 50}}",
            *(
                f"  {line}"
                for line in ask(
                    f"the version or configuration with it; until models/{self.plan.model}.yml has one, this is the "
                    "control's, and both variants are the same"
                )
            ),
            f"  treatment: {{version: {scalar(served.version)}, weight: 50}}",
            "control: control",
        ]

    def _metrics(self) -> list[str]:
        chosen = "the model's loss is proposed" if self.primary == self.model.loss else "the first fit one is proposed"
        unit = f" {self.metric.unit}" if self.metric.unit else ""
        return [
            *ask(f"the metric that the hypothesis is about; {chosen}"),
            f"primary: {scalar(self.primary)}",
            *ask(
                "planned_effect, the improvement to be powered for, and smallest_effect, the one worth shipping; "
                f"while they are left out it is the practical threshold in metrics.yml, "
                f"{self.metric.practical_threshold:g}{unit}"
            ),
            *self._guardrails(),
        ]

    def _guardrails(self) -> list[str]:
        if not self.guardrails:
            return ask("guardrails, the metrics that may not get worse; metrics.yml has none of role operation")
        lines = ask("what may not get worse, and by how much; each margin is the practical threshold in metrics.yml")
        lines.append("guardrails:")
        for name, metric in self.guardrails.items():
            unit = f"    # {metric.unit}" if metric.unit else ""
            lines.append(f"  - {{metric: {scalar(name)}, margin: {metric.practical_threshold!r}}}{unit}")
        return lines

    def _numbers(self) -> list[str]:
        return [
            *ask("the share of false alarms that is allowed; 0.05 is assumed"),
            "alpha: 0.05",
            *ask(
                "the share of answered requests that must have a label; 0.9 is assumed, the days are the model's "
                "label maturity"
            ),
            f"label_maturity: {{days: {self.model.label.maturity_days}, minimum_share: 0.9}}",
            *ask("the rule of the verdict; 'not_inferior' is for a change that need not be better"),
            "rule: superior_and_not_inferior",
        ]


def _has_a_worse_side(metric: MetricDefinition) -> bool:
    """Whether a plan may have it as primary metric or guardrail."""
    return metric.direction in {"increase", "decrease"} and (metric.adds_up or metric.kind == "quantile")


def _propose_primary(metrics: dict[str, MetricDefinition], model: ModelDefinition) -> str:
    if model.loss in metrics:
        return model.loss
    by_role = sorted(metrics, key=lambda name: ("loss", "quality", "operation", "input").index(metrics[name].role))
    return by_role[0]


def _analysis(clustered: bool) -> list[str]:
    if not clustered:
        return ["analysis: plain"]
    return [
        *ask("whether requests of one cluster depend on each other; predictions have the column cluster_id"),
        "analysis: clustered",
        "cluster: cluster_id",
    ]


def _find_served(source: Source, model: ModelDefinition, plan: ReviewedPlan) -> _Served:
    """The version that served most in the weeks before the plan, else the last one that the model's file has."""
    window = Window(plan.as_of - timedelta(days=_FIRST_GUESS_DAYS), plan.as_of)
    try:
        version, share = serving_version(source, model=plan.model, window=window, as_of=plan.as_of)
    except Refused as err:
        return _Served(list(model.versions)[-1], f"the last in the model's file is proposed, because {err}")
    if version not in model.versions:
        return _Served(list(model.versions)[-1], f"version {version} serves, and the model's file does not have it")
    most = f"version {version} served most of {window.label}, {format_number('served_share', share)} of the requests"
    return _Served(version, "" if share >= _WHOLE_SHARE else most)


def _find_length(proposed: ExperimentPlan, source: Source, plan: ReviewedPlan) -> _Length:
    """What the deciding metrics need, the longest of them; why it is the first guess where that is not known."""
    assumed = f"Its length of {_FIRST_GUESS_DAYS} days is assumed"
    try:
        design = design_experiment(proposed, source, as_of=plan.as_of)
    except (Refused, DefinitionError) as err:
        return _Length(_FIRST_GUESS_DAYS, f"{assumed}: it could not be sized, because {err}")
    if not design.history.weeks:
        return _Length(_FIRST_GUESS_DAYS, f"{assumed}: it could not be sized, because {design.history.reason}")
    if design.primary.needed_days is None:
        return _Length(_FIRST_GUESS_DAYS, f"{assumed}: {design.primary.name} takes {_why_unsized(design.primary)}")
    deciding = [each for each in design.metrics if each.role in {"primary", "guardrail"}]
    sized = [(each.needed_days, each) for each in deciding if each.needed_days is not None]
    days, longest = max(sized, key=lambda each: each[0])
    unsized = "; ".join(f"{each.name} takes {_why_unsized(each)}" for each in deciding if each.needed_days is None)
    said = f"{days} days are what {longest.name} needs for {longest.aim.size:g} ({longest.aim.source})"
    said += f", by the traffic in {design.history.window.label}"
    return _Length(days, f"{said}; {unsized}" if unsized else said)


def _why_unsized(design: MetricDesign) -> str:
    return f"more than {MOST_WEEKS} weeks" if design.needed_units else f"nobody knows how long: {design.reason}"


def _checked(workspace: Workspace, path: str, text: str) -> ExperimentPlan:
    """The plan that the text is, held against the workspace's definitions as `load` does. Raises `DefinitionError`."""
    document = parse_yaml(text, path=workspace.root / path, shown=path)
    plan = validate(document, ExperimentPlan)
    if problems := definition_problems(plan, read_definitions(workspace, plan)):
        raise document.error(problems)
    return plan
