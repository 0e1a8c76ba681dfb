"""Performance before labels are there: an estimate that shows what it rests on, and abstains when that does not hold.

Of the days whose labels are not mature, calibrated scores let expect an accuracy, F1, AUC and Brier score. How far such
an expectation is off cannot be told from scores. So the same estimate is made for earlier windows, whose labels are
there now, and its interval is made of how far it was off then; and an assumption panel looks at the freshest labels.
Nothing is published when a line of the panel fails. As soon as a hundred of the window's own labels are there, a
prediction-powered interval takes their word instead, and a label budget says what a narrower one would cost.

What changed after the last mature label, no estimate without labels can show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from toolkit import stats
from toolkit.checks import check_at_least
from toolkit.data import ModelDefinition, Source, serving_version
from toolkit.data.versions import defined_version
from toolkit.metrics import MetricDefinition, Population, label_arrival, load_metrics
from toolkit.signals.label_free.assumptions import Drift, judge_assumptions
from toolkit.signals.label_free.basis import Basis, Quantity, outside_share
from toolkit.signals.label_free.powered import (
    early_labels_differ,
    powered_estimate,
    residual_variance,
    why_not_random,
)
from toolkit.signals.label_free.predictions import PREDICTIONS
from toolkit.signals.label_free.result import EstimatedQuantity, LabelFree
from toolkit.signals.label_free.scores import SCORES
from toolkit.signals.label_free.trials import Plan, Trial, try_earlier, within
from toolkit.signals.observation import Observation
from toolkit.windows import Window, parse_instant, start_of_day

CALIBRATION_DAYS = 28
"""Days of labels, the last that are mature, by which answers are calibrated."""

HISTORY_DAYS = 365
"""How far back the estimate is tried on earlier windows."""

BUDGET_WIDTHS = (0.1, 0.05)
"""Widths of an interval of the accuracy, from end to end, whose price in labels is told."""

_REFERENCE_METHOD = "labels of the reference period; jackknife of days"


def estimate_performance(
    source: Source,
    observed: Observation,
    *,
    window_days: int | None = None,
    calibration_days: int = CALIBRATION_DAYS,
    history_days: int = HISTORY_DAYS,
) -> LabelFree:
    """Estimate the performance on the last days, whose labels are not mature, of the version that served most of them.

    Parameters
    ----------
    window_days: whole days before the observation's `as_of`; None: as many as the model's label takes to mature.
    calibration_days: scores are calibrated by the labels of so many days, the last that are mature.
    history_days: how far back the estimate is tried on earlier windows.

    Raises `ArgumentError`, `Skipped` when nothing was served then, `ContractError`. That there is no estimate is no
    error: the result says why.
    """
    look = _look(
        source,
        observed.model,
        observed.metrics,
        observed.as_of,
        SCORES,
        window_days=window_days,
        calibration_days=calibration_days,
        history_days=history_days,
    )
    return look.estimate(observed.labels.provisional)


def estimate_errors(
    source: Source,
    model: ModelDefinition,
    *,
    as_of: str = "",
    window_days: int | None = None,
    calibration_days: int = CALIBRATION_DAYS,
    history_days: int = HISTORY_DAYS,
) -> LabelFree:
    """Estimate the errors of a regressor on the last days, whose labels are not mature: bias, mean size, mean square.

    What labels showed at each level of the prediction is expected of the present mix of levels. That sees less than
    scores do, and the intervals say so: they are made of how far it was off before. Parameters and errors are those of
    `estimate_performance`.

    Parameters
    ----------
    as_of: ISO instant; empty for the last day complete in the data.
    """
    instant = parse_instant(as_of) if as_of else source.complete_through()
    metrics = load_metrics(source.workspace)
    look = _look(
        source,
        model,
        metrics,
        instant,
        PREDICTIONS,
        window_days=window_days,
        calibration_days=calibration_days,
        history_days=history_days,
    )
    reference = Population("reference", look.version, look.reference, served_only=False)
    calibrating = Population("calibrating", look.version, look.plan.calibrating(look.window), served_only=False)
    arrival = label_arrival(source, model, reference=reference, population=calibrating, as_of=instant)
    return look.estimate(arrival.provisional)


def _look(
    source: Source,
    model: ModelDefinition,
    metrics: Mapping[str, MetricDefinition],
    instant: datetime,
    basis: Basis,
    *,
    window_days: int | None,
    calibration_days: int,
    history_days: int,
) -> _Look:
    waits = model.label.maturity_days
    days = waits if window_days is None else check_at_least("window_days", window_days, 1)
    check_at_least("calibration_days", calibration_days, 1)
    check_at_least("history_days", history_days, 1)
    window = Window.last_days(max(int(days), 1), before=instant)
    version, _ = serving_version(source, model=model.key, window=window, as_of=instant)
    defined_version(source, model, version)
    mature = start_of_day(instant - timedelta(days=waits))
    plan = Plan(timedelta(days=window.days), max(window.start - mature, timedelta(0)), timedelta(days=calibration_days))
    loss = metrics[model.loss].kind if model.loss in metrics else ""
    thresholds = {metric.kind: metric.practical_threshold for metric in metrics.values() if not metric.filter}
    at_once = waits == 0 and window_days is None
    return _Look(source, model, instant, basis, window, version, plan, history_days, loss, thresholds, at_once)


@dataclass(frozen=True)
class _Look:
    """One estimate being made."""

    source: Source
    model: ModelDefinition
    as_of: datetime
    basis: Basis
    window: Window
    version: str
    plan: Plan
    history_days: int
    loss: str
    thresholds: Mapping[str, float]
    at_once: bool

    @property
    def mature_until(self) -> datetime:
        """The end of the days that may calibrate: their labels are mature."""
        return self.window.start - self.plan.gap

    @property
    def reference(self) -> Window:
        """The reference period of the version."""
        return self.model.version(self.version).reference.window

    @property
    def history_start(self) -> datetime:
        """The start of the days with mature labels that are read."""
        return max(self.reference.start, self.mature_until - timedelta(days=self.history_days))

    def nothing(self, reason: str, *, requests: int = 0, labels: int = 0) -> LabelFree:
        return LabelFree(
            self.basis,
            self.window,
            self.version,
            self.loss,
            requests,
            labels,
            (self.mature_until - timedelta(days=1)).date(),
            (),
            (),
            (),
            (),
            reason,
        )

    def estimate(self, labels_arrive: str) -> LabelFree:
        if self.at_once:
            return self.nothing("its labels are there on the day of the request")
        if self.history_start >= self.mature_until:
            return self.nothing(
                f"no day of version {self.version} has mature labels since its reference period began, on "
                f"{self.reference.start:%Y-%m-%d}"
            )
        history = Window(self.history_start, self.mature_until)
        populations = [
            Population("reference", self.version, self.reference, served_only=False),
            Population("history", self.version, history, served_only=False),
            Population("window", self.version, self.window, served_only=True),
        ]
        cells = self.basis.collect(self.source, self.model, populations, as_of=self.as_of)
        now = cells["window"]
        if not now.requests:
            return self.nothing(f"no answered request is {self.basis.words.answered}")
        calibrating = within(cells["history"], self.plan.calibrating(self.window))
        curve, then = self.basis.calibrate(calibrating), self.basis.calibrate(cells["reference"])
        if curve is None or then is None:
            of = self.plan.calibrating(self.window).label if curve is None else self.reference.label
            reason = f"the labels of {of} are too few, or all alike, to calibrate {self.basis.words.answers} by"
            return self.nothing(reason, requests=now.requests, labels=now.labels)
        trials = try_earlier(self.basis, cells["history"], self.window, self.plan, reference=then, known_from=history)
        return self._judge(cells, calibrating, curve, trials, labels_arrive)

    def _judge(
        self, cells: Mapping[str, Any], calibrating: Any, curve: Any, trials: Sequence[Trial], labels_arrive: str
    ) -> LabelFree:
        basis, now = self.basis, cells["window"]
        panel = judge_assumptions(
            basis,
            trials,
            outside=outside_share(now, curve),
            drift=Drift.of(now, calibrating),
            labels_arrive=labels_arrive,
        )
        failing = [f"{line.name} {line.verdict}" for line in panel if not line.holds]
        abstains = f"abstained: {'; '.join(failing)}" if failing else ""
        refused = self._why_labels_are_refused(now, cells["history"])
        expected, chance = basis.expect(now, curve), basis.chance(now, curve)
        spread = spread_by_level(basis, now, curve, trials)
        estimates = [
            EstimatedQuantity(
                quantity,
                estimate_by_trials(
                    quantity, expected, chance, trials, spread=spread, abstains=abstains, n=now.requests
                ),
                powered_estimate(basis, quantity, now, curve, refused=refused),
                _realised_by_day(basis, quantity, cells["reference"]),
                self.thresholds.get(quantity.key),
            )
            for quantity in basis.quantities
        ]
        adjusted = stats.adjust_p([each.change.p_value for each in estimates], "benjamini-hochberg")
        return replace(
            self.nothing("", requests=now.requests, labels=now.labels),
            estimates=tuple(replace(each, p_adjusted=p) for each, p in zip(estimates, adjusted, strict=True)),
            panel=panel,
            trials=tuple(trials),
            budgets=_budgets(basis, calibrating, curve, requests=now.requests),
        )

    def _why_labels_are_refused(self, now: Any, history: Any) -> str:
        """Why the labels that the window has already are no random part of it, or ""."""
        if now.labels < stats.FEWEST_LABELS:
            return ""
        return why_not_random(now, answer=self.basis.words.answers) or self._early(history)

    def _early(self, history: Any) -> str:
        """Whether early labels said something else than later ones, on the last window whose labels are mature."""
        earlier = Window(max(self.history_start, self.mature_until - self.plan.length), self.mature_until)
        population = Population("earlier", self.version, earlier, served_only=False)
        as_of = self.as_of - (self.window.end - earlier.end)
        early = self.basis.collect(self.source, self.model, [population], as_of=as_of)["earlier"]
        return early_labels_differ(self.basis, early, within(history, earlier))


def estimate_by_trials(
    quantity: Quantity,
    expected: Any,
    chance: Any,
    trials: Sequence[Trial],
    *,
    spread: Mapping[str, float],
    abstains: str,
    n: int,
) -> stats.Estimate:
    """The estimate of one quantity with an interval of its misses in earlier windows, or why there is none.

    Parameters
    ----------
    expected, chance: what is expected of the window, and its errors by chance alone. spread: by quantity, how far the
        usual miss of the level moves it; a quantity that happened to come out well may not be surer than that.
    abstains: why not, or "". n: requests of the window.
    """

    def absent(reason: str) -> stats.Estimate:
        return stats.Estimate.absent(reason, n=n, method=stats.MISSES_METHOD)

    key = quantity.key
    if abstains:
        return absent(abstains)
    value = getattr(expected, key)
    if value is None:
        return absent("no request has what it is made of")
    misses = [miss for miss in (trial.miss(key) for trial in trials) if miss is not None]
    least = [getattr(trial.least, key) or 0.0 for trial in trials]
    found = stats.stands_out(misses, least_se=least[-1] if least else 0.0)
    if found.stands_out:
        return absent(
            f"abstained: on the last window with labels it was off by {abs(misses[-1]):.3g}, more than in those before"
        )
    own = getattr(chance, key) or 0.0
    return stats.from_misses(
        value,
        misses,
        n=n,
        least_se=max(own, spread.get(key, 0.0)),
        added_variance=own**2 - sum(each**2 for each in least) / max(len(least), 1),
        within=quantity.within,
    )


def spread_by_level(basis: Basis, now: Any, curve: Any, trials: Sequence[Trial]) -> dict[str, float]:
    """By quantity, half of what it moves by when the level is off by its usual miss, up or down."""
    misses = [trial.miss(basis.level) or 0.0 for trial in trials]
    level = getattr(basis.expect(now, curve), basis.level)
    if not misses or level is None:
        return {}
    usual = math.sqrt(sum(miss**2 for miss in misses) / len(misses))
    high, low = (basis.expect(now, basis.moved(curve, now, level + by)) for by in (usual, -usual))
    ends = {quantity.key: (getattr(high, quantity.key), getattr(low, quantity.key)) for quantity in basis.quantities}
    return {key: abs(up - down) / 2 for key, (up, down) in ends.items() if up is not None and down is not None}


def _realised_by_day(basis: Basis, quantity: Quantity, cells: Any) -> stats.Estimate:
    """A quantity by labels, with an error by leaving out one day after the other (Efron 1982)."""
    import numpy as np

    value, days = getattr(basis.realise(cells), quantity.key), np.unique(cells.day[cells.labelled > 0])
    if value is None:
        return stats.Estimate.absent("no request has a label", n=cells.labels, method=_REFERENCE_METHOD)
    left_out = [getattr(basis.realise(cells.without_day(day)), quantity.key) for day in days]
    if days.size < 2 or any(each is None for each in left_out):
        reason = "no interval: it needs two days with labels"
        return stats.Estimate.alone(value, n=cells.labels, method=_REFERENCE_METHOD, reason=reason)
    influences = (np.mean(left_out) - np.array(left_out)) * (days.size - 1) / days.size
    return stats.from_influence(value, influences, cells.labels, _REFERENCE_METHOD, scale=1.0, within=quantity.within)


def _budgets(basis: Basis, cells: Any, curve: Any, *, requests: int) -> tuple[stats.LabelBudget, ...]:
    variance = residual_variance(basis, basis.budget, cells, curve) if basis.budget else None
    if variance is None:
        return ()
    found = (stats.label_budget(width, residual_variance=variance) for width in BUDGET_WIDTHS)
    too_few = f"the window has only {requests:,} requests"
    return tuple(
        each._replace(labels=None, reason=too_few) if each.labels and each.labels > requests else each for each in found
    )
