"""The served version beside those that scored the same requests without being used: would another have been better?

Each request is its own control: differences are formed request by request, with days as clusters. A shadow deployment
that was planned has a readout of its own; this looks at whatever was scored beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.data import Source
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics.version_pairs import PairDay, version_pairs
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.signals.observation import Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal

_METHOD = "differences of the same requests, day clusters"


@dataclass(frozen=True)
class VersionPair:
    """Another version beside the one that served; differences are its own minus the served one's.

    Attributes
    ----------
    pairs, labelled: requests that both answered, and those of them with a label.
    loss: of the Brier loss. right_share: of the share of right decisions. score_gap: of the score.
    agreed: share of the pairs with two decisions on which both are the same.
    p_adjusted: of the loss, over the versions.
    """

    version: str
    pairs: int
    labelled: int
    loss: stats.Estimate
    right_share: stats.Estimate
    score_gap: stats.Estimate
    agreed: stats.Estimate
    p_adjusted: float | None

    @property
    def evident(self) -> bool:
        """Whether its loss is another than the served one's, beyond chance."""
        return self.p_adjusted is not None and self.p_adjusted <= EVIDENCE_ALPHA


@dataclass(frozen=True)
class Versions(Shown):
    """Every version that scored requests of the window beside the served one."""

    nothing_to_draw: ClassVar[str] = "no other version scored labelled requests of the window"

    window: str
    served: str
    pairs: tuple[VersionPair, ...]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """None: that another version is better is an occasion, not a deviation of production."""
        return ()

    @property
    @override
    def text(self) -> str:
        if not self.pairs:
            return f"No other version scored requests of {self.window} that version {self.served} served."
        return " ".join(self._sentence(pair) for pair in self.pairs)

    def _sentence(self, pair: VersionPair) -> str:
        of = (
            f"Version {pair.version} scored {pair.pairs:,} requests beside version {self.served} "
            f"({pair.labelled:,} with a label)"
        )
        agreed = f"agreed on {format_number('agreed_share', pair.agreed.value)} of the decisions"
        if pair.loss.value is None:
            return f"{of} and {agreed}; which is better is not known: {pair.loss.reason}."
        interval = format_interval("loss", pair.loss.ci_lower, pair.loss.ci_upper)
        way = "lower" if pair.loss.value < 0 else "higher"
        said = "evidently" if pair.evident else "not evidently"
        return (
            f"{of} and {agreed}; its Brier loss is {said} {way}: {pair.loss.value:+.4f} (95 % interval {interval}), "
            f"right decisions {_points(pair.right_share.value)}."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for pair in self.pairs:
            where: dict[str, Any] = {
                "key": "versions",
                "window": self.window,
                "comparison": f"{pair.version} - {self.served}",
            }
            rows.append(ResultRow(statistic="pairs", value=pair.pairs, **where))
            for statistic, estimate, unit in (
                ("brier", pair.loss, ""),
                ("right_decisions", pair.right_share, "share"),
                ("score", pair.score_gap, "share"),
                ("agreed_share", pair.agreed, "share"),
            ):
                rows.append(estimate_row(estimate, statistic=statistic, unit=unit, **where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "version": pair.version,
                "same_requests": pair.pairs,
                "labelled": pair.labelled,
                "brier_difference": pair.loss.value,
                "interval_95": format_interval("loss", pair.loss.ci_lower, pair.loss.ci_upper),
                "right_decisions": _points(pair.right_share.value),
                "agreed_share": pair.agreed.value,
                "adjusted_p_value": pair.p_adjusted,
            }
            for pair in self.pairs
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [pair for pair in self.pairs if pair.loss.ci_lower is not None]
        if not drawn:
            return ()
        alt = f"Brier loss of other versions minus that of version {self.served} on the same requests: " + "; ".join(
            f"{pair.version} {pair.loss.value:+.4f}" for pair in drawn
        )
        return (
            picture(
                lambda figure: _draw(figure, drawn, self.served),
                name="versions",
                alt=alt,
                height_inches=1.2 + 0.35 * len(drawn),
            ),
        )


def compare_versions(source: Source, observed: Observation) -> Versions:
    """Compare the served version with every other that answered the same requests of the current window; one query.

    Labels are those known at the observation's `as_of`. Raises `ContractError`.
    """
    days = version_pairs(source, observed.model, version=observed.version, window=observed.window, as_of=observed.as_of)
    found = {version: [day for day in days if day.version == version] for version in sorted({d.version for d in days})}
    losses = {version: _loss(of) for version, of in found.items()}
    adjusted = stats.adjust_p([loss.p_value for loss in losses.values()], "benjamini-hochberg")
    pairs = tuple(
        VersionPair(
            version,
            sum(day.pairs for day in of),
            sum(day.labelled for day in of),
            losses[version],
            _mean([day.other_right - day.served_right for day in of], [day.judged for day in of], "judged request"),
            _mean([day.score_gap_sum for day in of], [day.pairs for day in of], "pair"),
            _mean([day.agreed for day in of], [day.decided for day in of], "pair with two decisions", null=None),
            p,
        )
        for (version, of), p in zip(found.items(), adjusted, strict=True)
    )
    return Versions(observed.window.label, observed.version, pairs)


def _loss(days: Sequence[PairDay]) -> stats.Estimate:
    return _mean(
        [day.other_loss_sum - day.served_loss_sum for day in days], [day.labelled for day in days], "labelled pair"
    )


def _mean(sums: Sequence[float], counts: Sequence[int], what: str, *, null: float | None = 0.0) -> stats.Estimate:
    total = sum(counts)
    if not total:
        return stats.Estimate.absent(f"there is no {what}", n=0, method=_METHOD)
    return stats.ratio(sums, counts, n=total, null=null, method=_METHOD)


def _points(share: float | None) -> str:
    return "absent" if share is None else f"{100 * share:+.2f} pp"


def _draw(figure: Any, pairs: Sequence[VersionPair], served: str) -> None:
    axes = figure.subplots()
    axes.axvline(0, color=PALETTE[4], linewidth=0.8)
    for place, pair in enumerate(reversed(pairs)):
        colour = PALETTE[2] if pair.evident and (pair.loss.value or 0) < 0 else PALETTE[4]
        axes.plot([pair.loss.ci_lower, pair.loss.ci_upper], [place, place], color=colour, linewidth=2)
        axes.plot(pair.loss.value, place, "o", color=colour, markersize=6)
    axes.set_yticks(range(len(pairs)), [f"version {pair.version}" for pair in reversed(pairs)])
    axes.set_ylim(-0.6, len(pairs) - 0.4)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"Brier loss minus that of version {served}, same requests, 95 % interval (left is better)")
    axes.set_title("Other versions on the same requests")
