"""A/A: the past split at random many times, as if it had been an experiment without a treatment.

Units are gathered in hash buckets once, in the engine; each split deals the buckets to the variants by their weights,
and every metric is tested as the readout would test it. Nothing was done to anybody, so a test at alpha must find
something in a share alpha of the splits; where it finds more, the readout would raise false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from typing_extensions import override

from toolkit.checks import check_at_least
from toolkit.data import Source
from toolkit.display import Picture
from toolkit.experiments.bucket_sums import BUCKETS, CLUSTER_BUCKETS, BucketSums, bucket_sums
from toolkit.experiments.unit_table import read_past
from toolkit.records import ResultRow, Shown, number_row
from toolkit.stats.estimate import critical_value
from toolkit.windows import Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.metrics import MetricDefinition

    Numbers = NDArray[np.float64]

BAND = 0.99
"""The share of false alarms of a test that is right lies in the band with this probability."""

UNEVEN_P = 0.001
"""Below this p the p-values are not even: a right test without an effect gives every p-value alike."""

_AT_ONCE = 250
"""Splits at a time: so much memory it takes and no more."""

FEWEST_UNITS = 2000
"""Fewer units are hardly split in as many ways as there are splits."""

_LIMITS = (
    "This shows whether the tests are right for these metrics, units and this traffic. It cannot show a wrong "
    "assignment, lost exposures or logs, how experiments meet, quantiles, adjusted or capped effects, or what a "
    "treatment does to the spread."
)

_SHADOW = "a shadow splits nobody: every version scores every request"

Status = Literal["passed", "alarming", "cautious", "absent"]


class SplitMetric(NamedTuple):
    """How often a metric raised a false alarm.

    Attributes
    ----------
    false_share: of the splits, those with p < alpha. evenness_p: of a Kolmogorov–Smirnov test that every p-value is
        alike. units: that were split.
    status: `alarming`: more false alarms than the band allows; `cautious`: fewer, or p-values that are not even.
    reason: why there is no number.
    """

    metric: str
    name: str
    false_share: float | None
    evenness_p: float | None
    units: int
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class SplitCheck(Shown):
    """The false alarms of experiments that never were; see `split_check`.

    Attributes
    ----------
    alpha: of a comparison. shares: of control and the treatment with the fewest units, among both.
    low, high: the band of false alarms that a right test stays in, as shares of the splits.
    p_values: by metric that could be tested, one per split.
    """

    nothing_to_draw: ClassVar[str] = "there is no past to split"

    experiment: str
    window: Window
    alpha: float
    splits: int
    shares: tuple[float, float]
    clustered: bool
    low: float
    high: float
    metrics: tuple[SplitMetric, ...]
    p_values: Mapping[str, Numbers]

    @property
    def passed(self) -> bool:
        """Whether something was tested and nothing raised more false alarms than it may."""
        return bool(self.p_values) and all(each.status != "alarming" for each in self.metrics)

    @property
    @override
    def text(self) -> str:
        if not self.p_values:
            return f"The past cannot be split: {self.metrics[0].reason}."
        alarming = [each.name for each in self.metrics if each.status == "alarming"]
        result = (
            f"More false alarms than that: {', '.join(alarming)}; intervals are too narrow there."
            if alarming
            else "No metric raised more."
        )
        units = max(each.units for each in self.metrics)
        groups = f"{CLUSTER_BUCKETS} buckets of clusters" if self.clustered else "units"
        return (
            f"The {units:,} units of {self.window.label} were split at random {self.splits:,} times, "
            f"{self.shares[0]:.0%} against {self.shares[1]:.0%} of {BUCKETS:,} buckets, and tested over {groups} at "
            f"alpha {self.alpha:g}. A right test raises a false alarm in {self.low:.1%} to {self.high:.1%} of them. "
            f"{result} {_LIMITS}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for each in self.metrics:
            where: dict[str, Any] = {"key": each.metric, "window": self.window.label}
            for statistic, value in (("false_alarm_share", each.false_share), ("evenness_p_value", each.evenness_p)):
                rows.append(number_row(value, each.reason, statistic=statistic, n=self.splits, **where))
            rows.append(ResultRow(statistic="split_status", value=each.status, n=each.units, **where))
        band = {"band_low_share": self.low, "band_high_share": self.high}
        rows += [ResultRow(self.experiment, name, value, window=self.window.label) for name, value in band.items()]
        return rows

    @override
    def to_table(self) -> list[dict[str, object]]:
        lines = [
            {
                "metric": each.name,
                "false_alarm_share": each.false_share,
                "allowed": f"{self.low:.1%} to {self.high:.1%}",
                "evenness_p_value": each.evenness_p,
                "status": each.status,
                "note": each.reason,
            }
            for each in self.metrics
        ]
        noted = any(line["note"] for line in lines)
        return [{name: value for name, value in line.items() if noted or name != "note"} for line in lines]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        from toolkit.experiments.power_curves import draw_splits

        return [draw_splits(self)] if self.p_values else []


def split_check(
    plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "", splits: int = 2000, weeks: int = 4
) -> SplitCheck:
    """Split the weeks before an experiment at random and count the false alarms of every metric.

    Units go to buckets by the MD5 of their ids, buckets to variants at random, seeded by what the plan says: the same
    plan over the same data gives the same splits. Of several treatments the one with the fewest units is tested.
    A plain analysis is Welch's test over units, a clustered one the cluster sandwich over buckets of clusters.

    Raises `ArgumentError` for fewer than 100 splits, and as `unit_table.read_past`.
    """
    import numpy as np

    check_at_least("splits", splits, 100)
    past = read_past(plan, source, as_of=as_of, weeks=weeks)
    alpha, shares = plan.alpha_of_a_comparison, _shares(plan)
    band = allowed_band(splits, alpha, BUCKETS)
    seed = int(plan.content_digest.removeprefix("sha256:")[:16], 16)
    found: dict[str, SplitMetric] = {}
    apart = plan.kind != "shadow"
    sums = bucket_sums(past.table) if past.table is not None and apart else {}
    tested = []
    for key in plan.metrics:
        metric = past.metrics[key]
        held = sums.get(key)
        reason = past.reason or (_unsplit(metric, held) if apart else _SHADOW)
        if reason:
            found[key] = SplitMetric(key, metric.name, None, None, held.units if held else 0, "absent", reason)
        else:
            tested.append(key)
    parts: dict[str, list[Numbers]] = {key: [] for key in tested}
    for control, treatment in deal(BUCKETS, splits, shares, seed=seed) if tested else ():
        for key in tested:
            parts[key].append(sums[key].p_values(control, treatment))
    p_values = {key: np.concatenate(each) for key, each in parts.items()}
    for key in tested:
        found[key] = _judged(key, past.metrics[key], sums[key].units, p_values[key], alpha, band)
    both = sum(shares)
    return SplitCheck(
        experiment=plan.key,
        window=past.window,
        alpha=alpha,
        splits=splits,
        shares=(shares[0] / both, shares[1] / both),
        clustered=plan.cluster is not None,
        low=band[0],
        high=band[1],
        metrics=tuple(found[key] for key in plan.metrics),
        p_values=p_values,
    )


def deal(buckets: int, splits: int, shares: tuple[float, float], *, seed: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Who gets which bucket, a few splits at a time: for control and treatment, splits × buckets of 1 and 0.

    Each bucket goes its own way, as each unit does in an experiment. The same seed deals the same.

    >>> (control, treatment), = deal(1000, 2, (0.5, 0.3), seed=1)
    >>> control.sum(axis=1).tolist(), treatment.sum(axis=1).tolist(), float((control * treatment).sum())
    ([507.0, 495.0], [313.0, 279.0], 0.0)
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    for start in range(0, splits, _AT_ONCE):
        drawn = rng.random((min(_AT_ONCE, splits - start), buckets))
        yield (drawn < shares[0]).astype("float64"), (drawn >= 1 - shares[1]).astype("float64")


def allowed_band(splits: int, alpha: float, buckets: int) -> tuple[float, float]:
    """The false alarms, as a share, that a right test stays within with probability `BAND`.

    Binomial, and wider by what dealing buckets instead of units makes of the variance: see `bucket_sums.BUCKETS`.

    >>> low, high = allowed_band(2000, 0.05, 4096)
    >>> round(low, 4), round(high, 4)
    (0.0359, 0.0641)
    """
    from scipy import stats

    z = critical_value(1 - alpha)
    noise = z * float(stats.norm.pdf(z)) * math.sqrt(2 / buckets)  # of the share, from that of ln variance
    half = critical_value(BAND) * math.hypot(math.sqrt(alpha * (1 - alpha) / splits), noise)
    return max(alpha - half, 0.0), alpha + half


def _shares(plan: ExperimentPlan) -> tuple[float, float]:
    """Of all units: the control's and the smallest treatment's."""
    weights = plan.weights
    total = sum(weights.values())
    return weights[plan.control] / total, min(weights[name] for name in plan.treatments) / total


def _unsplit(metric: MetricDefinition, held: BucketSums | None) -> str:
    """Why a metric's past is not split, or ""."""
    if held is None:
        return f"{metric.kind} is no ratio of sums, and buckets of it do not add up"
    if held.units < FEWEST_UNITS:
        return f"too few units: {held.units:,} have a value, splits need {FEWEST_UNITS:,}"
    return "" if held.varies else "the observations do not vary: there is nothing to test"


def _judged(key: str, metric: MetricDefinition, units: int, p_values: Numbers, alpha: float, band: Any) -> SplitMetric:
    from scipy import stats

    share = float((p_values < alpha).mean())
    # Six digits: the last ones are how a machine adds up.
    evenness = float(f"{stats.kstest(p_values, 'uniform').pvalue:.6g}")
    status: Status = "passed"
    if share > band[1]:
        status = "alarming"
    elif share < band[0] or evenness < UNEVEN_P:
        status = "cautious"
    return SplitMetric(key, metric.name, share, evenness, units, status)
