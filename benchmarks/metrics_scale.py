"""Do metrics scale? Moments of unit rows, unit-days from events, AUC and calibration: against what one would write.

The data are made by DuckDB: units with a proportion, two means with covariates and a ratio with covariates (the four
metrics of the study), in two variants and 20 countries; events of 2 million units in 28 days; scores with labels. More
than 10 million units are those of 10 million again and again. scikit-learn's functions and the toolkit read the same
two columns of one file; a report asks for all numbers of the scores together, so that is a line of its own. Each
figure is of a process of its own that has imported, connected and worked on a tiny table before; one engine thread
everywhere. CPU and wall are medians of its runs, the peak is of the whole process. Ways that are held against each
other take turns, and the median turn counts. The hand-written query has raw sums,
as gbstats and spotify-confidence want them. Peers are installed for the run into environments of their own; where that
cannot be done, the table says so. Spark's figures hold those of its JVM.

    python benchmarks/metrics_scale.py [ROWS …]

ROWS are 1, 10 and 100 million unless given; the promises are of 10 million (and of 100, of growth). Prints Markdown.
Exits 1 when a promise is missed: at 10 million at most 1.3 times the CPU of the hand-written query and 400 MiB, 20
segments at most 1.5 times one; at 100 million the same memory and at most 12 times the CPU; from cached moments at most
150 ms; unit-days at most 1.3 times the CPU of the hand-written query in 1 GiB, for 28 days and for one more; exact AUC
and calibration, each alone, both, and with all that a report asks of the scores, at least 5 times less CPU than
scikit-learn; all numbers the same to 1e-9. Of a curve alone that is not kept on every day: scikit-learn takes between
0.6 and 1.9 s for it on one and the same machine, by how the machine gives it memory.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ways.made_units import UNITS_SQL, chances
from ways.process import highest_mib, install

HERE = Path(__file__).resolve()
ROWS = (1_000_000, 10_000_000, 100_000_000)
PROMISED, LARGE = 10_000_000, 100_000_000
EVENTS, DAYS, UNITS = 40_000_000, 28, 2_000_000
ALL_DAYS = [f"2025-03-{day:02d}" for day in range(1, DAYS + 1)]
SCORES = 10_000_000
MOST_CPU, MOST_SEGMENTS, MOST_GROWTH, LEAST_GAIN = 1.3, 1.5, 12.0, 5.0
MOST_MIB, MOST_BUILD_MIB, MOST_CACHED_MS = 400, 1024, 150
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
TINY = 1000

PEERS = {
    "tea-tasting": ("tea-tasting", "ibis-framework[duckdb]", "pandas", "pyarrow", "sqlglot<30.18"),
    "gbstats": ("gbstats",),
    "spotify-confidence": ("spotify-confidence",),
}
WAYS = {
    "hand": "hand-written DuckDB query",
    "toolkit": "toolkit",
    "hand 20": "hand-written, 20 segments",
    "toolkit 20": "toolkit, 20 segments",
    "cached": "toolkit, from cached moments",
    "gbstats": "gbstats on hand-written sums",
    "spotify-confidence": "spotify-confidence on hand-written sums (3 metrics)",
    "tea-tasting": "tea-tasting, Ibis",
    "tea-tasting 20": "tea-tasting, Ibis, a loop over 20 segments",
    "tea-tasting pandas": "tea-tasting, pandas",
    "spark": "toolkit on Spark, local[1]",
}

COMPARED = ("hand", "toolkit", "hand 20", "toolkit 20")
"""The ways that promises hold against each other, and those that 100 million rows are shown to."""

EVENTS_SQL = """
SELECT 'u' || lpad((floor(u1 * {units})::BIGINT)::VARCHAR, 8, '0') AS unit_id,
    TIMESTAMPTZ '2025-03-01 00:00:00+00' + to_microseconds((i * {step})::BIGINT) AS occurred_at,
    (u2 < 0.2)::DOUBLE AS clicks, round(-ln(u3) * 20, 2) AS revenue, floor(20 + 400 * u4) AS latency_ms
FROM ({chances})"""
SCORES_SQL = "SELECT u1 * u1 AS score, (u2 < u1 * u1)::DOUBLE AS label FROM ({chances})"


class Cost(NamedTuple):
    """Of one way, as its process measured it; `answer` is what it found."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    answer: Any


# --- data -----------------------------------------------------------------------------------------------------------


def make(kind: str, rows: str, path: str) -> None:
    """More than 10 million units are those of 10 million again and again: to draw them costs more than to measure."""
    from ways.by_hand import open_engine

    drawn = int(rows)
    if kind == "units" and drawn > PROMISED:
        few = f"{path}.few"
        make(kind, str(PROMISED), few)
        query = f"SELECT * FROM read_parquet({[few] * math.ceil(drawn / PROMISED)}) LIMIT {drawn}"
    else:
        sql = {"units": UNITS_SQL, "events": EVENTS_SQL, "scores": SCORES_SQL}[kind]
        step = DAYS * 86_400_000_000 / drawn
        query = sql.format(chances=chances(drawn), units=min(UNITS, drawn), step=step)
    open_engine().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
    Path(f"{path}.few").unlink(missing_ok=True)


# --- a way, in a process of its own ----------------------------------------------------------------------------------

PROCESSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "hand": ("by_hand", "group_sums", {}),
    "toolkit": ("by_toolkit", "moments", {}),
    "hand 20": ("by_hand", "group_sums", {"keys": ["country"]}),
    "toolkit 20": ("by_toolkit", "moments", {"splits": ["country"]}),
    "cached": ("by_toolkit", "cached_moments", {}),
    "gbstats": ("by_peers", "gbstats", {}),
    "spotify-confidence": ("by_peers", "spotify", {}),
    "tea-tasting": ("by_peers", "tea_tasting", {}),
    "tea-tasting 20": ("by_peers", "tea_tasting", {"segments": 20}),
    "tea-tasting pandas": ("by_peers", "tea_tasting", {"pandas": True}),
    "spark": ("by_toolkit", "moments", {"spark": True}),
    "days by hand": ("by_hand", "unit_days", {"days": ALL_DAYS}),
    "days": ("by_toolkit", "unit_days", {"days": ALL_DAYS}),
    "day by hand": ("by_hand", "unit_days", {"days": ALL_DAYS[-1:]}),
    "day": ("by_toolkit", "unit_days", {"days": ALL_DAYS[-1:]}),
    "read": ("by_hand", "read_scores", {}),
    "scores sklearn": ("by_hand", "sklearn_all", {}),
    "scores": ("by_toolkit", "all_scores", {}),
    "auc sklearn": ("by_hand", "sklearn_auc", {}),
    "auc": ("by_toolkit", "auc", {}),
    "both sklearn": ("by_hand", "sklearn_auc_and_curve", {}),
    "both": ("by_toolkit", "auc_and_curve", {}),
    "width sklearn": ("by_hand", "sklearn_curve", {"strategy": "uniform"}),
    "width": ("by_toolkit", "curve_of_width", {}),
    "mass sklearn": ("by_hand", "sklearn_curve", {"strategy": "quantile"}),
    "mass": ("by_toolkit", "curve_of_mass", {}),
}
"""Each way: the module and function of `ways` that makes it, and with what."""


def be_process(name: str, path: str, tiny: str, runs: str) -> None:
    """Work on the tiny file, then on the real one so many times; the costs as a line of JSON."""
    module, function, arguments = PROCESSES[name]
    way = getattr(importlib.import_module(f"ways.{module}"), function)(**arguments)
    act, answer = way(Path(tiny))
    answer(act())
    costs = []
    found = None
    for _ in range(int(runs)):
        act, answer = way(Path(path))
        cpu, start = tree_cpu_s(), time.perf_counter()
        found = act()
        costs.append((tree_cpu_s() - cpu, time.perf_counter() - start))
    peak = sum(highest_mib(pid) for pid in [os.getpid(), *descendants(os.getpid())])
    cpu_s, wall_s = (statistics.median(part) for part in zip(*costs, strict=True))
    print(json.dumps([cpu_s, wall_s, peak, answer(found)]))


def descendants(pid: int) -> list[int]:
    """A JVM and what started it, or none."""
    found = [int(each) for task in Path(f"/proc/{pid}/task").glob("*/children") for each in task.read_text().split()]
    return found + [each for child in found for each in descendants(child)]


def tree_cpu_s() -> float:
    """CPU seconds of this process and those that it has started, which are not to the microsecond."""
    ticks = 0
    for pid in descendants(os.getpid()):
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return time.process_time() + ticks / TICKS_A_SECOND


# --- the whole ------------------------------------------------------------------------------------------------------


def measure(name: str, path: Path, tiny: Path, *, runs: int, python: Path | str = sys.executable) -> Cost:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    command = [str(python), str(HERE), "--process", name, str(path), str(tiny), str(runs)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, cwd=path.parent)
    print(f"==> {name}, {path.stem}", file=sys.stderr, flush=True)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def measure_in_turn(names: Iterable[str], path: Path, tiny: Path, *, runs: int, rounds: int) -> dict[str, Cost]:
    """Ways that are held against each other, one after the other in each round: a noisy neighbour meets them all."""
    found = [{name: measure(name, path, tiny, runs=runs) for name in names} for _ in range(rounds)]
    return {name: sorted(each[name] for each in found)[rounds // 2] for name in names}


def install_peers(folder: Path) -> dict[str, Path | str]:
    """Each peer's Python, or why there is none. DuckDB is of the version that the toolkit runs on."""
    engine = f"duckdb=={importlib.metadata.version('duckdb')}"
    return {peer: install(folder / peer, engine, *needs) for peer, needs in PEERS.items()}


def pythons_of(name: str, peers: dict[str, Path | str]) -> Path | str:
    """The Python that a way runs on; text that is no path says why it cannot run."""
    if name == "spark":
        if importlib.util.find_spec("pyspark") is None:
            return "pyspark is not installed"
        return Path(sys.executable) if shutil.which("java") else "there is no Java"
    return next((found for peer, found in peers.items() if name.startswith(peer)), Path(sys.executable))


def compare_moments(rows: list[int], base: Path, peers: dict[str, Path | str], missed: list[str]) -> None:
    print("# Moments of unit rows: 4 metrics, 2 variants\n")
    print("| rows | way | CPU s | wall s | peak MiB | CPU to hand-written |\n|---|---|---|---|---|---|")
    tiny = make_by_process("units", TINY, base)
    costs: dict[tuple[int, str], Cost] = {}
    for count in rows:
        path, large = make_by_process("units", count, base), count >= LARGE
        compared = measure_in_turn(COMPARED, path, tiny, runs=1 if large else 3, rounds=1 if large else 3)
        for name, words in WAYS.items():
            if large and name not in COMPARED:
                continue
            python = pythons_of(name, peers)
            if not isinstance(python, Path):
                print(f"| {count:,} | {words} | skipped: {python} | | | |", flush=True)
                continue
            cost = compared.get(name) or measure(name, path, tiny, runs=3, python=python)
            costs[count, name] = cost
            ratio = cost.cpu_s / costs[count, "hand"].cpu_s
            print(
                f"| {count:,} | {words} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.peak_mib:,.0f} | {ratio:.2f} |",
                flush=True,
            )
            expected = costs[count, "hand 20" if name.endswith("20") else "hand"]
            agree(f"{words} at {count:,}", cost, expected, missed)
        path.unlink()
    print()
    judge_moments(costs, missed)


def judge_moments(costs: dict[tuple[int, str], Cost], missed: list[str]) -> None:
    if (PROMISED, "toolkit") in costs:
        hand, own, segments = (costs[PROMISED, name] for name in ("hand", "toolkit", "toolkit 20"))
        keep(own.cpu_s / hand.cpu_s <= MOST_CPU, f"moments cost {own.cpu_s / hand.cpu_s:.2f} times the query", missed)
        keep(own.peak_mib <= MOST_MIB, f"moments take {own.peak_mib:.0f} MiB", missed)
        more = segments.cpu_s / own.cpu_s
        keep(more <= MOST_SEGMENTS, f"20 segments cost {more:.2f} times one", missed)
        cached = costs[PROMISED, "cached"].wall_s * 1000
        keep(cached <= MOST_CACHED_MS, f"from cached moments it takes {cached:.0f} ms", missed)
    if (LARGE, "toolkit") in costs:
        own = costs[LARGE, "toolkit"]
        keep(own.peak_mib <= MOST_MIB, f"moments of {LARGE:,} rows take {own.peak_mib:.0f} MiB", missed)
        if (PROMISED, "toolkit") in costs:
            growth = own.cpu_s / costs[PROMISED, "toolkit"].cpu_s
            keep(growth <= MOST_GROWTH, f"ten times the rows cost {growth:.1f} times the CPU", missed)


def compare_unit_days(base: Path, missed: list[str]) -> None:
    print(f"# Unit-days: {EVENTS:,} events of {UNITS:,} units, memory limit 1 GiB\n")
    print("| way | CPU s | wall s | peak MiB | CPU to hand-written |\n|---|---|---|---|---|")
    path, tiny = make_by_process("events", EVENTS, base), make_by_process("events", TINY, base)
    for name, words, runs, rounds in (("days", f"{DAYS} days", 1, 1), ("day", "one more day", 3, 3)):
        pair = measure_in_turn([f"{name} by hand", name], path, tiny, runs=runs, rounds=rounds)
        by_hand, own = pair.values()
        ratio = own.cpu_s / by_hand.cpu_s
        for who, cost in (("hand-written query", by_hand), ("toolkit, a file per day", own)):
            print(
                f"| {words}, {who} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.peak_mib:,.0f} | "
                f"{cost.cpu_s / by_hand.cpu_s:.2f} |"
            )
        agree(f"unit-days, {words}", own, by_hand, missed)
        keep(ratio <= MOST_CPU, f"unit-days, {words}: {ratio:.2f} times the query", missed)
        keep(own.peak_mib <= MOST_BUILD_MIB, f"unit-days, {words}, take {own.peak_mib:.0f} MiB", missed)
    path.unlink()
    print()


def compare_ranks(base: Path, missed: list[str]) -> None:
    print(f"# AUC and calibration of {SCORES:,} scored requests\n")
    print("| what | way | CPU s | wall s | peak MiB | CPU to scikit-learn |\n|---|---|---|---|---|---|")
    path, tiny = make_by_process("scores", SCORES, base), make_by_process("scores", TINY, base)
    read = measure("read", path, tiny, runs=5)
    print(
        f"| reading both columns | DuckDB, two sums | {read.cpu_s:.2f} | {read.wall_s:.2f} | {read.peak_mib:,.0f} | |"
    )
    for what, words in (
        ("both", "exact AUC and calibration curve, 20 bins of equal mass"),
        ("auc", "exact AUC alone"),
        ("scores", "AUC, both curves, Brier score and log loss together"),
        ("mass", "calibration curve alone, 20 bins of equal mass"),
        ("width", "calibration curve alone, 20 bins of equal width"),
    ):
        peer, own = measure_in_turn([f"{what} sklearn", what], path, tiny, runs=1, rounds=3).values()
        for who, cost in (("scikit-learn", peer), ("toolkit", own)):
            print(
                f"| {words} | {who} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.peak_mib:,.0f} | "
                f"{cost.cpu_s / peer.cpu_s:.2f} |"
            )
        agree(words, own, peer, missed)
        gain = peer.cpu_s / own.cpu_s
        keep(gain >= LEAST_GAIN, f"{words} is {gain:.1f} times cheaper than with scikit-learn", missed)
    print()


def agree(what: str, cost: Cost, expected: Cost, missed: list[str]) -> None:
    if cost.answer is None:
        return
    same = all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(cost.answer, expected.answer, strict=True))
    keep(same, f"{what}: {cost.answer} is not {expected.answer}", missed)


def keep(kept: bool, otherwise: str, missed: list[str]) -> None:
    if not kept:
        missed.append(otherwise)


def make_by_process(kind: str, rows: int, base: Path) -> Path:
    """The file of some rows, made elsewhere: this process stays small."""
    path = base / f"{kind}-{rows}.parquet"
    subprocess.run([sys.executable, str(HERE), "--make", kind, str(rows), str(path)], check=True)
    return path


def main() -> int:
    """Measure and print; 1 when a promise is missed."""
    rows = [int(each) for each in sys.argv[1:]] or list(ROWS)
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        peers = install_peers(Path(base))
        compare_moments(rows, Path(base), peers, missed)
        compare_unit_days(Path(base), missed)
        compare_ranks(Path(base), missed)
    print("Missed: " + "; ".join(missed) if missed else "Every promise is kept.")
    return int(bool(missed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        be_process(*sys.argv[2:])
    elif sys.argv[1:2] == ["--make"]:
        make(*sys.argv[2:])
    else:
        sys.exit(main())
