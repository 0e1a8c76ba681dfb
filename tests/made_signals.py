"""Made-up signals, and the groups that they make: what was read of a model is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from toolkit.metrics.marks import Mark
from toolkit.signals.groups.arranging import arrange_groups
from toolkit.signals.groups.groups import SignalGroups
from toolkit.signals.groups.harm import HarmScale
from toolkit.signals.groups.looked import Looked
from toolkit.signals.groups.memory import GroupRule
from toolkit.signals.lifecycle.history import SignalHistory
from toolkit.signals.signal import Kind, Signal
from toolkit.stats import Estimate, from_standard_error
from toolkit.windows import Window, parse_instant

WINDOW = Window.of("2013-04-03", "2013-05-01")
AS_OF = parse_instant("2013-05-01")
SCALE = HarmScale(loss_threshold=0.005, requests_per_week=7000.0)
"""35 units of newly excess loss a week are one tolerance."""
OWNERS = {"temp_f": "weather", "humidity": "weather", "dest": "schedules"}


def estimate(value: float, se: float = 1.0) -> Estimate:
    return from_standard_error(value, se, n=1000, method="made up", null=0.0)


def signal(kind: Kind, metric: str, **given: Any) -> Signal:
    """A signal of a metric over the whole window, without a measured loss unless `loss` gives one."""
    loss = given.pop("loss", None)
    facts: dict[str, Any] = {
        "kind": kind,
        "metric": metric,
        "segment": "",
        "name": metric,
        "window": WINDOW.label,
        "verdict": "worse",
        "change": estimate(3.0),
        "unit": "",
        "times_threshold": 3.0,
        "excess_loss_per_week": None if loss is None else estimate(loss, given.pop("loss_se", abs(loss) / 10)),
        "no_loss_reason": "" if loss is not None else "its share in the loss was not measured",
        "text": f"{metric} deviated",
        "family": "model",
        "first_day": date(2013, 4, 3),
        "last_day": date(2013, 4, 30),
    }
    return Signal(**facts | given)


def calibration(loss: float = 350.0, **given: Any) -> Signal:
    return signal("calibration", "calibration", loss=loss, text="scores are 3.2 % too low on average", **given)


def segment(where: str, loss: float, **given: Any) -> Signal:
    return signal("segment", "brier", segment=where, name=where, loss=loss, text=f"the loss of {where} rose", **given)


def drift(column: str, **given: Any) -> Signal:
    facts: dict[str, Any] = {"times_threshold": 80.0, "verdict": "changed", "p_adjusted": 1e-9}
    facts |= {"family": "inputs", "columns": (column,), "text": f"{column} moved"}
    return signal("drift", column, **facts | given)


def arrange(
    *signals: Signal,
    rules: Sequence[GroupRule] = (),
    marks: Sequence[Mark] = (),
    history: SignalHistory | None = None,
    kinds: frozenset[Kind] | None = None,
    refused: tuple[str, ...] = (),
    scale: HarmScale = SCALE,
    owners: Mapping[str, str] = OWNERS,
    as_of: str = "2013-05-01",
) -> SignalGroups:
    """The signals as a report as of an instant shows them; its window is always the same 28 days."""
    looked = kinds if kinds is not None else frozenset(each.kind for each in signals)
    return arrange_groups(
        signals,
        scale=scale,
        observed=Looked("delay", WINDOW, parse_instant(as_of), looked, refused),
        owners=owners,
        rules=rules,
        marks=marks,
        history=history or SignalHistory("delay", ()),
    )
