"""What effects read of `Units`, arranged from one row per request, so that a test can put the truth into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from toolkit import stats
from toolkit.experiments.units import Arrivals
from toolkit.metrics import KINDS, MetricDefinition
from toolkit.stats.joint_moments import JointMoments, joint_moments

START = date(2024, 3, 1)


def metric(**changes: Any) -> MetricDefinition:
    """A metric of which more is better."""
    values = {"name": "Metric", "description": "d", "owner": "Ada", "kind": "mean", "column": "value"}
    rest = {"direction": "increase", "practical_threshold": 1, "role": "loss"}
    given = values | rest | changes
    return KINDS[given["kind"]].model_validate(given)


@dataclass(frozen=True)
class ArrangedUnits:
    """Requests with columns unit, variant, one per metric, and where a test wants them `exposed_on` (a date), `since`
    (days), segments and one column per covariate (one value per unit, missing allowed). Every metric is a mean.
    """

    requests: pd.DataFrame
    metrics: Mapping[str, MetricDefinition]
    as_of: datetime = datetime(2024, 3, 20, tzinfo=UTC)
    covariates: tuple[str, ...] = ()
    caps: Mapping[str, float] = field(default_factory=dict)
    digest: str = ""

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(sorted(self.requests["exposed_on"].unique()))

    @property
    def since_days(self) -> tuple[int, ...]:
        return tuple(sorted(self.requests["since"].unique().tolist()))

    def segment_values(self, segment: str) -> tuple[str, ...]:
        return tuple(sorted(self.requests[segment].unique()))

    @cached_property
    def arrivals(self) -> Mapping[str, Arrivals]:
        units = self.requests.groupby("variant")["unit"].nunique()
        return {name: Arrivals(int(count), *[0] * (len(Arrivals._fields) - 1)) for name, count in units.items()}

    @cached_property
    def exposed_by_day(self) -> Mapping[tuple[str, date], int]:
        counts = self.requests.groupby(["variant", "exposed_on"])["unit"].nunique()
        return {key: int(count) for key, count in counts.items()}

    @cached_property
    def exposed_by_segment(self) -> Mapping[tuple[str, str, str], int]:
        names = [name for name in self.requests.columns if name.startswith("seg")]
        return {
            (name, value, variant): int(count)
            for name in names
            for (value, variant), count in self.requests.groupby([name, "variant"])["unit"].nunique().items()
        }

    @cached_property
    def missing_covariates(self) -> Mapping[tuple[str, str], int]:
        units = self.requests.drop_duplicates("unit")
        return {
            (label, variant): int(rows[label].isna().sum())
            for label in self.covariates
            for variant, rows in units.groupby("variant")
        }

    def samples(
        self,
        metric: str,
        treatment: str,
        *,
        segment: str = "",
        value: str = "",
        through_day: date | None = None,
        since_day: int | None = None,
        covariates: bool = False,
        capped: bool = False,
    ) -> stats.TwoSamples:
        rows = self.requests
        if segment:
            rows = rows[rows[segment] == value]
        if through_day is not None:
            rows = rows[rows["exposed_on"] <= through_day]
        if since_day is not None:
            rows = rows[rows["since"] == since_day]
        sides = [rows[rows["variant"] == name] for name in ("control", treatment)]
        moments = [self._moments(side, metric, covariates=covariates, capped=capped) for side in sides]
        share = self.metrics[metric].is_share
        return stats.TwoSamples(moments[0], moments[1], len(sides[0]), len(sides[1]), share=share)

    def _moments(self, rows: pd.DataFrame, metric: str, *, covariates: bool, capped: bool) -> JointMoments:
        _, first, unit = np.unique(rows["unit"].to_numpy(), return_index=True, return_inverse=True)
        sums = np.bincount(unit, rows[metric])
        columns = [np.minimum(sums, self.caps[metric]) if capped else sums, np.bincount(unit)]
        for label in self.covariates if covariates else ():
            known = rows[label].to_numpy()[first]
            columns += [np.nan_to_num(known), ~np.isnan(known)]
        return joint_moments(*(np.asarray(column, float) for column in columns))


def requests_of(control: Any, treatment: Any, *, per_unit: Any = None, **columns: Any) -> pd.DataFrame:
    """One request per unit with the values of two variants under every metric of the trial's plan."""
    both = np.concatenate([np.asarray(control, float), np.asarray(treatment, float)])
    names = ["control"] * len(control) + ["treatment"] * len(treatment)
    units = np.arange(len(both)) if per_unit is None else np.repeat(np.arange(len(per_unit)), per_unit)
    frame = pd.DataFrame({"unit": units, "variant": names, "exposed_on": START, "since": 0})
    for key in ("brier", "profit", "latency", "error_rate"):
        frame[key] = both
    return frame.assign(**columns)


def days_after(days: int) -> date:
    """A day of the trial's window."""
    return START + timedelta(days=days)
