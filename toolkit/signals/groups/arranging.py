"""From what the stages found to signal groups: harm, links, state, hints, and the order of the lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.metrics import load_objectives
from toolkit.metrics.marks import Mark, list_marks
from toolkit.metrics.touched import Touched, count_touched
from toolkit.signals.groups.grouping import Linked, group_linked, split_conditions
from toolkit.signals.groups.groups import SignalGroups
from toolkit.signals.groups.harm import Harm, HarmScale, measure_harm
from toolkit.signals.groups.hints import BEFORE_DAYS, find_beginning, find_hints
from toolkit.signals.groups.looked import Looked
from toolkit.signals.groups.memory import GroupRule, load_group_rules
from toolkit.signals.groups.signal_group import SignalGroup
from toolkit.signals.lifecycle.history import NEVER_SEEN, SignalHistory, Standing, load_history
from toolkit.signals.observation import Observation
from toolkit.signals.signal import Signal, kind_of
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.data import Source
    from toolkit.workspace import Workspace

_ROUNDING = 0.01
"""A stage's requests a week are those of its segment when they agree as far as this; else only some of them."""

_ALIKE = 0.25
"""Windows whose lengths differ by no more than this share are alike: those of calendar months are."""


def group_signals(workspace: Workspace, source: Source, observed: Observation, *stages: Any) -> SignalGroups:
    """What the stages found about a model, as signal groups with their harm, their state, and hints.

    Parameters
    ----------
    observed: the model, and the window and the instant of the report.
    stages: results with `signals`; what one of them refused to judge is not called recovered, see `Looked`.

    Raises `DefinitionError`, `ContractError`, `LedgerError`.
    """
    model, window, as_of = observed.model, observed.window, observed.as_of
    signals = [signal for stage in stages for signal in stage.signals]
    before = Window(window.start - timedelta(days=BEFORE_DAYS), max(window.end, as_of))
    return arrange_groups(
        _with_touched(source, observed, signals),
        scale=_scale(workspace, observed),
        observed=Looked.at(observed, stages),
        owners={feature.name: feature.owner for feature in model.features},
        rules=load_group_rules(workspace, model.key),
        marks=list_marks(source, model=model.key, window=before, as_of=as_of).marks,
        history=load_history(workspace, model.key),
    )


def arrange_groups(
    signals: Sequence[Signal],
    *,
    scale: HarmScale,
    observed: Looked,
    owners: Mapping[str, str],
    rules: Sequence[GroupRule],
    marks: Sequence[Mark],
    history: SignalHistory,
) -> SignalGroups:
    """Signals as groups; everything that was read is given. See `group_signals`."""
    signals = list({signal.key: signal for signal in reversed(signals)}.values())[::-1]  # of one key the first
    standings = history.before(observed.as_of)
    days = observed.window.first_day, observed.window.last_day
    harms = {signal.key: measure_harm(signal, scale) for signal in signals}
    groups = [
        _arrange(each, signals, harms=harms, standings=standings, days=days, marks=marks, as_of=observed.as_of)
        for each in group_linked(signals, owners=owners, rules=rules)
    ]
    groups.sort(key=lambda group: (group.state == "muted", -group.severity, *_by_size(group), group.key))
    return SignalGroups(
        model=observed.model,
        window=observed.window.label,
        window_days=round(observed.window.days),
        as_of=observed.as_of,
        groups=tuple(groups),
        recovered=_find_recovered(standings, observed, harms),
        looked_at=observed.kinds,
        refused=observed.refused,
    )


def _arrange(
    linked: Linked,
    signals: Sequence[Signal],
    *,
    harms: Mapping[str, Harm],
    standings: Mapping[str, Standing],
    days: tuple[date, date],
    marks: Sequence[Mark],
    as_of: datetime,
) -> SignalGroup:
    own = {signal.key for signal in linked.signals}
    ordered = sorted(
        linked.signals,
        key=lambda signal: (
            -harms[signal.key].severity,
            signal.verdict == "changed",
            -signal.times_threshold,
            signal.key,
        ),
    )
    beginning = find_beginning(ordered, *days)
    others = [signal for signal in signals if signal.key not in own]
    return SignalGroup(
        signals=tuple(ordered),
        harms={signal.key: harms[signal.key] for signal in ordered},
        standings={signal.key: standings.get(signal.key, NEVER_SEEN) for signal in ordered},
        why_merged=linked.why_merged,
        beginning=beginning,
        hints=find_hints(ordered, beginning, marks=marks, others=others),
        as_of=as_of,
    )


def _find_recovered(
    standings: Mapping[str, Standing], observed: Looked, present: Collection[str]
) -> dict[str, datetime]:
    """The signals that were there, were looked for now in a window of about the same length, and are gone."""
    return {
        key: standing.last_seen
        for key, standing in sorted(standings.items())
        if standing.active
        and key not in present
        and key not in observed.unjudged
        and standing.last_seen is not None
        and kind_of(key) in observed.kinds
        and any(abs(observed.window.days - days) <= _ALIKE * days for days in standing.looked_in)
    }


def _scale(workspace: Workspace, observed: Observation) -> HarmScale:
    model = observed.model
    budgets = {key: objective.budget for key, objective in load_objectives(workspace).items()}
    return HarmScale(
        observed.metrics[model.loss].practical_threshold,
        observed.requests_per_week,
        model.loss_value,
        {key: budget.period_days for key, budget in budgets.items() if budget is not None},
    )


def _with_touched(source: Source, observed: Observation, signals: Sequence[Signal]) -> list[Signal]:
    """The signals with who is touched, where a stage did not count it: one query over their segments."""
    conditions = {
        signal.segment: found
        for signal in signals
        if _is_uncounted(signal) and (found := split_conditions(signal.segment)) is not None
    }
    counted = count_touched(
        source, observed.model, list(conditions.values()), window=observed.window, as_of=observed.as_of
    )
    touched = dict(zip(conditions, counted, strict=True))
    return [_fill(signal, touched.get(signal.segment)) if _is_uncounted(signal) else signal for signal in signals]


def _is_uncounted(signal: Signal) -> bool:
    return signal.family != "governance" and signal.units_per_week is None


def _fill(signal: Signal, touched: Touched | None) -> Signal:
    if touched is None:
        return signal
    requests = signal.requests_per_week
    if requests is None:
        return replace(signal, requests_per_week=touched.requests_per_week, units_per_week=touched.units_per_week)
    same = abs(requests - touched.requests_per_week) <= _ROUNDING * touched.requests_per_week
    return replace(signal, units_per_week=touched.units_per_week) if same else signal


def _by_size(group: SignalGroup) -> tuple[bool, float]:
    """Behind severity: what is worse before what merely changed, then by how far it moved."""
    return group.signals[0].verdict == "changed", -group.times_threshold
