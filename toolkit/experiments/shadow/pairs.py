"""A shadow deployment measured: what the served version and the one beside it made of the same requests.

Each request is its own control. So differences are formed over units (or clusters) that are in both variants, which
takes the variation between requests out of the comparison. One row per unit stays in the engine; moments come back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from toolkit import stats
from toolkit.checks import check_in
from toolkit.digests import digest_bytes, digest_value
from toolkit.errors import ArgumentError, Skipped
from toolkit.experiments.readiness import require_ready
from toolkit.experiments.shadow.statement import (
    COVERAGE_MEASURES,
    DECISION_MEASURES,
    measures_of,
    pair_table,
    rows_measure,
    spoilt_measure,
    unit_table,
)
from toolkit.metrics import MetricDefinition, collect_moments, load_metrics
from toolkit.metrics.moment_table import MomentTable, Needs
from toolkit.records import ResultRow, Shown, Value
from toolkit.stats.joint_moments import JointMoments
from toolkit.windows import Window, format_instant, parse_instant

if TYPE_CHECKING:
    from toolkit.data import Source
    from toolkit.experiments.plans import ExperimentPlan

_READING = "predictions and outcomes"
_RATIO = "ratio of sums, linearised"


class Coverage(NamedTuple):
    """Requests of one treatment's shadow: `statement.COVERAGE_MEASURES`.

    Attributes
    ----------
    served: requests that the control's version served. paired: those of them that the treatment scored beside it.
    answered_by_control, answered_by_treatment, answered_by_both: pairs without an error.
    labelled: pairs with a label.
    """

    served: int
    paired: int
    answered_by_control: int
    answered_by_treatment: int
    answered_by_both: int
    labelled: int


class Sides(NamedTuple):
    """What `exposed` counts here: a pair is exposed to both variants."""

    exposed: int


@dataclass(frozen=True)
class ShadowPairs(Shown):
    """The requests that both versions scored, as moments over units or clusters; small, whatever their number.

    It answers what `analyze` asks of `Units`. Of each metric only requests that count for both variants are compared.

    Attributes
    ----------
    tables: the moments by treatment; their groups are `split` and `value`.
    """

    experiment: str
    window: Window
    as_of: datetime
    clustered: bool
    control: str
    metrics: Mapping[str, MetricDefinition]
    segments: tuple[str, ...]
    tables: Mapping[str, MomentTable] = field(repr=False)

    covariates: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    since_days: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """Of all that was found: the same for the same look, however often it is run."""
        return digest_value({treatment: digest_bytes(table.to_bytes()) for treatment, table in self.tables.items()})

    @cached_property
    def coverage(self) -> Mapping[str, Coverage]:
        """By treatment, how many requests both versions scored."""
        return {
            treatment: Coverage(*(self._total(name, treatment) for name in COVERAGE_MEASURES))
            for treatment in self.tables
        }

    @property
    def caps(self) -> Mapping[str, float]:
        """No total is cut: both versions have the same requests."""
        return {}

    @property
    def missing_covariates(self) -> Mapping[tuple[str, str], int]:
        """There are none: a request is its own covariate."""
        return {}

    @property
    def arrivals(self) -> Mapping[str, Sides]:
        """Groups by variant, for what counts information; each is in both."""
        treatments = {name: Sides(self._groups(name)) for name in self.coverage}
        return {self.control: Sides(max((side.exposed for side in treatments.values()), default=0)), **treatments}

    @property
    def exposed_by_segment(self) -> Mapping[tuple[str, str, str], int]:
        """Groups by segment, value and variant."""
        found = {}
        for treatment in self.coverage:
            for segment in self.segments:
                for value in self.segment_values(segment):
                    found[segment, value, treatment] = self._groups(treatment, segment, value)
                    found[segment, value, self.control] = found[segment, value, treatment]
        return found

    def segment_values(self, segment: str) -> tuple[str, ...]:
        """The values of a segment, sorted."""
        check_in(segment, self.segments, noun="segment")
        frames = [table.frame for table in self.tables.values()]
        return tuple(sorted({value for f in frames for value in f.loc[f["by_0"] == segment, "by_1"]}))

    def samples(
        self, metric: str, treatment: str, *, segment: str = "", value: str = "", **_unused: object
    ) -> stats.TwoSamples:
        """Both variants over the same groups: numerator and denominator of each, and what they have in common."""
        used = {name: given for name, given in _unused.items() if given}
        if used:
            raise ArgumentError(f"a shadow deployment has no {', '.join(used)}: it has no exposures and no past")
        check_in(metric, self.metrics, noun="metric")
        return self._samples(metric, treatment, segment, value)

    def decisions(self, treatment: str, *, segment: str = "", value: str = "") -> Mapping[str, int]:
        """Requests by what both versions decided and what happened, under the names of `DECISION_MEASURES`."""
        return {name: self._total(name, treatment, segment, value) for name in DECISION_MEASURES}

    def agreement(self, treatment: str, *, segment: str = "", value: str = "") -> stats.Estimate:
        """The share of requests with two decisions on which both are the same, over units or clusters."""
        return self._share(("agreed", "decided"), treatment, segment, value, "no request was decided by both")

    def right_decisions(self, treatment: str, *, segment: str = "", value: str = "") -> stats.Estimate:
        """The share of right decisions, treatment less control, of the requests that were judged."""
        nothing = "no request was decided by both and has a label that is 0 or 1"
        return self._share(("gained", "judged"), treatment, segment, value, nothing)

    def _share(self, names: tuple[str, str], treatment: str, segment: str, value: str, nothing: str) -> stats.Estimate:
        """The ratio of two measures with its linearised error; see `stats.ratio`, which has it from arrays."""
        moments = self._table(treatment).moments(names, {"split": segment, "value": value})
        rows = moments.n * (moments.mean(1) or 0.0)
        if not rows:
            return stats.Estimate.absent(nothing, n=0, method=_RATIO)
        share = (moments.mean(0) or 0.0) / rows * moments.n
        if moments.n < 2:
            reason = f"no interval: too few {self.group_word}s: {moments.n}, a variance needs 2"
            return stats.Estimate.alone(share, n=round(rows), method=_RATIO, reason=reason)
        (top, both), (_, bottom) = moments.products
        squares = max(top - 2 * share * both + share * share * bottom, 0.0)
        se = math.sqrt(moments.n / (moments.n - 1) * squares) / rows
        return stats.from_standard_error(share, se, n=round(rows), df=moments.n - 1, method=_RATIO, within=(-1.0, 1.0))

    @property
    def group_word(self) -> str:
        """What is independent of each other."""
        return "cluster" if self.clustered else "unit"

    def _table(self, treatment: str) -> MomentTable:
        return self.tables[check_in(treatment, self.tables, noun="treatment")]

    def _total(self, measure: str, treatment: str, segment: str = "", value: str = "") -> int:
        """The sum of a measure that counts requests."""
        table, where = self._table(treatment), {"split": segment, "value": value}
        return round((table.mean(measure, where) or 0.0) * table.count(measure, where))

    def _samples(self, metric: str, treatment: str, segment: str, value: str) -> stats.TwoSamples:
        both = self._table(treatment).moments(measures_of(metric), {"split": segment, "value": value})
        requests = self.requests(metric, treatment, segment=segment, value=value)
        return stats.TwoSamples(
            control=_part(both, 0, 1),
            treatment=_part(both, 2, 3),
            rows0=requests,
            rows1=requests,
            share=self.metrics[metric].is_share,
            crossed=tuple(tuple(both.products[i][j] for j in (2, 3)) for i in (0, 1)),
            groups=both.n,
            infinite=self._total(spoilt_measure(metric), treatment, segment, value),
        )

    def requests(self, metric: str, treatment: str, *, segment: str = "", value: str = "") -> int:
        """Requests that count for a metric on both sides."""
        return self._total(rows_measure(metric), treatment, segment, value)

    def _groups(self, treatment: str, segment: str = "", value: str = "") -> int:
        return self._table(treatment).rows({"split": segment, "value": value})

    @property
    def text(self) -> str:
        """How many requests both versions scored, and how many are missing."""
        parts = []
        for treatment, counts in self.coverage.items():
            missed = counts.served - counts.paired
            unscored = f"; {missed:,} were not scored by it" if missed else ""
            parts.append(
                f"{treatment} scored {counts.paired:,} of the {counts.served:,} requests that {self.control} served"
                f"{unscored}, and {counts.labelled:,} of these have a label."
            )
        return f"In {self.window.label}, as known at {format_instant(self.as_of)}: {' '.join(parts)}"

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per treatment and count."""
        window = self.window.label
        return [
            ResultRow(treatment, statistic, value, window=window)
            for treatment, counts in self.coverage.items()
            for statistic, value in counts._asdict().items()
        ]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per treatment."""
        return [{"shadow": treatment, **counts._asdict()} for treatment, counts in self.coverage.items()]


def measure_shadow(plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "") -> ShadowPairs:
    """Measure a plan of kind `shadow`: the requests of its window that the control's version served, each with what
    the treatment's version made of it without being served.

    Parameters
    ----------
    as_of: an instant; as text ISO in UTC, "" for the last day complete in the data. Labels are those known then.

    Raises `Skipped` for a plan of another kind and when no request has a pair, `DefinitionError` for metrics that are
    no ratio of sums over requests, `NotReady` before the window has ended and its labels had their days,
    `ContractError` for data that break their contract.
    """
    if plan.kind != "shadow":
        raise Skipped(
            f"experiment {plan.key!r} is of kind {plan.kind}, not a shadow deployment; "
            "templates experiment_readout and holdout_readout read it"
        )
    complete_through = source.complete_through()
    instant = as_of if isinstance(as_of, datetime) else parse_instant(as_of) if as_of else complete_through
    require_ready(plan, as_of=instant, complete_through=complete_through)
    definitions = load_metrics(source.workspace)
    metrics = {key: definitions[key] for key in plan.metrics}
    needs = _needs(metrics)
    origins = dict.fromkeys(needs.measures, 0.0)  # sums of few requests lie near 0, and a look costs as much again
    tables = {}
    for treatment in plan.treatments:
        pairs = pair_table(plan, metrics, source, treatment, as_of=instant)
        units = unit_table(pairs, metrics, plan.splits)
        run = partial(source.execute, reading=_READING)
        tables[treatment] = collect_moments(units, needs, by=("split", "value"), origins=origins, execute=run)
    found = ShadowPairs(
        experiment=plan.key,
        window=plan.window.window,
        as_of=instant,
        clustered=plan.analysis == "clustered",
        control=plan.control,
        metrics=metrics,
        segments=plan.splits,
        tables=tables,
    )
    if not any(counts.paired for counts in found.coverage.values()):
        versions = ", ".join(plan.variants[name].version for name in plan.treatments)
        raise Skipped(
            f"experiment {plan.key!r}: no request that version {plan.variants[plan.control].version} served in "
            f"{plan.window.window.label} was scored by version {versions} beside it"
        )
    return found


def _needs(metrics: Mapping[str, MetricDefinition]) -> Needs:
    needs = Needs(COVERAGE_MEASURES + DECISION_MEASURES) | Needs.of("agreed", "decided") | Needs.of("gained", "judged")
    for metric in metrics:
        needs |= Needs.of(*measures_of(metric)) | Needs((rows_measure(metric), spoilt_measure(metric)))
    return needs


def _part(moments: JointMoments, *places: int) -> JointMoments:
    """The moments of some of the measures, over the same rows."""
    products = tuple(tuple(moments.products[i][j] for j in places) for i in places)
    return JointMoments(
        moments.n, tuple(moments.origins[i] for i in places), tuple(moments.offsets[i] for i in places), products
    )
