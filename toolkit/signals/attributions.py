"""What the model's answers rest on, then and now: an explanation of other signals, never a signal of its own.

Attributions move with the inputs, harm or not: in a warm July temperature counts for nothing and the hour for more,
and the model is as good as in June. They stay still while what the scores mean changes. So there is no alarm here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.data import Source
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics.attribution_sums import AttributionDay, attribution_days
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.observation import Observation
from toolkit.signals.signal import Signal
from toolkit.windows import Window

_SHOWN = 12


@dataclass(frozen=True)
class FeatureShare:
    """A feature's share of all attributions (mean |value|) in both periods."""

    feature: str
    reference: float
    current: float

    @property
    def change(self) -> float:
        """Current minus reference."""
        return self.current - self.reference


@dataclass(frozen=True)
class AttributionShift(Shown):
    """How far the shares of the features moved, the furthest first.

    Attributes
    ----------
    compared_with: the days that the current window is compared with, and why these.
    shift: Σ |share now - share then|, with its interval. ndcg: how well the current order ranks the earlier shares.
    constant: features that say the same of every request, such as the model's base; they are left out.
    reason: why there is nothing to compare, or "".
    """

    nothing_to_draw: ClassVar[str] = "there are no attributions of both periods"

    window: str
    compared_with: str
    version: str
    requests: tuple[int, int]
    shift: stats.Estimate
    ndcg: float | None
    shares: tuple[FeatureShare, ...]
    constant: tuple[str, ...]
    reason: str

    @property
    def signals(self) -> tuple[Signal, ...]:
        """None, always: attributions explain, they do not alarm."""
        return ()

    @property
    @override
    def text(self) -> str:
        if self.reason:
            return f"What version {self.version} rests on is not compared: {self.reason}."
        moved = [share for share in self.shares if share.change]
        most = ", ".join(
            f"{share.feature} {format_number('share', share.reference, unit='share')} → "
            f"{format_number('share', share.current, unit='share')}"
            for share in moved[:3]
        )
        interval = format_interval("shift", self.shift.ci_lower, self.shift.ci_upper)
        return (
            f"Attributions of {self.requests[1]:,} requests of {self.window} against {self.requests[0]:,} of "
            f"{self.compared_with}: the shares of the features differ by {format_number('shift', self.shift.value)} "
            f"in all (L1, 0 to 2; 95 % interval {interval}; NDCG {format_number('ndcg', self.ndcg)}). "
            f"Most: {most or 'none'}. It explains what the model reads; it is no sign of harm."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": "attributions", "window": self.window, "comparison": self.compared_with}
        rows = [
            estimate_row(self.shift, statistic="l1_of_shares", **where),
            number_row(self.ndcg, self.reason or "nothing was attributed", statistic="ndcg", **where),
        ]
        for share in self.shares:
            segment = f"feature={share.feature}"
            for statistic, value in (("reference", share.reference), ("current", share.current)):
                rows.append(
                    ResultRow(statistic=f"{statistic}_share", value=value, segment=segment, unit="share", **where)
                )
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "feature": share.feature,
                "reference_share": share.reference,
                "current_share": share.current,
                "change_share": share.change,
            }
            for share in self.shares[:_SHOWN]
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not self.shares:
            return ()
        shown = self.shares[:_SHOWN]
        alt = "Share of the attributions by feature, then and now: " + "; ".join(
            f"{share.feature} {share.reference:.1%} → {share.current:.1%}" for share in shown
        )
        return (
            picture(
                lambda figure: _draw(figure, shown),
                name="attributions",
                alt=alt,
                height_inches=0.9 + 0.28 * len(shown),
            ),
        )


def attribution_shift(source: Source, observed: Observation) -> AttributionShift:
    """Compare the attributions of the current window with those of the reference period.

    Where the reference period has none, with those of as many days just before the window; the result says which.
    Raises `ContractError`.
    """
    window, model = observed.window, observed.model
    reference = model.version(observed.version).reference.window
    now = _read(source, observed, window)
    before = Window(window.start - timedelta(days=window.days), window.start)
    compared_with, then = f"the reference period, {reference.label}", _read(source, observed, reference)
    if now and not then:
        compared_with = f"the days before, {before.label} (the reference period has no attributions)"
        then = _read(source, observed, before)
    if not now or not then:
        missing = window.label if not now else f"{reference.label} and {before.label}"
        reason = (
            f"there are no attributions of version {observed.version} in {missing}"
            if "attributions" in source.tables
            else "the workspace has no table of attributions"
        )
        absent = stats.Estimate.absent(reason, n=0, method=stats.SHIFT_METHOD)
        return AttributionShift(
            window.label,
            compared_with,
            observed.version,
            (_requests(then), _requests(now)),
            absent,
            None,
            (),
            (),
            reason,
        )
    return _compare(observed, then, now, compared_with)


def _read(source: Source, observed: Observation, window: Window) -> tuple[AttributionDay, ...]:
    return attribution_days(
        source, model=observed.model.key, version=observed.version, window=window, as_of=observed.as_of
    )


def _compare(
    observed: Observation, then: Sequence[AttributionDay], now: Sequence[AttributionDay], compared_with: str
) -> AttributionShift:
    import numpy as np

    features = sorted({cell.feature for cell in (*then, *now)})
    constant = tuple(feature for feature in features if _is_constant(feature, (*then, *now)))
    kept = [feature for feature in features if feature not in constant]
    tables = [_table(cells, kept) for cells in (then, now)]
    sums = [table.sum(axis=0) for table in tables]
    shift = (
        stats.share_shift(*tables)
        if kept
        else stats.Estimate.absent("no feature varies from request to request", n=0, method=stats.SHIFT_METHOD)
    )
    shares: list[FeatureShare] = []
    if kept and all(total.sum() > 0 for total in sums):
        pairs = zip(kept, *(total / total.sum() for total in sums), strict=True)
        shares = [FeatureShare(feature, float(before), float(after)) for feature, before, after in pairs]
        shares.sort(key=lambda share: (-abs(share.change), share.feature))
    ndcg = stats.attribution_ndcg(*sums) if shares else None
    reason = "" if shift.value is not None else shift.reason
    return AttributionShift(
        observed.window.label,
        compared_with,
        observed.version,
        (_requests(then), _requests(now)),
        shift,
        None if ndcg is None else float(np.round(ndcg, 12)),
        tuple(shares),
        constant,
        reason,
    )


def _is_constant(feature: str, cells: Sequence[AttributionDay]) -> bool:
    own = [cell for cell in cells if cell.feature == feature]
    return min(cell.lowest for cell in own) == max(cell.highest for cell in own)


def _requests(cells: Sequence[AttributionDay]) -> int:
    by_feature: dict[str, int] = {}
    for cell in cells:
        by_feature[cell.feature] = by_feature.get(cell.feature, 0) + cell.requests
    return max(by_feature.values(), default=0)


def _table(cells: Sequence[AttributionDay], features: Sequence[str]) -> Any:
    """Days × features of Σ |value|."""
    import numpy as np

    days = sorted({cell.day for cell in cells})
    table = np.zeros((len(days), len(features)))
    for cell in cells:
        if cell.feature in features:
            table[days.index(cell.day), features.index(cell.feature)] = cell.size_sum
    return table


def _draw(figure: Any, shares: Sequence[FeatureShare]) -> None:
    axes = figure.subplots()
    for place, share in enumerate(reversed(shares)):
        axes.plot([share.reference, share.current], [place, place], color=PALETTE[5], linewidth=2)
        axes.plot(share.reference, place, "o", color=PALETTE[4], markersize=5, label="then" if place == 0 else None)
        axes.plot(share.current, place, "o", color=PALETTE[0], markersize=5, label="now" if place == 0 else None)
    axes.set_yticks(range(len(shares)), [share.feature for share in reversed(shares)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlim(left=0)
    axes.set_xlabel("share of all attributions (an explanation, no sign of harm)")
    axes.legend(loc="lower right")
    axes.set_title("What the answers rest on")
