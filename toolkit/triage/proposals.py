"""Definitions proposed from imported data, so that a first triage works at once; people correct them later.

Whatever nobody has said is marked `assumed` in the files. The reference period is the first third of a version's whole
days, in whole weeks and at most four of them, because requests of a weekend are not those of a week.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, count

from toolkit.data.portrait import MATURE_SHARE, ModelPortrait, Portrait, VersionPortrait
from toolkit.data.values import named
from toolkit.errors import ArgumentError
from toolkit.metrics.definitions import LONGEST_KEY

UNNAMED_OWNER = "to be named"
"""The owner of what is proposed, until people name one."""

WINDOW_DAYS = 28
"""The days that the template triage looks at unless it is told otherwise."""

_WEEK = 7
_LEAST_DAYS = 2 * _WEEK
"""Whole days that a triage needs at least: a week to compare with, one to look at."""

_DAYS_PER_REFERENCE_WEEK = 3 * _WEEK
"""A third of the days are the reference, in whole weeks: two weeks to look at for each to compare with."""

_MOST_INPUTS = 8
_MOST_SEGMENTS = 6
_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_WORDS_OF_YAML = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Proposal:
    """Definition files by path, what was assumed in them, and the command that makes the first report.

    `command` is None when no report can be made yet; `waiting` then says what is missing and until when, and otherwise
    what the default window waits for.
    """

    files: Mapping[str, str]
    assumptions: tuple[str, ...]
    command: str | None
    waiting: str


def propose(portrait: Portrait, extras: Mapping[str, str], *, team: str, sources: str, label: str) -> Proposal:
    """Propose the definitions of the models in `portrait`.

    Parameters
    ----------
    extras: own columns of the predictions with their kinds.
    team: the team's key.
    sources: the files that the data come from, in words.
    label: what the label is, in words.

    Raises `ArgumentError` for a model whose name cannot be the name of a file.
    """
    assumptions: list[str] = []
    files: dict[str, str] = {}
    for model in portrait.models:
        if not _KEY.fullmatch(model.key):
            raise ArgumentError(
                f"the column model holds {model.key!r}, which cannot be the name of a file; write it with letters, "
                "digits, - and _, or take one name for all with --map model= --set model=NAME"
            )
        files[f"models/{model.key}.yml"] = _model(model, extras, sources, label, assumptions)
    files["metrics.yml"] = _metrics(portrait.models, assumptions)
    files["teams.yml"] = _teams(team, [model.key for model in portrait.models])
    assumptions.append(f"teams.yml: one team, {team}, with 10 person-days in two weeks; nobody has estimated any work")
    command, waiting = _readiness(portrait)
    return Proposal(files, tuple(assumptions), command, waiting)


def reference_days(days: int) -> int:
    """The length of the reference period of a version that has so many whole days with mature labels.

    >>> [reference_days(days) for days in (10, 21, 50, 84, 400)]
    [7, 7, 14, 28, 28]
    """
    return min(4 * _WEEK, max(_WEEK, _WEEK * (days // _DAYS_PER_REFERENCE_WEEK)))


def _matured(model: ModelPortrait, version: VersionPortrait, complete: datetime) -> int:
    """The whole days of a version whose labels are mature."""
    end = min(version.end, complete - timedelta(days=model.label_days or 0))
    return max(0, (end - version.first_day).days)


def _readiness(portrait: Portrait) -> tuple[str | None, str]:
    """The command of the first report, and what is to be waited for; of the model with the most rows."""
    model = max(portrait.models, key=lambda each: sum(version.rows for version in each.versions))
    which = f" -p model={model.key}" if len(portrait.models) > 1 else ""
    if not model.labels:
        return None, "triage needs labels, and there are none yet: toolkit import outcomes FILE"
    version = max(model.versions, key=lambda each: (each.end, each.rows))
    maturity = model.label_days or 0
    days = _matured(model, version, portrait.complete_through)
    reference = reference_days(days)
    default_on = version.first_day + timedelta(days=reference + WINDOW_DAYS + maturity)
    left = days - reference
    if left >= WINDOW_DAYS:
        return f"toolkit run triage{which}", ""
    if left >= _WEEK:
        window = _WEEK * (left // _WEEK)
        later = f"the usual {WINDOW_DAYS} days can be looked at when the data reach {default_on:%Y-%m-%d}"
        return f"toolkit run triage{which} -p window_days={window}", later
    ready = version.first_day + timedelta(days=_LEAST_DAYS + maturity)
    return None, (
        f"no report can be made yet: version {version.key} of {model.key} has {days} whole days with mature labels, "
        f"and triage needs {_LEAST_DAYS}: a week to compare with and one to look at. That is so when the data reach "
        f"{ready:%Y-%m-%d}: import them with 'toolkit import', then 'toolkit run triage{which} -p window_days=7'"
    )


def _model(model: ModelPortrait, extras: Mapping[str, str], sources: str, label: str, assumptions: list[str]) -> str:
    where = f"models/{model.key}.yml"
    maturity = model.label_days if model.label_days is not None else _WEEK
    threshold = model.threshold if model.threshold is not None else 0.5
    features = [name for name, kind in extras.items() if kind != "instant"]
    segments = [name for name, _ in sorted(model.segments, key=lambda each: each[1])][:_MOST_SEGMENTS]
    if model.label_days is None:
        maturity_why = "assumed: there are no labels yet"
    elif model.label_days == 0:
        maturity_why = "labels carry no time of their own, or came at once"
    else:
        maturity_why = f"{MATURE_SHARE:.0%} of the labels that are there had arrived by then"
    threshold_why = model.threshold_from or "assumed"
    assumptions.append(f"{where}: labels are mature after {maturity} day{'s' * (maturity != 1)} ({maturity_why})")
    assumptions.append(f"{where}: a score of {threshold:g} or more is a yes ({threshold_why})")
    if segments:
        assumptions.append(f"{where}: segments {', '.join(segments)}, text columns with few values")
    lines = [
        f"# Proposed from {sources}. Lines marked 'assumed' were said by nobody: correct them.",
        f"key: {_scalar(model.key)}",
        f"name: {_scalar(model.key)}",
        f"description: {_scalar(f'Imported from {sources}. Say what it predicts, for whom, and when.')}",
        f"owner: {UNNAMED_OWNER}",
        "label:",
        f"  name: {_scalar(label)}",
        f"  description: {_scalar(f'1 where {label} is 1, yes or true; 0 where it is not.')}",
        f"  maturity_days: {maturity}    # {maturity_why}",
        f"decision_threshold: {threshold!r}    # {threshold_why}",
        "loss: brier",
        f"segments: [{', '.join(map(_scalar, segments))}]    # assumed: text columns with 2 to 30 values",
        "features:" if features else "features: []",
    ]
    for name in features:
        lines += [
            f"  - name: {_scalar(name)}",
            f"    description: assumed to be a feature; a {extras[name]}",
            f"    owner: {UNNAMED_OWNER}",
            "    freshness: assumed to be known at the request",
        ]
    lines.append("versions:")
    for version in model.versions:
        lines += _version(model, version, features, assumptions)
    return "\n".join(lines) + "\n"


def _version(
    model: ModelPortrait, version: VersionPortrait, features: Sequence[str], assumptions: list[str]
) -> list[str]:
    start = version.first_day
    matured = max(version.days - (model.label_days or 0), 0)
    end = start + timedelta(days=reference_days(matured))
    trained = start - timedelta(days=WINDOW_DAYS)
    assumptions.append(
        f"models/{model.key}.yml: version {version.key} is compared with its own {_period(start, end)}, and was "
        "trained in the four weeks before"
    )
    return [
        f"  {_scalar(version.key, quote=True)}:",
        f"    description: Imported, {version.rows} requests. Say what is in it.",
        f"    features: [{', '.join(map(_scalar, features))}]",
        f"    trained: {{start: {_day(trained)}, end: {_day(start)}}}    # assumed: the four weeks before",
        f"    reference: {{start: {_day(start)}, end: {_day(end)}}}    # assumed: its first whole days, in weeks",
    ]


def _metrics(models: Sequence[ModelPortrait], assumptions: list[str]) -> str:
    """`metrics.yml`: what the data allow, with thresholds in proportion to what is there."""
    labelled = [model for model in models if model.labels]
    rate, brier = _mean([model.label_mean for model in labelled]), _mean([model.brier for model in labelled])
    gap = _rounded(min(0.02, 0.1 * rate)) if rate else 0.02
    metrics: dict[str, dict[str, str | float]] = {
        "brier": {
            "name": "Brier score",
            "description": "Mean squared difference between score and label.",
            "kind": "brier",
            "direction": "decrease",
            "practical_threshold": _rounded(0.05 * brier) if brier else 0.005,
            "role": "loss",
        },
        "calibration": {
            "name": "Calibration",
            "description": "Mean label minus mean score; above 0, it happened more often than the model said.",
            "kind": "calibration",
            "unit": "probability",
            "direction": "toward_zero",
            "practical_threshold": gap,
            "role": "quality",
        },
        "auc": {
            "name": "AUC",
            "description": "The probability that a request with label 1 scored higher than one with label 0.",
            "kind": "auc",
            "unit": "probability",
            "direction": "increase",
            "practical_threshold": 0.02,
            "role": "quality",
        },
        "label_share": _column_metric("Share of yes", "Share of the labelled requests with label 1.", "label", gap)
        | {"kind": "proportion", "unit": "share"},
        "error_rate": _column_metric("Errors", "Share of the requests that failed.", "error", 0.01)
        | {"kind": "proportion", "unit": "share", "direction": "decrease", "role": "operation"},
    }
    latency = _mean([model.latency_ms for model in models])
    if latency is not None:
        tenth = _rounded(0.1 * latency) or 1.0
        metrics["latency"] = _column_metric("Latency", "Mean time that an answer took.", "latency_ms", tenth) | {
            "unit": "ms",
            "direction": "decrease",
            "role": "operation",
        }
    _add_inputs(metrics, models, assumptions)
    lines = [
        "# Proposed by 'toolkit init --from'. Each practical_threshold is assumed, in proportion to the data:",
        "# put in the smallest change that somebody would act on. 'toolkit metrics' lists them.",
        "metrics:",
    ]
    for key, facts in metrics.items():
        lines.append(f"  {_scalar(key)}:")
        lines += [f"    {name}: {_scalar(value) if isinstance(value, str) else value}" for name, value in facts.items()]
        lines.append(f"    owner: {UNNAMED_OWNER}")
    return "\n".join(lines) + "\n"


def _column_metric(name: str, description: str, column: str, threshold: float) -> dict[str, str | float]:
    """The mean of a column, as an input that may drift."""
    return {
        "name": name,
        "description": description,
        "kind": "mean",
        "column": column,
        "unit": "",
        "direction": "none",
        "practical_threshold": threshold,
        "role": "input",
    }


def _add_inputs(
    metrics: dict[str, dict[str, str | float]], models: Sequence[ModelPortrait], assumptions: list[str]
) -> None:
    """The means of the first columns of numbers, as metrics."""
    numbers = {number.name: number for model in models for number in model.numbers}
    for number in list(numbers.values())[:_MOST_INPUTS]:
        key = _metric_key(number.name, metrics)
        description = f"Mean of the column {number.name}, an input."
        # A metric's column may be an expression: a name that is not one word is quoted, or "a-b" would be a difference.
        column = number.name if number.name.isidentifier() else named(number.name)
        metrics[key] = _column_metric(number.name, description, column, _rounded(0.25 * number.sd))
    assumptions.append(
        "metrics.yml: a change is worth acting on from a twentieth of the Brier score, a tenth of the share of yes (at "
        "most 0.02) and of the latency, and a quarter of an input's standard deviation"
    )
    if len(numbers) > _MOST_INPUTS:
        rest = ", ".join(list(numbers)[_MOST_INPUTS:])
        assumptions.append(f"metrics.yml: {_MOST_INPUTS} of {len(numbers)} inputs are watched, and not {rest}")


def _metric_key(column: str, taken: Collection[str]) -> str:
    """A metric's key from the name of its column, in the form that metrics.yml allows, and none of those taken.

    >>> _metric_key("num__age", ()), _metric_key("Latency", ["latency", "latency_input"])
    ('num_age', 'latency_input_2')
    """
    words = re.sub(r"[\W_]+", "_", column.lower()).strip("_") or "input"
    endings = chain(["", "_input"], (f"_input_{number}" for number in count(2)))
    keys = (words[: LONGEST_KEY - len(ending)].rstrip("_") + ending for ending in endings)
    return next(key for key in keys if key not in taken)


def _teams(team: str, models: Sequence[str]) -> str:
    return (
        "# Proposed by 'toolkit init --from'. Who works on these models, and how much they can take on.\n"
        "teams:\n"
        f"  {_scalar(team)}:\n"
        f"    name: {_scalar(team)}\n"
        f"    owner: {UNNAMED_OWNER}\n"
        "    capacity_days: 10    # assumed: person-days that are free for improvements in one period\n"
        "    period_days: 14    # assumed\n"
        f"    models: [{', '.join(map(_scalar, models))}]\n"
        "    # What such work costs you, by kind (calibration, segment, metric_change); then reports say what fits:\n"
        "    # estimates:\n"
        "    #   calibration:\n"
        "    #     effort_days: {low: 1, likely: 2, high: 5}\n"
    )


def _mean(found: Sequence[float | None]) -> float | None:
    given = [value for value in found if value is not None]
    return sum(given) / len(given) if given else None


def _rounded(value: float) -> float:
    """A threshold in two significant digits.

    >>> _rounded(0.012345), _rounded(1234.5)
    (0.012, 1200.0)
    """
    return float(f"{value:.2g}")


def _period(start: datetime, end: datetime) -> str:
    return f"{start:%Y-%m-%d} … {end - timedelta(days=1):%Y-%m-%d}"


def _day(instant: datetime) -> str:
    return f'"{instant:%Y-%m-%d}"'


def _scalar(text: str, *, quote: bool = False) -> str:
    """A text as YAML has it: plain where that is safe, else in double quotes, which JSON's are.

    >>> _scalar("region"), _scalar("no"), _scalar("due on")
    ('region', '"no"', '"due on"')
    """
    plain = _PLAIN.fullmatch(text) and text not in _WORDS_OF_YAML and not quote
    return text if plain else json.dumps(text, ensure_ascii=False)
