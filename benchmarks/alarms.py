"""How often does a drift rule ring when nothing happened? Ours and two peers' rules, by sample size; then for a year.

Both sides are drawn from one distribution: normal for numbers, ten categories, one in ten values missing, a long tail
of 2,000 texts. Ours are judged as the stage judges a column (20 bins of the reference, cells merged where few rows are
expected), before the practical threshold has its say. The peers' rules are computed from their formula with their
default thresholds, as they stand in evidently 0.7.23 and nannyml 0.13.1; the peers are not run.

Then 25 columns over 52 weeks, each week one report, p-values adjusted over its columns: once with nothing to find and
once with five columns that do shift (by 0.2 to 1 standard deviations), from a random week on. Weeks are judged against
one fixed reference, so that they share its chance.

    python benchmarks/alarms.py [TRIALS [YEARS]]

TRIALS per rule and size are 2,000 unless given, YEARS 40; the peers' rules get a tenth of the trials.
Prints Markdown. Exits 1 when one of ours rings in more than 1.5 times 5 % of the trials, or an asymptotic one in less
than half, by more than three standard errors of the simulation; or when the share of false findings over a year's
reports is above 5 % by more than that.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats as scipy_stats

from toolkit import stats
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.metrics.profiles.scale import shares_needed
from toolkit.signals.drift import adjusted, judge_column

ALPHA, SEED = 0.05, 20130601
SIZES = ((50, 50), (500, 50), (500, 500), (2_000, 100), (2_000, 2_000), (20_000, 200), (20_000, 20_000))
CATEGORIES = np.array([0.28, 0.2, 0.14, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.02])
TAIL = 1 / np.arange(1, 2_001)
MISSING_SHARE = 0.1
COLUMNS, WEEKS, SHIFTING = 25, 52, 5
WEEK_ROWS, REFERENCE_ROWS = 1_000, 5_000

Rings = tuple[bool, ...]
Trial = Callable[[np.random.Generator, int, int], Rings]
"""Which rules ring on samples of one distribution with so many rows in the reference and now."""

Draw = Callable[[np.random.Generator, int], Any]
"""So many rows of a distribution: numbers, or how often each text comes."""


class Rules(NamedTuple):
    """Rules that look at the same samples, by name, and what they say. Of ours those `asymptotic` are meant to ring at
    the nominal rate, the others at most.
    """

    names: tuple[str, ...]
    trial: Trial
    ours: bool = False
    asymptotic: tuple[str, ...] = ()


# --- ours ---


def number_edges(reference: Any) -> ColumnEdges:
    """As the engine would lay them down, without its Python loops."""
    needed = shares_needed(20)
    quantiles = dict(zip(needed, np.quantile(reference, needed).tolist(), strict=True))
    return ColumnEdges.of_quantiles("x", quantiles, n=len(reference))


def number_counts(edges: ColumnEdges, values: Any) -> ColumnCounts:
    places = np.searchsorted(np.asarray(edges.edges), values)
    return ColumnCounts(edges, tuple(np.bincount(places, minlength=edges.size).tolist()))


def counted_texts(rng: np.random.Generator, shares: Any, n: int) -> dict[str, int]:
    """How often each text comes among so many rows; those that do not come are not there."""
    drawn = rng.multinomial(n, shares / shares.sum())
    return {f"t{place}": int(drawn[place]) for place in np.flatnonzero(drawn)}


def text_counts(edges: ColumnEdges, counted: dict[str, int]) -> ColumnCounts:
    tail = sum(counted.get(text, 0) for text in edges.tail)
    own = [counted.get(text, 0) for text in edges.values]
    unseen = sum(counted.values()) - sum(own) - tail
    return ColumnCounts(edges, (*own, tail) if edges.has_tail else tuple(own), unseen)


def judged(rng: np.random.Generator, n0: int, n1: int, draw: Draw) -> Any:
    then, now = draw(rng, n0), draw(rng, n1)
    if isinstance(then, dict):
        edges = ColumnEdges.of_texts("x", then, dtype="text")
        return judge_column(text_counts(edges, then), text_counts(edges, now))
    edges = number_edges(then)
    return judge_column(number_counts(edges, then), number_counts(edges, now))


def normal(rng: np.random.Generator, n: int) -> Any:
    return rng.standard_normal(n)


def ten(rng: np.random.Generator, n: int) -> dict[str, int]:
    return counted_texts(rng, CATEGORIES, n)


def tail(rng: np.random.Generator, n: int) -> dict[str, int]:
    return counted_texts(rng, TAIL, n)


def rings(p_value: float | None) -> bool:
    return p_value is not None and p_value <= ALPHA


def psi_rings(column: Any) -> bool:
    psi = column.shift.psi
    return bool(psi.value is not None and psi.value > psi.null.critical)


def on_numbers(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    """Chi-square, PSI, the bound of KS, and the whole rule: evidence and the practical threshold."""
    (column,) = adjusted([judged(rng, n0, n1, normal)])
    alarm = bool(column.changes)
    return rings(column.shift.p_value), psi_rings(column), rings(column.shift.ks_p), alarm


def on_categories(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    column = judged(rng, n0, n1, ten)
    return rings(column.shift.p_value), psi_rings(column)


def on_a_tail(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    column = judged(rng, n0, n1, tail)
    return rings(column.shift.p_value), rings(column.finding("unseen").p_value)


def on_values(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    return (rings(stats.ks(rng.standard_normal(n0), rng.standard_normal(n1)).p_value),)


def on_missing(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    x0, x1 = rng.binomial([n0, n1], MISSING_SHARE)
    return (rings(stats.shares_differ_p(int(x0), n0, int(x1), n1)),)


# --- the peers' rules, from their formula ---


def evidently_ks(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    return (bool(scipy_stats.ks_2samp(rng.standard_normal(n0), rng.standard_normal(n1)).pvalue <= ALPHA),)


def evidently_chi_square(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    """The reference's shares are taken for the truth."""
    then, now = rng.multinomial(n0, CATEGORIES), rng.multinomial(n1, CATEGORIES)
    used = then > 0
    if now[~used].any():
        return (True,)
    return (bool(scipy_stats.chisquare(now[used], then[used] / n0 * n1).pvalue < ALPHA),)


def evidently_wasserstein(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    then, now = rng.standard_normal(n0), rng.standard_normal(n1)
    return (bool(scipy_stats.wasserstein_distance(then, now) / max(then.std(), 0.001) >= 0.1),)


def evidently_psi(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    """Equal-width bins over both sides by Sturges' rule; empty ones get 1e-4 (or less)."""
    then, now = rng.standard_normal(n0), rng.standard_normal(n1)
    edges = np.histogram_bin_edges(np.concatenate([then, now]), bins="sturges")
    p, q = (np.histogram(side, edges)[0] / len(side) for side in (then, now))
    for shares in (p, q):
        least = shares[shares > 0].min()
        shares[shares == 0] = least / 1e6 if least <= 1e-4 else 1e-4
    return (bool(((p - q) * np.log(p / q)).sum() >= 0.1),)


def evidently_js(rng: np.random.Generator, n0: int, n1: int) -> Rings:
    """Natural logarithms."""
    then, now = rng.multinomial(n0, CATEGORIES), rng.multinomial(n1, CATEGORIES)
    return (bool(stats.js_distance(then, now) * math.sqrt(math.log(2)) >= 0.1),)


def nannyml_ks(rng: np.random.Generator, _: int, n1: int) -> Rings:
    """Mean and three deviations of the distances of ten chunks of the reference, each as large as the one judged."""
    chunks = rng.standard_normal((10, n1))
    whole = np.sort(chunks, axis=None)
    distances = [ks_distance(whole, chunk) for chunk in chunks]
    now = ks_distance(whole, rng.standard_normal(n1))
    return (bool(now > np.mean(distances) + 3 * np.std(distances)),)


def ks_distance(ordered: Any, values: Any) -> float:
    at = np.sort(values)
    below = np.searchsorted(ordered, at) / ordered.size
    steps = np.arange(at.size + 1) / at.size
    return float(max((below - steps[:-1]).max(), (steps[1:] - below).max()))


CHI_SQUARE, PSI = "chi-square", "PSI over its critical value"
RULES = (
    Rules(
        (
            f"{CHI_SQUARE}, numbers",
            f"{PSI}, numbers",
            "KS, lower bound from bins",
            "an alarm: evidence and threshold, numbers",
        ),
        on_numbers,
        ours=True,
        asymptotic=(f"{CHI_SQUARE}, numbers", f"{PSI}, numbers"),
    ),
    Rules(
        (f"{CHI_SQUARE}, ten categories", f"{PSI}, ten categories"),
        on_categories,
        ours=True,
        asymptotic=(f"{CHI_SQUARE}, ten categories", f"{PSI}, ten categories"),
    ),
    Rules((f"{CHI_SQUARE}, a long tail of texts", "unseen values in a long tail"), on_a_tail, ours=True),
    Rules(("KS from values",), on_values, ours=True, asymptotic=("KS from values",)),
    Rules(("missing share (Fisher or Pearson)",), on_missing, ours=True),
    Rules(("Evidently KS (reference up to 1,000)",), evidently_ks),
    Rules(("Evidently chi-square",), evidently_chi_square),
    Rules(("Evidently Wasserstein >= 0.1",), evidently_wasserstein),
    Rules(("Evidently PSI >= 0.1",), evidently_psi),
    Rules(("Evidently JS >= 0.1, ten categories",), evidently_js),
    Rules(("NannyML KS > mean + 3 sd of ten chunks",), nannyml_ks),
)


# --- a year of reports ---


class Year(NamedTuple):
    """What a year of weekly reports found: of all findings how many were false, and in how many weeks one was."""

    found: int
    false: int
    weeks_with_false: int
    alarms: int
    false_alarms: int


def year(rng: np.random.Generator, shifting: int) -> Year:
    """Found: evident after adjustment. Alarms: evident and beyond the threshold."""
    references = rng.standard_normal((COLUMNS, REFERENCE_ROWS))
    edges = [number_edges(reference) for reference in references]
    then = [number_counts(edge, reference) for edge, reference in zip(edges, references, strict=True)]
    starts = rng.integers(4, WEEKS, size=shifting)
    sizes = rng.uniform(0.2, 1.0, size=shifting)
    found = false = weeks = alarms = false_alarms = 0
    for week in range(WEEKS):
        shift = np.zeros(COLUMNS)
        shift[:shifting] = np.where(week >= starts, sizes, 0.0)
        now = shift[:, None] + rng.standard_normal((COLUMNS, WEEK_ROWS))
        report = adjusted(
            [
                judge_column(counts, number_counts(edge, values))
                for counts, edge, values in zip(then, edges, now, strict=True)
            ]
        )
        evident, ringing = [], []
        for place, column in enumerate(report):
            drift = column.finding("drift")
            if drift is not None and drift.p_adjusted is not None and drift.p_adjusted <= ALPHA:
                evident.append(place)
            if column.changes:
                ringing.append(place)
        untrue = [place for place in evident if shift[place] == 0]
        found, false, weeks = found + len(evident), false + len(untrue), weeks + bool(untrue)
        alarms, false_alarms = alarms + len(ringing), false_alarms + sum(shift[place] == 0 for place in ringing)
    return Year(found, false, weeks, alarms, false_alarms)


def report_years(years: int) -> bool:
    print(f"\n{COLUMNS} columns over {WEEKS} weeks of {WEEK_ROWS:,} rows, {years} years:\n")
    print("| | evident a year | false share of them | weeks with a false one | alarms a year | false alarms a year |")
    print("|---|--:|--:|--:|--:|--:|")
    kept = True
    for name, shifting in (("nothing shifts", 0), (f"{SHIFTING} columns shift", SHIFTING)):
        rng = np.random.default_rng((SEED, 99, shifting))
        found = [year(rng, shifting) for _ in range(years)]
        # Where nothing shifts every finding is false, and the rate is that of weeks with one.
        shares = [one.false / max(one.found, 1) if shifting else one.weeks_with_false / WEEKS for one in found]
        mean, error = float(np.mean(shares)), float(np.std(shares)) / math.sqrt(years)
        kept = kept and mean <= ALPHA + 3 * error and not sum(one.false_alarms for one in found)
        weeks = float(np.mean([one.weeks_with_false for one in found])) / WEEKS
        means = [float(np.mean(values)) for values in zip(*found, strict=True)]
        shown = f"{mean:.3f}" if shifting else "all"
        print(f"| {name} | {means[0]:.1f} | {shown} | {weeks:.3f} | {means[3]:.1f} | {means[4]:.2f} |")
    return kept


def report_rules(trials: int) -> bool:
    heads = [f"{n0:,} × {n1:,}" for n0, n1 in SIZES]
    print(f"Share of trials in which a rule rings at {ALPHA:.0%} on samples of one distribution (reference × now):\n")
    print(f"| rule | {' | '.join(heads)} |\n|---|{'--:|' * len(SIZES)}")
    kept = True
    for number, rules in enumerate(RULES):
        times = trials if rules.ours else max(trials // 10, 1)
        slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / times)
        rates = []
        for place, (n0, n1) in enumerate(SIZES):
            rng = np.random.default_rng((SEED, number, place))
            rates.append(np.mean([rules.trial(rng, n0, n1) for _ in range(times)], axis=0))
        for name, of_sizes in zip(rules.names, zip(*rates, strict=True), strict=True):
            low = 0.5 * ALPHA - slack if name in rules.asymptotic else 0.0
            wrong = [rules.ours and not low <= rate <= 1.5 * ALPHA + slack for rate in of_sizes]
            cells = [f"**{rate:.3f}**" if bad else f"{rate:.3f}" for rate, bad in zip(of_sizes, wrong, strict=True)]
            kept = kept and not any(wrong)
            print(f"| {name if rules.ours else f'*{name}*'} | {' | '.join(cells)} |", flush=True)
    return kept


def main() -> int:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    years = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    kept = [report_rules(trials), report_years(years)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
