"""The search: all conjunctions in one scan, the sharpest of them, those that share little, and whether they hold.

The search sees every second day of the reference period and the current window but its last week. What it lists is
tested on the days that it did not see, with days as clusters: neither the choice among many thousands of segments nor
requests that resemble each other on one day can make that test call too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.checks import check_at_least
from toolkit.data import Source
from toolkit.metrics.conjunctions import FREE, MOST_PATTERNS, Conjunctions, Lattice
from toolkit.metrics.query import Question
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.segment_search.conditions import Conditions, choose_conditions, describe
from toolkit.signals.segment_search.cover import Overlaps, cover, sharpest
from toolkit.signals.segment_search.days import CONFIRM_DAYS, SearchDays
from toolkit.signals.segment_search.evidence import DayPatterns, rise, widen_by_day
from toolkit.signals.segment_search.found import SegmentSearch
from toolkit.signals.segment_search.listing import Listing
from toolkit.signals.signal import EVIDENCE_ALPHA
from toolkit.stats import Contrasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_LISTED = 10
_MOST_HARD = 5
_CANDIDATES = 40
_HARD_CANDIDATES = MOST_PATTERNS - _CANDIDATES
_PER_COLUMNS = 4

_PRIOR_SEGMENTS = 4_000
"""About so many of the segments say how large rises are: more, which overlap all the more, would say the same."""


def find_segments(
    source: Source,
    observation: Observation,
    *,
    columns: Sequence[str] = (),
    depth: int = 3,
    bins: int = 6,
    fewest: int = 100,
) -> SegmentSearch:
    """Search all segments of up to `depth` conditions for those whose loss rose more than elsewhere.

    A segment's newly excess loss is its current mean loss minus its own in the reference period; what is beyond the
    same of all other requests is its own trouble, and is what is tested: Welch over all segments (Benjamini-Hochberg),
    then day-clustered on days that the search did not see. Segments that were hard before are listed apart.

    Parameters
    ----------
    columns: columns of predictions, or segments that metrics.yml names; by default the model's segments, then its
        version's features, eight at most.
    bins: ranges that a number is cut into, by quantiles of the reference period.
    fewest: labelled requests that a segment needs in the searched days of each period.

    Raises `UnknownNameError` for a column that is not there, `ArgumentError` for too many, `ContractError`.
    """
    check_at_least("depth", depth, 1)
    check_at_least("fewest", fewest, 2)
    nothing = SegmentSearch(
        window=observation.window,
        metric=observation.model.loss,
        threshold=observation.metrics[observation.model.loss].practical_threshold,
    )
    if reason := _refusal(observation):
        return replace(nothing, reason=reason)
    chosen = choose_conditions(source, observation, columns, bins=bins)
    if not chosen.codings:
        return replace(nothing, reason="no column has two values to tell apart", left_out=chosen.left_out)
    days = SearchDays.of(observation)
    requests = sum(int(observation.cells.total("labelled", name)) for name in (REFERENCE, CURRENT))
    searched = replace(
        nothing,
        columns=tuple(coding.column for coding in chosen.codings),
        left_out=chosen.left_out,
        depth=depth,
        fewest=fewest,
        confirmed_on=f"{days.current_kept[0]} … {days.current_kept[-1]}",
        total_per_week=_total(observation),
    )
    with Conjunctions(_question(source, observation, chosen), chosen.codings).kept(requests) as conjunctions:
        lattice = conjunctions.lattice(depth=depth, fewest=fewest, days=days.searched)
        if not len(lattice.codes):
            return replace(searched, reason=f"no segment has {fewest} labelled requests in both periods")
        searched = replace(searched, looked_at=len(lattice.codes))
        return _look(searched, observation, conjunctions, lattice, days)


def _refusal(observation: Observation) -> str:
    """Why the observation cannot be searched, or ""."""
    if observation.early is not None:
        return "early labels have weights, and a search counts each label once; observe without a weighting"
    for name in (REFERENCE, CURRENT):
        window = observation.cells.population(name).window
        if window.days < 2 * CONFIRM_DAYS:
            return (
                f"the {name} period has {window.days:g} days, and to search and to confirm takes {2 * CONFIRM_DAYS} "
                f"or more"
            )
    loss = observation.model.loss
    for name in (REFERENCE, CURRENT):
        estimate = observation.cells.estimate(loss, name)
        if estimate.value is None:
            return f"the loss of the {name} period is absent ({estimate.reason})"
    return ""


def _question(source: Source, observation: Observation, chosen: Conditions) -> Question:
    loss = observation.model.loss
    return Question.of(
        source,
        observation.model,
        {loss: observation.metrics[loss]},
        [observation.cells.population(name) for name in (REFERENCE, CURRENT)],
        as_of=observation.as_of,
        segments=[coding.column for coding in chosen.codings],
    )


def _total(observation: Observation) -> stats.Estimate:
    cells, loss = observation.cells, observation.model.loss
    change = stats.difference(cells.estimate(loss, REFERENCE), cells.estimate(loss, CURRENT))
    return stats.scaled(change, observation.labelled_per_week)


def _look(
    searched: SegmentSearch, observation: Observation, conjunctions: Conjunctions, lattice: Lattice, days: SearchDays
) -> SegmentSearch:
    """The rest of the search, once the engine has given the sums of all segments."""
    rises = stats.rise_beyond_rest(lattice.reference, lattice.current, lattice.whole_reference, lattice.whole_current)
    hardness = stats.above_rest(lattice.reference, lattice.whole_reference)
    grew = lattice.current.means() - lattice.reference.means() >= searched.threshold
    bad = _screen(lattice, rises, grew, searched.threshold, most=_CANDIDATES)
    hard = _screen(lattice, hardness, hardness.tested, searched.threshold, most=_HARD_CANDIDATES)
    searched = replace(searched, evident=bad.evident, unlisted=_why_unlisted(bad))
    if not bad.candidates and not hard.candidates:
        return searched
    candidates = [*bad.candidates, *hard.candidates]
    segments = [lattice.segment(at) for at in candidates]
    patterns = conjunctions.patterns(segments, days=days.searched)
    overlaps = Overlaps.of(patterns, len(segments))
    then, now = (DayPatterns.of(patterns, population) for population in (0, 1))
    first_hard = len(bad.candidates)
    by_day = widen_by_day([rise(then, now, bit) for bit in range(len(segments))], rises.ses[candidates])
    hard_by_day = widen_by_day([then.against_rest(bit) for bit in range(len(segments))], hardness.ses[candidates])
    picks = cover(
        overlaps,
        range(first_hard),
        lambda *left: stats.rise_beyond_rest(*left).widened(by_day),
        largest_p=bad.largest_p,
        smallest_value=searched.threshold,
        most=_MOST_LISTED,
    )
    hard_picks = cover(
        overlaps,
        range(first_hard, len(segments)),
        lambda reference, _, whole, __: stats.above_rest(reference, whole).widened(hard_by_day),
        largest_p=hard.largest_p,
        smallest_value=searched.threshold,
        most=_MOST_HARD,
    )
    listed = [segments[pick] for pick in (*picks, *hard_picks)]
    if not listed:
        return searched
    prior = _prior(rises, by_day[:first_hard])
    adjusted = [float(bad.adjusted[candidates[pick]]) for pick in picks]
    listing = Listing.of(conjunctions.patterns(listed), days)
    described = [describe(segment, conjunctions.codings) for segment in listed]
    newly_bad = listing.newly_bad(described[: len(picks)], adjusted, prior, weeks=observation.weeks)
    always_hard = listing.always_hard(described[len(picks) :], first=len(picks))
    return replace(searched, newly_bad=newly_bad, always_hard=always_hard)


def _prior(rises: Contrasts, factors: NDArray[Any]) -> stats.EffectPrior:
    """How large rises are among all segments, with errors as much wider by day as those of the candidates are."""
    import numpy as np

    tested = np.flatnonzero(rises.tested)
    chosen = tested[:: max(1, len(tested) // _PRIOR_SEGMENTS)]
    known = factors[np.isfinite(factors)]
    wider = float(np.median(known)) if known.size else 1.0
    return stats.fit_effects(rises.values[chosen], rises.ses[chosen] * wider)


@dataclass(frozen=True, eq=False)
class _Screened:
    """The segments that pass a screen: `candidates` are the sharpest, `largest_p` what rejecting one takes."""

    candidates: list[int]
    evident: int
    largest_p: float
    adjusted: NDArray[Any]


def _screen(lattice: Lattice, contrasts: Contrasts, allowed: NDArray[Any], threshold: float, *, most: int) -> _Screened:
    import numpy as np

    adjusted = np.asarray(stats.adjust_p(contrasts.p_values.tolist(), "benjamini-hochberg"), dtype="float64")
    rejected = adjusted <= EVIDENCE_ALPHA
    evident = rejected & contrasts.tested & allowed & (contrasts.values >= threshold)
    scores = contrasts.scores
    kept = np.flatnonzero(evident & sharpest(lattice, scores))
    best = _spread(lattice, kept[np.lexsort((kept, -scores[kept]))])[:most]
    largest = float(contrasts.p_values[rejected].max()) if rejected.any() else 0.0
    return _Screened(best, int(evident.sum()), largest, adjusted)


def _why_unlisted(bad: _Screened) -> str:
    """Why none of the evident segments is listed, where none will be: nothing but the cover drops a candidate."""
    if not bad.candidates:
        return "each is blurred: a segment with one condition more or less, itself not evident, rose more sharply"
    return "counted by day none is evident, as their losses differ so much from one day to the next"


def _spread(lattice: Lattice, ranked: NDArray[Any]) -> list[int]:
    """The best few of each set of columns: the values of one, such as the weekday, do not crowd out all others."""
    taken: dict[tuple[bool, ...], int] = {}
    kept = []
    for at in ranked.tolist():
        columns = tuple((lattice.codes[at] != FREE).tolist())
        taken[columns] = taken.get(columns, 0) + 1
        if taken[columns] <= _PER_COLUMNS:
            kept.append(at)
    return kept
