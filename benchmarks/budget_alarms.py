"""How often do error-budget alarms ring for nothing, and how soon do they ring for something?

Simulated are whole years of a service whose bad requests come exactly as often as its objective allows: every page is
then a false one. Beside the toolkit's rules stand the same rules as they are commonly run (The Site Reliability
Workbook, chapter 5, without a guard), and with a guard that only looks at one window (binomial tail below 0.001).
Requests come at one rate, or nine in ten of them by day. Then an outage of 100 %, of 10 % and at twice the allowed
share is planted, and the time until the first page or ticket is measured.

    python benchmarks/budget_alarms.py [YEARS]

Prints Markdown. Exits 1 when the toolkit pages more than once a year for nothing at 10 requests an hour (beyond two
simulation errors), or pages for a total outage at 1,000 requests an hour more than two looks after the budget's own
time.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy import special
from ways.tables import markdown

from toolkit import stats
from toolkit.metrics.hourly import Totals
from toolkit.signals.budgets.burns import find_alarms
from toolkit.stats import BURN_RULES, BurnRule
from toolkit.windows import Window

YEARS = 200
START = datetime(2030, 1, 1, tzinfo=UTC)
SLOT_S = 300.0
YEAR_SLOTS = 365 * 288
RATES = (1, 10, 100, 1_000)
ALLOWED = (0.001, 0.01, 0.03)
OUTAGES = {"100 % fail": 1.0, "10 % fail": 0.1, "twice the allowed share": None}
WARM_DAYS, WATCHED_DAYS = 4, 4

Rings = Callable[[Totals, Window, float], list[tuple[BurnRule, float]]]
"""When rules begin to ring in a window: the rule, and seconds since 1970."""


def arrivals(rate: float, slots: int, rng: np.random.Generator, *, by_day: bool) -> np.ndarray:
    """Requests of each five minutes; by day nine in ten of them come between 8 and 20 o'clock."""
    mean = np.full(slots, rate / 12)
    if by_day:
        hour = np.arange(slots) // 12 % 24
        mean *= np.where((hour >= 8) & (hour < 20), 1.8, 0.2)
    return rng.poisson(mean)


def totals_of(n: np.ndarray, bad: np.ndarray) -> Totals:
    """The running sums of slots in a row, as the engine's counts give them: empty slots are not there."""
    kept = np.flatnonzero(n)
    starts = START.timestamp() + kept * SLOT_S
    summed = [np.concatenate([[0], np.cumsum(values[kept])]).astype(np.int64) for values in (bad, n)]
    return Totals(starts, *summed)


def ours(totals: Totals, window: Window, allowed: float) -> list[tuple[BurnRule, float]]:
    """The toolkit's alarms."""
    found = find_alarms(totals, window=window, allowed_share=allowed)
    return [(alarm.rule, alarm.started_at.timestamp()) for alarm in found]


def plain(guard: Callable[[Any, Any, float], Any]) -> Rings:
    """The rules by the book, with a guard of the long window; pauses shorter than it are one alarm here too."""

    def rings(totals: Totals, window: Window, allowed: float) -> list[tuple[BurnRule, float]]:
        times = np.arange(window.start.timestamp() + SLOT_S, window.end.timestamp() + 1, SLOT_S)
        last, begun = totals.before(times), []
        for rule in BURN_RULES:
            fast = np.ones(times.size, dtype=bool)
            for minutes in (rule.long_min, rule.short_min):
                first = totals.before(times - minutes * 60)
                bad, n = totals.bad[last] - totals.bad[first], totals.n[last] - totals.n[first]
                fast &= bad > rule.burn * allowed * n
                if minutes == rule.long_min:
                    counts = bad, n
            places = np.flatnonzero(fast)
            places = places[guard(*(each[places] for each in counts), allowed)]
            new = np.concatenate([[True], np.diff(times[places]) > rule.long_min * 60])[: places.size]
            begun += [(rule, float(at)) for at in times[places][new]]
        return begun

    return rings


def tail(bad: np.ndarray, n: np.ndarray, allowed: float) -> np.ndarray:
    """P(X >= bad) below 0.001."""
    k = np.maximum(bad, 1)
    return np.where(bad > 0, special.betainc(k, np.maximum(n - k + 1, 1), allowed), 1.0) < 1e-3


def some(_bad: np.ndarray, n: np.ndarray, _allowed: float) -> np.ndarray:
    """No guard but that there is a request."""
    return n > 0


WAYS: dict[str, Rings] = {
    "by the book": plain(some),
    "tail of one window < 0.001": plain(tail),
    "toolkit": ours,
}


def false_alarms(years: int, broken: list[str]) -> list[dict[str, str]]:
    """Pages and tickets a year of a service at its limit, by rate, allowed share and way."""
    rows = []
    window = Window(START + timedelta(days=4), START + timedelta(days=365))
    for rate in RATES:
        for by_day in (False, True):
            for allowed in ALLOWED:
                rng = np.random.default_rng(1)
                counts = {way: [0, 0] for way in WAYS}
                runs = max(20, years // 10) if rate > 10 else years
                for _ in range(runs):
                    n = arrivals(rate, YEAR_SLOTS, rng, by_day=by_day)
                    totals = totals_of(n, rng.binomial(n, allowed))
                    for way, rings in WAYS.items():
                        begun = rings(totals, window, allowed)
                        counts[way][0] += sum(rule.severity == "page" for rule, _ in begun)
                        counts[way][1] += sum(rule.severity == "ticket" for rule, _ in begun)
                row = {"requests an hour": f"{rate:,}{' (by day)' if by_day else ''}", "allowed": f"{allowed:.1%}"}
                for way, (pages, tickets) in counts.items():
                    row[f"{way}: pages a year"] = f"{pages / runs:.2f}"
                    row[f"{way}: tickets"] = f"{tickets / runs:.2f}"
                rows.append(row)
                pages = counts["toolkit"][0]
                if rate == 10 and pages > runs + 2 * math.sqrt(max(pages, 1)):
                    broken.append(f"{pages / runs:.2f} false pages a year at {rate} requests an hour, {allowed:.1%}")
    return rows


def detection(years: int, broken: list[str]) -> list[dict[str, str]]:
    """Minutes from the start of an outage to the first page, and to the first of anything; medians."""
    rows = []
    warm, watched = WARM_DAYS * 288, WATCHED_DAYS * 288
    begins = START + timedelta(days=WARM_DAYS)
    window = Window(begins, begins + timedelta(days=WATCHED_DAYS))
    for allowed in ALLOWED:
        for name, share in OUTAGES.items():
            failing = 2 * allowed if share is None else share
            for rate in (10, 100, 1_000):
                rng = np.random.default_rng(2)
                first: dict[str, list[float]] = {"page": [], "any": []}
                runs = max(20, years // 4)
                for _ in range(runs):
                    n = arrivals(rate, warm + watched, rng, by_day=False)
                    chance = np.where(np.arange(n.size) >= warm, failing, allowed / 2)
                    begun = ours(totals_of(n, rng.binomial(n, chance)), window, allowed)
                    for kind, kept in (("page", ["page"]), ("any", ["page", "ticket"])):
                        found = [at for rule, at in begun if rule.severity in kept]
                        first[kind].append((min(found) - begins.timestamp()) / 60 if found else math.inf)
                budget = [
                    stats.detection_min(rule, bad_share=failing, allowed_share=allowed)
                    for rule in BURN_RULES
                    if rule.severity == "page"
                ]
                own = min((minutes for minutes in budget if minutes is not None), default=math.inf)
                rows.append(
                    {
                        "outage": name,
                        "allowed": f"{allowed:.1%}",
                        "requests an hour": f"{rate:,}",
                        "budget's own time to a page": minutes_text(own),
                        "page, median": minutes_text(float(np.median(first["page"]))),
                        "page or ticket, median": minutes_text(float(np.median(first["any"]))),
                        f"rang within {WATCHED_DAYS} days": f"{np.isfinite(first['any']).mean():.0%}",
                    }
                )
                if share == 1.0 and rate == 1_000 and np.median(first["page"]) > own + 2 * SLOT_S / 60:
                    broken.append(f"{name} at {rate:,} an hour, {allowed:.1%}: paged after {rows[-1]['page, median']}")
    return rows


def minutes_text(minutes: float) -> str:
    """A length of time as people say it."""
    if not math.isfinite(minutes):
        return "never"
    return f"{minutes:.3g} min" if minutes < 120 else f"{minutes / 60:.3g} h"


def main() -> int:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else YEARS
    broken: list[str] = []
    print(f"## False alarms of a service exactly at its limit, {years} years a row (a tenth above 10 an hour)\n")
    print(markdown(false_alarms(years, broken)))
    print("\n## Time from the start of an outage to the first alarm (toolkit)\n")
    print(markdown(detection(years, broken)))
    print("\n" + ("\n".join(f"BROKEN: {what}" for what in broken) or "All promises hold."))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
