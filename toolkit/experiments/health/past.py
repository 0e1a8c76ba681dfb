"""What was before the exposure: the units' own past in the plan's metrics, and the covariates known at assignment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from toolkit import stats
from toolkit.experiments.health.evidence import Evidence, share_gap

if TYPE_CHECKING:
    from toolkit.stats.joint_moments import JointMoments


class PastDifference(NamedTuple):
    """Treatment minus control in something that was there before the treatment could change it."""

    what: str
    treatment: str
    estimate: stats.Estimate


def past_differences(seen: Evidence) -> tuple[list[PastDifference], str]:
    """Every such difference, and why there is none."""
    found = [each for treatment in seen.plan.treatments for each in _of_treatment(seen, treatment)]
    if not any(each.estimate.p_value is not None for each in found):
        return [], "no unit has a past in the data, and the plan names no covariate column"
    return found, ""


def _of_treatment(seen: Evidence, treatment: str) -> Iterator[PastDifference]:
    units, exposed = seen.units, seen.exposed
    with_past: tuple[int, int] | None = None
    for metric in seen.plan.metrics:
        if not units.metrics[metric].adds_up:
            continue
        past = units.past(metric, treatment)
        with_past = with_past or (past.control.n, past.treatment.n)
        if past.control.n or past.treatment.n:
            estimate = stats.compare(past).difference
            yield PastDifference(f"their own past {metric}", treatment, estimate)
    if with_past and any(with_past) and not units.clustered:
        # A unit that is new has no past; a client that changes its units' ids makes them look new.
        gap = share_gap(with_past[0], exposed[seen.plan.control], with_past[1], exposed[treatment])
        yield PastDifference("the share of them with a past", treatment, gap)
    yield from _of_columns(seen, treatment)


def _of_columns(seen: Evidence, treatment: str) -> Iterator[PastDifference]:
    columns = [place for place, covariate in enumerate(seen.plan.covariates) if covariate.column is not None]
    if not columns:
        return
    samples = seen.units.samples(seen.plan.primary, treatment, covariates=True)
    for place in columns:
        chosen = (2 + 2 * place, 3 + 2 * place)
        estimate = stats.compare(_only(samples, chosen)).difference
        yield PastDifference(f"the covariate {seen.plan.covariates[place].label}", treatment, estimate)


def _only(samples: stats.TwoSamples, chosen: tuple[int, int]) -> stats.TwoSamples:
    """Two of the measures as a ratio of their own."""
    crossed = samples.crossed
    return samples._replace(
        control=_of(samples.control, chosen),
        treatment=_of(samples.treatment, chosen),
        shift=0.0,
        share=False,
        crossed=None if crossed is None else tuple(tuple(crossed[i][j] for j in chosen) for i in chosen),
        infinite=0,
    )


def _of(moments: JointMoments, chosen: tuple[int, int]) -> JointMoments:
    return moments._replace(
        origins=tuple(moments.origins[i] for i in chosen),
        offsets=tuple(moments.offsets[i] for i in chosen),
        products=tuple(tuple(moments.products[i][j] for j in chosen) for i in chosen),
    )
