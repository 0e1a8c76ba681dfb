"""Signal groups: what production is telling us, as few lines as there are problems, the most severe first.

A line says what deviated and for whom, how severe it is, since when and whether it is new, why its signals are one
problem, and what else was there when it began. Severity is harm times confidence (see `harm`): a silent loss of
calibration comes before inputs that drifted far and did nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from typing_extensions import override

from toolkit.display import Picture, format_number
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.groups.harm import Harm
from toolkit.signals.groups.signal_group import SignalGroup
from toolkit.signals.groups.views import draw_groups
from toolkit.signals.signal import Kind, Signal
from toolkit.windows import format_instant


@dataclass(frozen=True)
class SignalGroups(Shown):
    """What production is telling us about a model, as few lines as there are problems.

    Attributes
    ----------
    groups: the most severe first, muted ones last.
    recovered: the keys of signals that an earlier report saw, that were looked for here, and that are not there now,
        each with the instant at which it was last seen.
    looked_at: the kinds of signal that were looked for. refused: those that could not be, with the reason.
    window_days: the length of the window in which they were looked for.
    """

    nothing_to_draw: ClassVar[str] = "there is no signal"

    model: str
    window: str
    window_days: int
    as_of: datetime
    groups: tuple[SignalGroup, ...]
    recovered: Mapping[str, datetime]
    looked_at: frozenset[Kind]
    refused: tuple[str, ...] = ()

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Every signal, in the order of the groups."""
        return tuple(signal for group in self.groups for signal in group.signals)

    @property
    def headline(self) -> str:
        """What matters most, in a sentence."""
        if not self.groups and self.refused and not self.looked_at:
            return "Nothing could be judged: that there is no signal says nothing."
        if not self.groups and self.refused:
            return "No signal in what could be judged: of it, nothing deviated beyond chance and its threshold."
        if not self.groups:
            return "No signal: nothing deviated beyond chance and its practical threshold."
        first = self.groups[0]
        level = "harm not measured" if first.level == "unmeasured" else f"{first.level} severity"
        return f"{first.title} ({level}, {first.said_of_it})."

    @property
    @override
    def text(self) -> str:
        parts = [self.headline]
        if self.groups:
            states = Counter(group.state for group in self.groups)
            counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            signals = len(self.signals)
            parts.append(
                f"{signals} signal{'' if signals == 1 else 's'} in {len(self.groups)} "
                f"group{'' if len(self.groups) == 1 else 's'} ({counted})."
            )
        if self.recovered:
            parts.append(f"Recovered since an earlier report: {', '.join(self.recovered)}.")
        if self.refused:
            parts.append(f"Not looked at: {'; '.join(self.refused)}.")
        return " ".join(parts)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [
            self._row(self.model, "headline", self.headline),
            self._row(self.model, "signals_looked_at", ", ".join(sorted(self.looked_at))),
            self._row(self.model, "signals_window_days", self.window_days),
            *(self._row(self.model, "signals_refused", reason) for reason in self.refused),
        ]
        for rank, group in enumerate(self.groups, start=1):
            rows += self._group_rows(rank, group)
        rows += [
            self._row(key, "signal_recovered", format_instant(last_seen)) for key, last_seen in self.recovered.items()
        ]
        return rows

    def _group_rows(self, rank: int, group: SignalGroup) -> list[ResultRow]:
        harm = group.harm
        facts: dict[str, Any] = {
            "group_rank": rank,
            "group_title": group.title,
            "group_level": group.level,
            "group_state": group.said_of_it,
            "group_began": group.began,
            "group_family": group.signals[0].family,
            "group_harm": harm.text,
        }
        if group.why_merged:
            facts["group_why_merged"] = group.why_merged
        segment = group.where
        rows = [self._row(group.key, name, value, segment) for name, value in facts.items()]
        rows += [self._row(group.key, "group_hint", hint.sentence, segment) for hint in group.hints]
        rows += self._harm_rows(group, segment)
        for signal in group.signals:
            of_one = group.harms[signal.key]
            where: dict[str, Any] = {"key": signal.key, "segment": signal.segment, "window": signal.window}
            rows += [
                ResultRow(statistic="signal_group", value=group.key, **where),
                ResultRow(statistic="signal_state", value=group.states[signal.key], **where),
                ResultRow(statistic="signal_level", value=of_one.level, **where),
                ResultRow(statistic="signal_text", value=signal.text, **where),
                number_row(
                    None if of_one.tolerances is None else of_one.severity,
                    of_one.no_loss_reason,
                    statistic="signal_severity",
                    unit="tolerances",
                    **where,
                ),
            ]
        return rows

    def _harm_rows(self, group: SignalGroup, segment: str) -> list[ResultRow]:
        harm = group.harm
        where: dict[str, Any] = {"key": group.key, "segment": segment, "window": self.window}
        absent = "it was not counted"
        rows = [
            number_row(
                None if harm.tolerances is None else harm.severity,
                harm.no_loss_reason,
                statistic="group_severity",
                unit="tolerances",
                **where,
            ),
            ResultRow(statistic="group_confidence", value=harm.confidence, unit="share", **where),
            number_row(harm.requests_per_week, absent, statistic="group_requests_per_week", **where),
            number_row(harm.units_per_week, absent, statistic="group_units_per_week", **where),
        ]
        loss, value = harm.excess_loss_per_week, harm.value_per_week
        name = "group_excess_loss_per_week"
        rows.append(
            number_row(None, harm.no_loss_reason, statistic=name, **where)
            if loss is None
            else estimate_row(loss, statistic=name, **where)
        )
        if harm.budget_share is not None:
            rows.append(ResultRow(statistic="group_budget_share", value=harm.budget_share, unit="share", **where))
        name = "group_value_per_week"
        rows.append(
            number_row(None, harm.no_value_reason, statistic=name, **where)
            if value is None
            else ResultRow(
                statistic=name,
                value=value.likely,
                ci_lower=value.low,
                ci_upper=value.high,
                unit=value.currency,
                method="the loss's interval times the range of what a unit of it costs",
                **where,
            )
        )
        return rows

    def _row(self, key: str, statistic: str, value: Any, segment: str = "") -> ResultRow:
        return ResultRow(key=key, statistic=statistic, value=value, segment=segment, window=self.window)

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "rank": rank,
                "signal_group": group.title,
                "severity": _say_severity(group.harm),
                "harm_per_week": group.harm.text,
                "state_and_hints": _say_background(group),
            }
            for rank, group in enumerate(self.groups, start=1)
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        return draw_groups(self.groups) if self.groups else ()


def _say_background(group: SignalGroup) -> str:
    """Its state, since when, why it is one line, and the first hint; how many more of these there are in the rows."""
    parts = [f"{group.said_of_it}, began: {group.began}"]
    if group.why_merged:
        parts.append(f"one line: {group.why_merged}")
    if group.hints:
        more = len(group.hints) - 1
        parts.append(f"first hint: {group.hints[0].sentence}{f' ({more} more in the rows)' if more else ''}")
    return "; ".join(parts) if group.hints else f"{'; '.join(parts)}; no hint"


def _say_severity(harm: Harm) -> str:
    if harm.tolerances is None:
        return "harm not measured"
    return f"{harm.level} ({format_number('value', harm.severity)})"
