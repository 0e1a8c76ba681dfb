"""What a search of all segments found: the few that are newly bad and the few that always were hard, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.observation import CURRENT, REFERENCE
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.windows import Window

_SCREEN = "Welch, Benjamini-Hochberg over all segments that were looked at"
_CONFIRMED = "day clusters on days that the search did not see, one-sided, Benjamini-Hochberg over the listed segments"


@dataclass(frozen=True)
class NewlyBad:
    """A segment whose loss rose more, from its own reference, than that of all requests outside it.

    Attributes
    ----------
    conditions: column and value of each, by column.
    reference, current: mean loss of its labelled requests; `change` their difference; `per_week` that times the
        requests of a week. All have days as clusters.
    beyond_rest: how much more it rose than the requests outside of it and of the segments that the search listed
        before it; the other numbers are of all its requests.
    shrunken: what `beyond_rest` is worth, given how much the segments differ altogether (empirical Bayes).
    p_search: of the search, adjusted over all segments. confirmation: `beyond_rest` on the days that the search did
        not see; p_confirmed: that it is not above 0 there, adjusted over the listed segments.
    """

    conditions: tuple[tuple[str, str], ...]
    requests_per_week: float
    reference: stats.Estimate
    current: stats.Estimate
    change: stats.Estimate
    per_week: stats.Estimate
    beyond_rest: stats.Estimate
    shrunken: float
    p_search: float
    confirmation: stats.Estimate
    p_confirmed: float | None

    @property
    def segment(self) -> str:
        """The segment as `column=value`, joined by commas."""
        return name_segment(self.conditions)

    @property
    def impact_per_week(self) -> float:
        """`shrunken` times the requests of a week."""
        return self.shrunken * self.requests_per_week

    @property
    def confirmed(self) -> bool:
        """Whether the rise held on the days that the search did not see."""
        return self.p_confirmed is not None and self.p_confirmed <= EVIDENCE_ALPHA


@dataclass(frozen=True)
class AlwaysHard:
    """A segment whose loss was above that of all other requests in the reference period already."""

    conditions: tuple[tuple[str, str], ...]
    reference: stats.Estimate
    current: stats.Estimate
    above_rest: stats.Estimate
    p_confirmed: float

    @property
    def segment(self) -> str:
        """The segment as `column=value`, joined by commas."""
        return name_segment(self.conditions)


@dataclass(frozen=True)
class SegmentSearch(Shown):
    """Every conjunction of conditions looked at, and what came of it; `reason` says why nothing could be looked at.

    Attributes
    ----------
    columns: those that were searched; left_out: those that were not, with the reason.
    depth: conditions per segment at most. fewest: labelled requests that a segment needs in each searched period.
    looked_at: segments compared. evident: those whose rise is beyond chance and the practical threshold.
    unlisted: why none of them is listed, where none is newly bad.
    confirmed_on: the days of the current window that the search did not see.
    newly_bad: most impact first. always_hard: furthest above the rest first.
    """

    window: Window
    metric: str
    threshold: float
    columns: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    depth: int = 0
    fewest: int = 0
    looked_at: int = 0
    evident: int = 0
    confirmed_on: str = ""
    total_per_week: stats.Estimate | None = None
    newly_bad: tuple[NewlyBad, ...] = ()
    always_hard: tuple[AlwaysHard, ...] = ()
    reason: str = ""
    unlisted: str = ""

    nothing_to_draw: ClassVar[str] = "no segment's loss rose more than elsewhere"

    @property
    def found(self) -> tuple[NewlyBad, ...]:
        """The newly bad segments that were confirmed and whose rise is worth acting on."""
        return tuple(each for each in self.newly_bad if each.confirmed and self._is_large(each))

    def _is_large(self, each: NewlyBad) -> bool:
        return min(each.change.value or 0.0, each.beyond_rest.value or 0.0) >= self.threshold

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The segments of `found`."""
        return tuple(
            Signal(
                kind="segment",
                metric=self.metric,
                segment=each.segment,
                name=each.segment,
                window=self.window.label,
                verdict="worse",
                change=each.change,
                unit="",
                times_threshold=(each.change.value or 0.0) / self.threshold,
                excess_loss_per_week=each.per_week,
                no_loss_reason="",
                text=(
                    f"the mean loss of {each.segment} rose by {each.change.value:.4f}, "
                    f"{each.beyond_rest.value:.4f} more than elsewhere"
                ),
                family="model",
                columns=tuple(column for column, _ in each.conditions),
                first_day=self.window.first_day,
                last_day=self.window.last_day,
                p_adjusted=max(each.p_search, each.p_confirmed or 0.0),
                requests_per_week=each.requests_per_week,
            )
            for each in self.found
        )

    @property
    @override
    def text(self) -> str:
        if self.reason:
            return f"Segments were not searched: {self.reason}."
        looked = (
            f"Of {self.looked_at:,} segments of up to {self.depth} conditions on {len(self.columns)} columns, with "
            f"{self.fewest} labelled requests or more in both periods, {self.evident:,} had a loss that rose more than "
            f"elsewhere, beyond chance and the practical threshold"
        )
        lead = f"{looked}.{self._total()}"
        if not self.newly_bad:
            why = f": {self.unlisted}" if self.evident else ""
            return f"{lead} None is listed{why}.{self._hard()}{self._left_out()}"
        found = self.found
        came = (
            f" {'It comes' if self.evident == 1 else 'They come'} down to {len(self.newly_bad)} that share little; on "
            f"{self.confirmed_on}, which the search had not seen, "
        )
        if not found:
            return f"{lead}{came}none held.{self._hard()}{self._left_out()}"
        top = "; ".join(
            f"{each.segment} ({format_number('value', each.impact_per_week)} per week)" for each in found[:3]
        )
        return f"{lead}{came}{len(found)} held; most loss beyond the rest is in {top}.{self._hard()}{self._left_out()}"

    def _total(self) -> str:
        value = None if self.total_per_week is None else self.total_per_week.value
        return "" if value is None else f" Over all requests, the loss changed by {value:+,.4g} per week."

    def _hard(self) -> str:
        if not self.always_hard:
            return ""
        return f" Always hard, not newly: {'; '.join(each.segment for each in self.always_hard[:3])}."

    def _left_out(self) -> str:
        if not self.left_out:
            return ""
        return " Not searched: " + "; ".join(f"{name} ({reason})" for name, reason in self.left_out.items()) + "."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": self.metric, "window": self.window.label}
        if self.reason:
            return [number_row(None, self.reason, statistic="segments_looked_at", **where)]
        rows = [
            ResultRow(statistic="segments_looked_at", value=self.looked_at, **where),
            ResultRow(statistic="segments_evident", value=self.evident, method=_SCREEN, **where),
        ]
        if self.total_per_week is not None:
            rows.append(estimate_row(self.total_per_week, statistic="newly_excess_per_week", **where))
        for bad in self.newly_bad:
            rows += _rows_of_bad(bad, where)
        for hard in self.always_hard:
            for statistic, estimate in (
                (REFERENCE, hard.reference),
                (CURRENT, hard.current),
                ("reference_above_rest", hard.above_rest),
            ):
                rows.append(estimate_row(estimate, statistic=statistic, segment=hard.segment, **where))
            rows.append(_p_row(hard.p_confirmed, "", hard.segment, where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        bad = [
            _line(
                each,
                self._kind(each),
                each.beyond_rest.value,
                format_interval("value", each.beyond_rest.ci_lower, each.beyond_rest.ci_upper),
                each.impact_per_week,
            )
            for each in self.newly_bad
        ]
        return [*bad, *(_line(each, "always hard", "", "", "") for each in self.always_hard)]

    def _kind(self, each: NewlyBad) -> str:
        if not each.confirmed:
            return "not confirmed"
        return "newly bad" if self._is_large(each) else "within threshold"

    @override
    def to_pictures(self) -> Sequence[Picture]:
        shown = [each for each in self.newly_bad if each.beyond_rest.value is not None]
        if not shown:
            return ()
        alt = "Loss per week beyond that of the rest, by listed segment: " + "; ".join(
            f"{each.segment} {format_number('value', each.impact_per_week)} ({self._kind(each)})" for each in shown
        )
        kinds = [self._kind(each) for each in shown]
        return (
            picture(
                lambda figure: _draw(figure, shown, kinds),
                name="segment_cover",
                alt=alt,
                height_inches=1.3 + 0.34 * len(shown),
            ),
        )


def name_segment(conditions: Sequence[tuple[str, str]]) -> str:
    """Conditions as `column=value`, joined by commas: what identifies a segment from one report to the next."""
    return ", ".join(f"{column}={value}" for column, value in conditions)


def _line(
    each: NewlyBad | AlwaysHard, kind: str, beyond_rest: float | str | None, interval: str, impact: float | str
) -> Mapping[str, object]:
    """A segment as a line of the table; what does not apply to its kind is empty."""
    return {
        "segment": each.segment,
        "kind": kind,
        "labelled_requests": each.current.n,
        "loss_reference": each.reference.value,
        "loss_current": each.current.value,
        "rose_beyond_rest_by": beyond_rest,
        "interval_95": interval,
        "impact_per_week": impact,
        "adjusted_p_value": each.p_confirmed,
    }


def _rows_of_bad(bad: NewlyBad, where: Mapping[str, Any]) -> list[ResultRow]:
    segment = bad.segment
    rows = [
        estimate_row(estimate, statistic=statistic, segment=segment, **where)
        for statistic, estimate in (
            (REFERENCE, bad.reference),
            (CURRENT, bad.current),
            ("change", bad.change),
            ("newly_excess_per_week", bad.per_week),
            ("beyond_rest", bad.beyond_rest),
            ("beyond_rest_confirmation", bad.confirmation),
        )
    ]
    shrunken: dict[str, Any] = {"method": "empirical Bayes, mixture of normals"}
    return [
        *rows,
        ResultRow(statistic="beyond_rest_shrunken", value=bad.shrunken, segment=segment, **shrunken, **where),
        ResultRow(statistic="impact_per_week", value=bad.impact_per_week, segment=segment, **shrunken, **where),
        ResultRow(statistic="search_adjusted_p_value", value=bad.p_search, segment=segment, method=_SCREEN, **where),
        _p_row(bad.p_confirmed, bad.confirmation.reason, segment, where),
    ]


def _p_row(p_value: float | None, reason: str, segment: str, where: Mapping[str, Any]) -> ResultRow:
    return number_row(
        p_value, reason, statistic="confirmed_adjusted_p_value", segment=segment, method=_CONFIRMED, **where
    )


def _draw(figure: Any, shown: Sequence[NewlyBad], kinds: Sequence[str]) -> None:
    axes = figure.subplots()
    for place, (each, kind) in enumerate(zip(reversed(shown), reversed(kinds), strict=True)):
        colour = PALETTE[3] if kind == "newly bad" else PALETTE[5]
        axes.barh(place, each.impact_per_week, color=colour, height=0.6)
        beyond, week = each.beyond_rest, each.requests_per_week
        if beyond.ci_lower is not None and beyond.ci_upper is not None:
            ends = [beyond.ci_lower * week, beyond.ci_upper * week]
            axes.plot(ends, [place, place], color="#333333", linewidth=1)
    axes.axvline(0, color=PALETTE[4], linewidth=0.8)
    axes.set_yticks(range(len(shown)), [each.segment for each in reversed(shown)])
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("loss per week beyond the rest's, shrunken\n(line: 95 % interval; red: a signal)", loc="right")
    axes.set_title("Where the new loss is")
