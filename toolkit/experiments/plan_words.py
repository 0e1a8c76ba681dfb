"""An experiment plan in words, rows and a table: what `ExperimentPlan` shows of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.display import format_instant_day
from toolkit.experiments.changes import format_change
from toolkit.experiments.edits import plan_document
from toolkit.records import ResultRow, Value
from toolkit.windows import format_instant

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan

RULES = {
    "superior_and_not_inferior": "ship if the primary metric is better and no guardrail can be worse by its margin",
    "not_inferior": "ship if neither the primary metric nor a guardrail can be worse by its margin",
}
"""The decision rules and what they say."""

KINDS = {"ab": "A/B test", "holdout": "Holdout", "shadow": "Shadow deployment"}
"""The kinds of experiments and what they are called."""


def plan_text(plan: ExperimentPlan) -> str:
    """The plan in one paragraph: what is always so, then what was promised beyond it."""
    rule = plan.assignment
    shares = " : ".join(f"{name} {weight}" for name, weight in plan.weights.items())
    shadow = plan.kind == "shadow"
    confidence = 100 * plan.confidence_of_a_comparison
    held = "; ".join(f"{guardrail.metric} by {guardrail.margin:g}" for guardrail in plan.guardrails)
    parts = [
        f"{plan.hypothesis.rstrip('.')}.",
        f"{KINDS[plan.kind]} of model {plan.model}, {plan.window.window.label}.",
        f"Every version scores every request; {plan.control} serves it."
        if shadow
        else f"Variants by {rule.hash} {rule.version} of {plan.unit} with key {rule.key!r}: {shares}.",
        *([f"Held out: {plan.control}."] if plan.kind == "holdout" else []),
        *([f"Only requests where {plan.eligible} count."] if plan.eligible else []),
        f"Primary metric: {plan.primary}{_promised(plan)}.",
        f"Guardrails may not get worse: {held}." if held else "There are no guardrails.",
        *_beyond(plan),
        f"Rule {plan.rule}: {RULES[plan.rule]}; {confidence:g} % intervals, {plan.analysis} analysis.",
    ]
    return " ".join(parts)


def _promised(plan: ExperimentPlan) -> str:
    """What the primary metric is expected to do."""
    planned = []
    if plan.planned_effect is not None:
        planned.append(f"powered at {plan.power:.0%} for an improvement of {plan.planned_effect:g}")
    if plan.smallest_effect is not None:
        planned.append(f"worth shipping from {plan.smallest_effect:g}")
    if plan.primary_margin is not None:
        planned.append(f"may not be worse by {plan.primary_margin:g}")
    return f", {', '.join(planned)}" if planned else ""


def _beyond(plan: ExperimentPlan) -> list[str]:
    """One sentence for each promise that not every plan makes."""
    quality = "; ".join(f"{each.metric} within {each.margin:g}" for each in plan.data_quality)
    budgets = "; ".join(f"{each.metric} {each.text}" for each in plan.budgets)
    unmet = ", ".join(each.name for each in plan.conditions if not each.met)
    groups = "; ".join(f"{each.label} ({each.why.rstrip('.')})" for each in plan.vulnerable)
    count = len(plan.treatments)
    said = {
        f"Must be the same in all variants: {quality}.": quality,
        f"Budgets of a treatment: {budgets}.": budgets,
        f"Conditions that are not met yet: {unmet}.": unmet,
        f"Adjusted for {', '.join(each.label for each in plan.covariates)}.": plan.covariates,
        f"Segments, fixed in advance: {', '.join(plan.segments)}.": plan.segments,
        f"Could be harmed, and watched by the guardrails: {groups}.": groups,
        f"{plan.design.text}": plan.design.text,
        f"Alpha is split over {count} treatments.": count > 1,
    }
    return [sentence for sentence, is_so in said.items() if is_so]


def plan_rows(plan: ExperimentPlan) -> Sequence[ResultRow]:
    """One row per promise; what a plan leaves open has no row."""
    window = plan.window.window.label

    def row(statistic: str, value: Value, *, key: str = "", segment: str = "", unit: str = "") -> ResultRow:
        return ResultRow(key or plan.key, statistic, value, segment=segment, window=window, unit=unit)

    optional: dict[str, Value] = {
        "origin": plan.origin,
        "eligible": plan.eligible,
        "flag": plan.flag,
        "planned_effect": plan.planned_effect,
        "smallest_effect": plan.threshold,
        "primary_margin": plan.primary_margin,
        "planned_units": plan.design.units,
        "digest": plan.digest,
    }
    return [
        row("hypothesis", plan.hypothesis),
        row("owner", plan.owner),
        row("kind", plan.kind),
        row("model", plan.model),
        row("privacy_class", plan.privacy_class),
        row("analysis", plan.analysis),
        row("assignment", f"{plan.assignment.hash}/{plan.assignment.version}/{plan.assignment.key}"),
        row("control", plan.control),
        *(row("weight", variant.weight, key=name) for name, variant in plan.variants.items()),
        *(row("version", variant.version, key=name) for name, variant in plan.variants.items()),
        *(
            row("configuration", f"{name} = {value}", key=variant_name)
            for variant_name, variant in plan.variants.items()
            for name, value in variant.configuration.items()
        ),
        *(row("role", plan.role(metric), key=metric) for metric in plan.metrics),
        *(row("margin", each.margin, key=each.metric) for each in (*plan.guardrails, *plan.data_quality)),
        *(row("budget", each.text, key=each.metric) for each in plan.budgets),
        *(row("cap", quantile, key=metric) for metric, quantile in plan.caps.items()),
        *(row("condition_met", each.met, key=each.name) for each in plan.conditions),
        *(row("covariate", each.label) for each in plan.covariates),
        *(row("segment", name) for name in plan.segments),
        *(
            row("watched_margin", guardrail.margin, key=guardrail.metric, segment=group.label)
            for group in plan.vulnerable
            for guardrail in plan.watched(group)
        ),
        row("alpha", plan.alpha),
        row("power", plan.power),
        row("sample_ratio_alpha", plan.sample_ratio_alpha),
        row("label_maturity_days", plan.label_maturity.days),
        row("minimum_label_share", plan.label_maturity.minimum_share),
        row("design", plan.design.kind),
        *([row("spending", plan.design.spending)] if plan.design.kind == "group_sequential" else []),
        *(row("planned_look", format_instant(instant)) for instant in plan.planned_looks),
        row("max_extension_days", plan.max_extension_days),
        row("rule", plan.rule),
        row("content_digest", plan.content_digest),
        row("plan_document", plan_document(plan)),
        *(row(name, value) for name, value in optional.items() if value not in (None, "")),
    ]


def plan_table(plan: ExperimentPlan) -> list[dict[str, str]]:
    """One line per variant, metric, look, group, limit and number of the plan."""
    lines = [*_variant_lines(plan), *_metric_lines(plan)]
    labels = f"{plan.label_maturity.minimum_share:.1%} known {plan.label_maturity.days} days after the window"
    lines.append(("labels", labels))
    if plan.kind != "shadow":
        lines.append(("sample ratio", f"refused below p = {plan.sample_ratio_alpha:g}"))
    lines += [("covariate", each.label) for each in plan.covariates]
    lines += [("segment", name) for name in plan.segments]
    for group in plan.vulnerable:
        watched = ", ".join(f"{each.metric} by {each.margin:g}" for each in plan.watched(group))
        lines.append((f"group {group.label}", f"{group.why.rstrip('.')}; watched: {watched}"))
    if plan.design.kind != "fixed":
        lines.append(("design", plan.design.text))
        lines += [(f"look {number}", format_instant_day(at)) for number, at in enumerate(plan.planned_looks, 1)]
    for condition in plan.conditions:
        state = "met" if condition.met else "NOT met"
        evidence = f" ({condition.evidence})" if condition.evidence else ""
        lines.append((f"condition {condition.name}", f"{state}: {condition.text}{evidence}"))
    return [{"what": what, "planned": planned} for what, planned in lines]


def _variant_lines(plan: ExperimentPlan) -> list[tuple[str, str]]:
    control = {"holdout": "held out", "shadow": "serves"}.get(plan.kind, "control")
    lines = []
    for name, variant in plan.variants.items():
        planned = [f"version {variant.version}"]
        if plan.kind != "shadow":
            planned.append(f"weight {variant.weight}")
        planned += [f"{key} = {value}" for key, value in variant.configuration.items()]
        lines.append((f"variant {name}" + (f" ({control})" if name == plan.control else ""), ", ".join(planned)))
    return lines


def _metric_lines(plan: ExperimentPlan) -> list[tuple[str, str]]:
    budgets = {each.metric: each.text for each in plan.budgets}
    lines = []
    for metric in plan.metrics:
        role, margin = plan.role(metric), plan.margin(metric)
        planned = [role.replace("_", " ")]
        if metric == plan.primary and plan.planned_effect is not None:
            planned.append(f"planned effect {plan.planned_effect:g}")
        if metric == plan.primary and plan.threshold is not None and plan.planned_effect is not None:
            planned.append(f"worth shipping from {plan.threshold:g}")
        if margin is not None:
            planned.append(f"margin {margin:g}")
        if metric in budgets:
            planned.append(f"budget {budgets[metric]}" if role != "budget" else budgets[metric])
        if metric in plan.caps:
            planned.append(f"also capped at its {plan.caps[metric]:g} quantile")
        lines.append((f"metric {metric}", ", ".join(planned)))
    return lines


def change_text(value: float, unit: str) -> str:
    """A margin or an effect with its unit, that of a share in percentage points.

    >>> change_text(0.01, "share"), change_text(5, "ms"), change_text(0.006, "nats")
    ('1 pp', '5 ms', '0.006 nats')
    """
    text = format_change(float(value), unit)
    return text if unit in {"", "share", "ms", "days"} else f"{text} {unit}"
