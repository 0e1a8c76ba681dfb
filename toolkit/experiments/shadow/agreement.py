"""Where two versions decide differently, and which of them was right there: all that users would notice of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.display import format_interval, format_number
from toolkit.experiments.changes import p_text
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.shadow.pairs import ShadowPairs


class Decisions(NamedTuple):
    """Two variants' decisions on the same requests, everywhere ("", "") or in a segment.

    Attributes
    ----------
    counts: requests, by the names of `statement.DECISION_MEASURES`.
    agreement: share of the requests with two decisions that are the same; its interval is over units or clusters.
    kappa: Cohen's, the agreement beyond chance; its interval takes requests as independent.
    gain: share of right decisions, treatment less control, on the requests whose label is 0 or 1; over units or
        clusters. mcnemar: the test of the same by the requests that differ, taken as independent.
    """

    treatment: str
    segment: str
    value: str
    counts: Mapping[str, int]
    agreement: stats.Estimate
    kappa: stats.Estimate
    gain: stats.Estimate
    mcnemar: stats.McNemar

    @property
    def where(self) -> str:
        """The group as `segment=value`; "" for everyone."""
        return f"{self.segment}={self.value}" if self.segment else ""


@dataclass(frozen=True)
class Agreement(Shown):
    """Decisions of each treatment beside the control's: everywhere, then in each of the plan's segments."""

    control: str
    found: tuple[Decisions, ...]

    def of(self, treatment: str) -> Decisions:
        """The decisions of a treatment over everything."""
        return next(each for each in self.found if each.treatment == treatment and not each.segment)

    @property
    def text(self) -> str:
        """How often they agree, and who was right where they do not."""
        return " ".join(self._sentence(each) for each in self.found if not each.segment)

    def _sentence(self, each: Decisions) -> str:
        counts, share = each.counts, each.agreement
        if share.value is None:
            return f"Whether {each.treatment} and {self.control} agree is unknown: {share.reason}."
        decided, differing = counts["decided"], counts["decided"] - counts["agreed"]
        ends = format_interval("agreement_share", share.ci_lower, share.ci_upper)
        said = (
            f"{each.treatment} and {self.control} decide the same on {format_number('agreement_share', share.value)} "
            f"of {decided:,} requests (95 % interval {ends})"
        )
        right = (
            f"on {differing:,} they differ, and where the label is known {each.treatment} was right "
            f"{counts['only_treatment_right']:,} times and {self.control} {counts['only_control_right']:,} times"
        )
        test = "" if each.mcnemar.p_value is None else f" (McNemar's p {p_text(each.mcnemar.p_value)})"
        return f"{said}; {right}{test}."

    def to_rows(self) -> Sequence[ResultRow]:
        """Per treatment and segment the counts, the agreement, kappa, the gain in right decisions and the test."""
        rows = []
        for each in self.found:
            where: dict[str, Any] = {
                "key": "decision",
                "segment": each.where,
                "comparison": f"{each.treatment} - {self.control}",
            }
            rows += [ResultRow(statistic=name, value=count, **where) for name, count in each.counts.items()]
            rows += [
                estimate_row(each.agreement, statistic="agreement_share", **where),
                estimate_row(each.kappa, statistic="kappa", **where),
                estimate_row(each.gain, statistic="right_share_difference", **where),
                number_row(each.mcnemar.p_value, each.mcnemar.reason, statistic="mcnemar_p_value", **where),
            ]
        return rows

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per treatment and segment."""
        return [
            {
                "treatment": each.treatment,
                "segment": each.where or "all",
                "decided": each.counts.get("decided", 0),
                "agreement_share": each.agreement.value,
                "interval": format_interval("agreement_share", each.agreement.ci_lower, each.agreement.ci_upper),
                "kappa": each.kappa.value,
                f"only {self.control} right": each.counts.get("only_control_right", 0),
                f"only {each.treatment} right": each.counts.get("only_treatment_right", 0),
                "right_share_difference": each.gain.value,
                "note": each.agreement.reason or each.gain.reason,
            }
            for each in self.found
        ]


def decisions_agree(plan: ExperimentPlan, pairs: ShadowPairs) -> Agreement:
    """Set the decisions of each treatment beside the control's, everywhere and in each of the plan's segments."""
    places = [("", ""), *((segment, value) for segment in plan.segments for value in pairs.segment_values(segment))]
    found = [_decisions(pairs, treatment, *place) for treatment in pairs.coverage for place in places]
    return Agreement(pairs.control, tuple(found))


def _decisions(pairs: ShadowPairs, treatment: str, segment: str, value: str) -> Decisions:
    counts = pairs.decisions(treatment, segment=segment, value=value)
    both_yes, a_yes, b_yes = (counts[name] for name in ("both_yes", "only_control_yes", "only_treatment_yes"))
    neither = counts["decided"] - both_yes - a_yes - b_yes
    return Decisions(
        treatment=treatment,
        segment=segment,
        value=value,
        counts=counts,
        agreement=pairs.agreement(treatment, segment=segment, value=value),
        kappa=stats.agreement([[both_yes, a_yes], [b_yes, neither]]).kappa,
        gain=pairs.right_decisions(treatment, segment=segment, value=value),
        mcnemar=stats.mcnemar(counts["only_control_right"], counts["only_treatment_right"]),
    )
