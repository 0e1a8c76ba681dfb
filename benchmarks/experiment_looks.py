"""Do the looks at an experiment keep what they promise? Planned ones, unplanned ones, and both together.

Planned looks spend alpha = 0.05 by a function of the information (Lan & DeMets); unplanned ones use the confidence
sequence, which holds at any time. Simulated are the score itself (200,000 runs a row, the numbers of the recursion
beside them), traffic that stalls, floods and ends short, and whole experiments of units whose metric is skewed or rare
and whose variance is estimated at every look. An effect is the one that a single look at the end finds with power 0.8.

    python benchmarks/experiment_looks.py [RUNS]

Prints Markdown. Exits 1 when 14 planned looks (O'Brien-Fleming) leave a false-alarm rate of 4.5 to 5.0 % or find less
than 78 % of the effects (both within two simulation errors), or when unplanned looks pass 5 %.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from ways.tables import markdown

from toolkit import stats

ALPHA, POWER, LOOKS = 0.05, 0.8, 14
RUNS = 200_000
CHUNK = 2_000
UNPLANNED_A_DAY = 100
PATTERNS = 100
UNITS = 100
TUNE_N = 2 * UNITS * LOOKS
PLANNED = [look / LOOKS for look in range(1, LOOKS + 1)]
SINGLE = stats.boundary([1.0], alpha=ALPHA)
EFFECT = stats.drift_for_power(SINGLE, POWER)


@dataclass
class Promises:
    """What must hold, and what did not."""

    broken: list[str] = field(default_factory=list)

    def check(self, holds: bool, what: str) -> None:
        """Note a promise that does not hold."""
        if not holds:
            self.broken.append(what)


def error(share: float, runs: int) -> float:
    """The binomial standard error of a simulated share."""
    return math.sqrt(share * (1 - share) / runs)


def chunks(runs: int) -> Iterator[int]:
    """The runs, so many at a time that they fit the cache."""
    for start in range(0, runs, CHUNK):
        yield min(CHUNK, runs - start)


def scores(runs: int, fractions: Sequence[float], drift: float, rng: np.random.Generator) -> np.ndarray:
    """Z at each look: one row per run."""
    t = np.array(fractions)
    steps = np.diff(t, prepend=0.0)
    walk = rng.standard_normal((runs, t.size)) * np.sqrt(steps) + drift * steps
    return walk.cumsum(axis=1) / np.sqrt(t)


def crossed(z: np.ndarray, bounds: Sequence[float]) -> int:
    """Runs that cross on the good side, at any look."""
    return int((z >= np.array(bounds)).any(axis=1).sum())


def won(z: np.ndarray, bounds: stats.Boundary) -> int:
    """Runs that cross on the good side before they end on the other, or futile."""
    upper = z >= np.array(bounds.z)
    other = z <= -np.array(bounds.z)
    if bounds.futility:
        # At the end the two bounds meet.
        other[:, :-1] |= z[:, :-1] < np.array(bounds.futility[:-1])
    return int((first(upper) < first(other)).sum())


def first(ends: np.ndarray) -> np.ndarray:
    """The first look at which each run ends; past the last if it does not."""
    return np.where(ends.any(axis=1), ends.argmax(axis=1), ends.shape[1])


def always_valid(fractions: Sequence[float]) -> list[float]:
    """The reach of the confidence sequence that is narrowest at the planned end."""
    return [stats.always_valid_reach(fraction, alpha=ALPHA, tune_n=1.0) for fraction in fractions]


def bounds_of(z: Sequence[float], fractions: Sequence[float]) -> stats.Boundary:
    """Bounds that no spending function made."""
    return stats.Boundary(tuple(fractions), tuple(z), (0.0,) * len(z), ALPHA, 2)


def designs() -> dict[str, stats.Boundary]:
    """What can be done at 14 planned looks."""
    names = {"obrien_fleming": "O'Brien-Fleming spending", "pocock": "Pocock spending", "power": "power spending, t^3"}
    return {
        "one look at the end": SINGLE,
        "14 looks, each as if alone": bounds_of([stats.critical_value(1 - ALPHA)] * LOOKS, PLANNED),
        **{name: stats.boundary(PLANNED, alpha=ALPHA, spending=spending) for spending, name in names.items()},
        "O'Brien-Fleming, not binding futility": stats.with_futility(stats.boundary(PLANNED, alpha=ALPHA), power=POWER),
        "confidence sequence": bounds_of(always_valid(PLANNED), PLANNED),
    }


def planned_looks(runs: int, promises: Promises) -> list[dict[str, str]]:
    """Error, power, cost and duration of each design, by the recursion and by simulation."""
    rows = []
    for name, bounds in designs().items():
        nothing = stats.crossing_probability(bounds._replace(futility=()), 0.0)
        effect = stats.crossing_probability(bounds, EFFECT)
        rng = np.random.default_rng(1)
        false = found = 0
        for size in chunks(runs):
            z = scores(size, bounds.fractions, 0.0, rng)
            false += crossed(np.abs(z), bounds.z)
            z = scores(size, bounds.fractions, EFFECT, rng)
            found += won(z, bounds)
        false_share, found_share = false / runs, found / runs
        if name.startswith("O'Brien-Fleming spending"):
            slack = 2 * error(ALPHA, runs)
            promises.check(0.045 - slack <= false_share <= ALPHA + slack, f"{name}: false alarms {false_share:.2%}")
            promises.check(found_share >= 0.78 - 2 * error(POWER, runs), f"{name}: power {found_share:.1%}")
        cost = (stats.drift_for_power(bounds, POWER) / EFFECT) ** 2
        with_cost = stats.crossing_probability(bounds, EFFECT * math.sqrt(cost))
        rows.append(
            {
                "looks": name,
                "false alarms": f"{nothing.rejected:.2%}",
                "false alarms, simulated": f"{false_share:.2%}",
                "power, same sample": f"{effect.power:.1%}",
                "power, simulated": f"{found_share:.1%}",
                "sample for power 80 %": f"{cost:.3f}",
                "of it used with the effect": f"{with_cost.expected_fraction:.0%}",
                "used without it": f"{stats.crossing_probability(bounds, 0.0).expected_fraction:.0%}",
            }
        )
    return rows


def unplanned_looks(runs: int, promises: Promises) -> list[dict[str, str]]:
    """Looking 100 times a day, at 14 planned looks as well, and what both together stop for."""
    fractions = [step / (LOOKS * UNPLANNED_A_DAY) for step in range(1, LOOKS * UNPLANNED_A_DAY + 1)]
    reach = np.array(always_valid(fractions))
    fixed = stats.critical_value(1 - ALPHA)
    planned = np.array(stats.boundary(PLANNED, alpha=ALPHA).z)
    counts = dict.fromkeys(("as if alone", "sequence", "win", "harm"), 0)
    found = 0
    rng = np.random.default_rng(2)
    for size in chunks(runs):
        z = scores(size, fractions, 0.0, rng)
        counts["as if alone"] += int((np.abs(z) >= fixed).any(axis=1).sum())
        counts["sequence"] += int((np.abs(z) >= reach).any(axis=1).sum())
        wins, harms = first_ends(z, reach, planned)
        counts["win"] += int((wins < harms).sum())
        counts["harm"] += int((harms < wins).sum())
        wins, harms = first_ends(scores(size, fractions, EFFECT, rng), reach, planned)
        found += int((wins < harms).sum())
    share = {name: count / runs for name, count in counts.items()}
    promises.check(share["sequence"] <= ALPHA, f"unplanned looks: false alarms {share['sequence']:.2%}")
    promises.check(share["win"] <= ALPHA / 2 + 2 * error(ALPHA / 2, runs), f"both: false wins {share['win']:.2%}")
    return [
        {"1,400 looks at any time": name, "of runs without an effect": value}
        for name, value in {
            "each as if alone: called": f"{share['as if alone']:.1%}",
            "confidence sequence: called": f"{share['sequence']:.2%}",
            "14 of them planned, the others may stop for harm only: false win": f"{share['win']:.2%}",
            "the same: stopped for harm that is not there": f"{share['harm']:.2%}",
            "the same, with the effect: found": f"{found / runs:.1%}",
        }.items()
    ]


def first_ends(z: np.ndarray, reach: np.ndarray, planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first look at which each run wins (planned ones only) and is stopped for harm; past the end if never."""
    at = np.arange(UNPLANNED_A_DAY - 1, z.shape[1], UNPLANNED_A_DAY)
    harm = z <= -reach
    harm[:, at] = z[:, at] <= -planned
    win = np.zeros_like(harm)
    win[:, at] = z[:, at] >= planned
    return first(win), first(harm)


def traffic(kind: str, rng: np.random.Generator) -> list[float]:
    """Information at 14 daily looks when the days are not alike."""
    days = rng.gamma(2.0, 1.0, size=LOOKS)
    if kind == "stalls":
        days[rng.random(LOOKS) < 0.4] = 0.0
        days[0] = max(days[0], 1.0)
    scale = {"ends short": rng.uniform(0.3, 0.9), "floods": rng.uniform(1.1, 2.0)}.get(kind, 1.0)
    return (days.cumsum() / days.sum() * scale).tolist()


def uneven_traffic(runs: int, promises: Promises) -> list[dict[str, str]]:
    """False alarms where the information comes as it likes; each bound is made from the looks so far alone."""
    rows = []
    for kind in ("uneven days", "stalls", "ends short", "floods"):
        rng = np.random.default_rng(3)
        row = {"traffic": kind}
        for spending in stats.SPENDING:
            false, worst = 0, 0.0
            for _ in range(PATTERNS):
                fractions = traffic(kind, rng)
                z = [
                    stats.boundary(fractions[:k], alpha=ALPHA, spending=spending, final=k == LOOKS).z[-1]
                    for k in range(1, LOOKS + 1)
                ]
                worst = max(worst, stats.crossing_probability(bounds_of(z, fractions), 0.0).rejected)
                paths = scores(runs // PATTERNS, fractions, 0.0, rng)
                false += crossed(np.abs(paths), z)
            promises.check(worst <= ALPHA + 1e-4, f"{kind}, {spending}: false alarms {worst:.3%}")
            row[f"{spending}: simulated"] = f"{false / runs:.2%}"
            row[f"{spending}: recursion, worst"] = f"{worst:.3%}"
        rows.append(row)
    return rows


Draw = Callable[[np.random.Generator, int, float], np.ndarray]


def exponential(rng: np.random.Generator, runs: int, lift: float) -> np.ndarray:
    return (1 + lift) * rng.standard_exponential((runs, LOOKS, UNITS))


def lognormal(rng: np.random.Generator, runs: int, lift: float) -> np.ndarray:
    return (1 + lift) * np.exp(rng.standard_normal((runs, LOOKS, UNITS)))


def rare(rng: np.random.Generator, runs: int, lift: float) -> np.ndarray:
    return (rng.random((runs, LOOKS, UNITS)) < 0.05 * (1 + lift)).astype(float)


def normal(rng: np.random.Generator, runs: int, lift: float) -> np.ndarray:
    return 1 + lift + rng.standard_normal((runs, LOOKS, UNITS))


METRICS: dict[str, tuple[Draw, Callable[[float], float]]] = {
    # Beside each the variance of one unit under a lift.
    "normal": (normal, lambda _: 1.0),
    "exponential": (exponential, lambda lift: (1 + lift) ** 2),
    "lognormal": (lognormal, lambda lift: math.e * (math.e - 1) * (1 + lift) ** 2),
    "5 % of units": (rare, lambda lift: 0.05 * (1 + lift) * (1 - 0.05 * (1 + lift))),
}
MEANS = {"normal": 1.0, "exponential": 1.0, "lognormal": math.exp(0.5), "5 % of units": 0.05}


def statistics(draw: Draw, runs: int, lift: float, rng: np.random.Generator) -> np.ndarray:
    """Welch's statistic at each look, 0 where nothing varies."""
    n = UNITS * np.arange(1, LOOKS + 1)
    means, squares = [], []
    for factor in (0.0, lift):
        values = draw(rng, runs, factor)
        total, square = values.sum(axis=2).cumsum(axis=1), np.square(values).sum(axis=2).cumsum(axis=1)
        means.append(total / n)
        squares.append((square - total * total / n) / (n - 1) / n)
    variance = squares[0] + squares[1]
    return np.divide(means[1] - means[0], np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)


def units(runs: int) -> list[dict[str, str]]:
    """Whole experiments: 100 units a day and variant, the standard error estimated at each look."""
    planned = stats.boundary(PLANNED, alpha=ALPHA).z
    bounds = [stats.studentized(z, 2 * (UNITS * day - 1)) for day, z in enumerate(planned, start=1)]
    single = [math.inf] * (LOOKS - 1) + [stats.critical_value(1 - ALPHA, df=2 * (UNITS * LOOKS - 1))]
    sequence = [stats.always_valid_reach(2 * UNITS * day, alpha=ALPHA, tune_n=TUNE_N) for day in range(1, LOOKS + 1)]
    rows = []
    for name, (draw, variance) in METRICS.items():
        lift = 0.1
        for _ in range(200):
            lift = EFFECT * math.sqrt((variance(0.0) + variance(lift)) / (UNITS * LOOKS)) / MEANS[name]
        false, found = np.zeros(3), np.zeros(3)
        rng = np.random.default_rng(4)
        for size in chunks(runs):
            nothing = np.abs(statistics(draw, size, 0.0, rng))
            effect = statistics(draw, size, lift, rng)
            for which, reach in enumerate((single, bounds, sequence)):
                false[which] += crossed(nothing, reach)
                found[which] += crossed(effect, reach)
        titles = ("one look", "O'Brien-Fleming", "confidence sequence")
        rows.append(
            {"metric": name}
            | {f"{title}: false": f"{count / runs:.2%}" for title, count in zip(titles, false, strict=True)}
            | {f"{title}: found": f"{count / runs:.1%}" for title, count in zip(titles, found, strict=True)}
        )
    return rows


def cost() -> list[dict[str, str]]:
    """What bounds cost, each made anew."""
    rows = []
    for looks in (1, 5, 14, 30, 100):
        fractions = [look / looks for look in range(1, looks + 1)]
        spent = []
        for repeat in range(20):
            # Another alpha each time: bounds are remembered.
            began = time.perf_counter()
            bounds = stats.boundary(fractions, alpha=ALPHA + repeat * 1e-9)
            spent.append(time.perf_counter() - began)
        began = time.perf_counter()
        stats.inflation(fractions, alpha=ALPHA, power=POWER)
        inflated = time.perf_counter() - began
        rows.append(
            {
                "looks": str(looks),
                "bounds, ms": f"{1000 * float(np.median(spent)):.1f}",
                "inflation, ms": f"{1000 * inflated:.0f}",
                "last bound": f"{bounds.z[-1]:.4f}",
            }
        )
    return rows


def main() -> int:
    """Run everything; whether the promises hold."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    promises = Promises()
    unit_runs, fine_runs = max(runs // 2, CHUNK), max(runs // 2, CHUNK)
    print(f"# {LOOKS} planned looks, alpha {ALPHA:.0%} (two-sided), an effect that one look finds at {POWER:.0%}\n")
    print(
        f"{runs:,} runs a row: the simulation's standard error is {error(ALPHA, runs):.2%} of the false alarms and "
        f"{error(POWER, runs):.1%} of the power. The false alarms beside the bound for futility are those of a test "
        "that goes on in spite of it.\n"
    )
    print(markdown(planned_looks(runs, promises)))
    print(f"\n# Looks that nobody planned\n\n{fine_runs:,} runs.\n")
    print(markdown(unplanned_looks(fine_runs, promises)))
    print(f"\n# Information that comes as it likes\n\n{PATTERNS} patterns of traffic a row, {runs:,} runs.\n")
    print(markdown(uneven_traffic(runs, promises)))
    print(f"\n# Units: {UNITS} a day and variant, {unit_runs:,} experiments each\n")
    print(markdown(units(unit_runs)))
    print("\n# Cost\n")
    print(markdown(cost()))
    print("\nEvery promise holds." if not promises.broken else "\nBROKEN: " + "; ".join(promises.broken))
    return 1 if promises.broken else 0


if __name__ == "__main__":
    sys.exit(main())
