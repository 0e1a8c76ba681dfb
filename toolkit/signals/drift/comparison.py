"""Drift: every column of a window beside every reference, as it is shown and as it becomes signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from typing_extensions import override

from toolkit.display import Picture, format_number
from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.records import ResultRow, Shown
from toolkit.signals.drift.findings import Aspect, Finding
from toolkit.signals.drift.judging import ColumnDrift
from toolkit.signals.drift.pictures import draw_distributions, draw_sizes
from toolkit.signals.drift.references import REFERENCE_WORDS
from toolkit.signals.drift.rows import column_rows
from toolkit.signals.signal import Kind, Signal
from toolkit.stats import Estimate
from toolkit.windows import Window

_KINDS: dict[Aspect, Kind] = {
    "schema": "schema",
    "missing": "missing",
    "unseen": "unseen",
    "constant": "drift",
    "drift": "drift",
}
_NO_LOSS = "what changed inputs cost is not measured by comparing inputs"


@dataclass(frozen=True)
class Drift(Shown):
    """How the columns of a window differ from its references.

    Attributes
    ----------
    rows: requests in the window.
    references: names and what they are, in words; the first that has requests decides.
    absent: references without requests, and why.
    columns: one per column, reference and segment, with p-values adjusted over all of them together.
    outputs: the columns that the model made.
    """

    nothing_to_draw: ClassVar[str] = "no column has a distribution that can be compared"

    model: str
    version: str
    window: Window
    rows: int
    references: tuple[tuple[str, str], ...]
    absent: Mapping[str, str]
    columns: tuple[ColumnDrift, ...]
    outputs: tuple[str, ...] = ()

    @property
    def deciding(self) -> str:
        """The reference whose findings become signals; "" when none has requests."""
        return next((name for name, _ in self.references if name not in self.absent), "")

    def against(self, reference: str, *, segment: str | None = "") -> tuple[ColumnDrift, ...]:
        """The columns beside one reference, most remarkable first; `segment` None: in everything and all segments."""
        chosen = [
            column
            for column in self.columns
            if column.against == reference and (segment is None or column.segment == segment)
        ]
        return tuple(sorted(chosen, key=_remarkable))

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What changed against the deciding reference, beyond chance and the practical threshold.

        What changed over all requests is not repeated for its segments.
        """
        everywhere = {
            (column.column, found.aspect) for column in self.against(self.deciding) for found in column.changes
        }
        return tuple(
            self._signal(column, found)
            for column in self.against(self.deciding, segment=None)
            for found in column.changes
            if not column.segment or (column.column, found.aspect) not in everywhere
        )

    def _signal(self, column: ColumnDrift, found: Finding) -> Signal:
        where = f" in {column.segment}" if column.segment else ""
        since = f" since {column.since}" if column.since else ""
        segment_column = column.segment.partition("=")[0]
        return Signal(
            kind=_KINDS[found.aspect],
            family="model" if column.column in self.outputs else "inputs",
            metric=column.column,
            segment=column.segment,
            name=column.column,
            window=self.window.label,
            verdict="worse" if found.aspect == "missing" and found.grew else "changed",
            change=found.size,
            unit=found.unit,
            times_threshold=found.times_floor,
            excess_loss_per_week=None,
            no_loss_reason=_NO_LOSS,
            text=f"{column.column}{where}: {found.text}{since}{self._news(column, found)}",
            columns=tuple(dict.fromkeys(name for name in (column.column, segment_column) if name)),
            first_day=column.since or self.window.first_day,
            last_day=self.window.last_day,
            dated=column.since is not None,
            p_adjusted=found.p_adjusted,
            requests_per_week=_touched(column, found, self.rows) / (self.window.days / 7),
        )

    def _news(self, column: ColumnDrift, found: Finding) -> str:
        """Whether the other references say so too."""
        said = []
        for name, _ in self.references:
            other = self._beside(column, name) if name != self.deciding else None
            same = other.finding(found.aspect) if other else None
            if same is not None and same.verdict != "absent":
                also = "also against" if same.verdict == "changed" else "but not against"
                said.append(f"{also} {REFERENCE_WORDS[name]}")
        return f" ({', '.join(said)})" if said else ""

    @property
    @override
    def text(self) -> str:
        if not self.deciding:
            return f"Nothing is compared: {'; '.join(self.absent.values())}."
        said = [f"{self.rows:,} requests of version {self.version}, {self.window.label}."]
        for name, words in self.references:
            if name in self.absent:
                said.append(f"Not compared with {REFERENCE_WORDS[name]}: {self.absent[name]}.")
                continue
            columns = self.against(name)
            changed = [f"{column.column} ({column.words})" for column in columns if column.changes]
            said.append(
                f"Against {words}, {len(changed)} of {len(columns)} columns changed"
                f"{': ' + ', '.join(changed) if changed else ''}."
            )
        tested = sum(found.p_value is not None for column in self.columns for found in column.findings)
        said.append(f"Evidence is adjusted over {tested} tests, and each change has a practical threshold.")
        return " ".join(said)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": "drift", "window": self.window.label}
        rows = [ResultRow(statistic="requests", value=self.rows, n=self.rows, **where)]
        for name, words in self.references:
            rows.append(
                ResultRow(
                    statistic=f"reference_{name}",
                    value=None if name in self.absent else words,
                    status="absent" if name in self.absent else "ok",
                    reason=self.absent.get(name, ""),
                    **where,
                )
            )
        return [*rows, *(row for column in self.columns for row in column_rows(column, self.window.label))]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        lines = list(self.against(self.deciding))
        lines += [column for column in self.against(self.deciding, segment=None) if column.segment and column.changes]
        return [self._line(column) for column in lines]

    def _line(self, column: ColumnDrift) -> dict[str, object]:
        drift = column.finding("drift")
        size = drift.size if drift is not None else None
        shown = drift or column.worst
        unseen = column.finding("unseen")
        line: dict[str, object] = {
            "column": f"{column.column} in {column.segment}" if column.segment else column.column,
            "verdict": column.words,
            "psi_above_noise": "" if size is None or size.value is None else f"{size.value:.2f}",
            "interval_95": _interval(size),
            "adjusted_p_value": "" if shown.p_adjusted is None else shown.p_adjusted,
            "missing_reference": _missing(column, 0),
            "missing_now": _missing(column, 1),
            "never_seen_now": "" if unseen is None or column.current is None else _unseen(column.current),
        }
        for name, _ in self.references:
            if name not in self.absent and name != self.deciding:
                other = self._beside(column, name)
                line[f"against_{REFERENCE_WORDS[name].replace(' ', '_')}"] = other.words if other else ""
        return line

    def _beside(self, column: ColumnDrift, name: str) -> ColumnDrift | None:
        """The same column and segment against another reference."""
        return self._by_place.get((column.column, column.segment, name))

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str, str], ColumnDrift]:
        return {(each.column, each.segment, each.against): each for each in self.columns}

    @override
    def to_pictures(self) -> Sequence[Picture]:
        columns = self.against(self.deciding)
        found = (draw_distributions(columns), draw_sizes(self))
        return tuple(each for each in found if each is not None)


def _remarkable(column: ColumnDrift) -> tuple[int, float, str, str]:
    worst = column.worst
    return worst.rank, -worst.times_floor, column.segment, column.column


def _touched(column: ColumnDrift, found: Finding, rows: int) -> int:
    """The requests of the window that it is about; `rows` are all of them."""
    now = column.current
    if now is None or found.aspect == "schema":
        return rows
    own = {"missing": now.missing, "unseen": now.unseen, "constant": now.unseen}
    return own.get(found.aspect, now.total)


def _missing(column: ColumnDrift, side: int) -> str:
    return "" if column.missing is None else format_number("value", column.missing[side].value, unit="share")


def _interval(size: Estimate | None) -> str:
    return "" if size is None or size.ci_lower is None else f"{size.ci_lower:.2f} to {size.ci_upper:.2f}"


def _unseen(counts: ColumnCounts) -> str:
    return format_number("value", counts.unseen / counts.n if counts.n else None, unit="share")
