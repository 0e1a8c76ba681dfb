"""What does an experiment's readout cost? Moments and quantiles of many users, against the queries one would write.

Users with a proportion, two means and a ratio, three of them with the user's own past as covariate, first exposed on
one of 30 days and in one of 20 countries, in two variants: one row each, as an experiment lays its units down. What is
collected is by variant × day × country, all that every adjusted comparison by day and by segment needs. The
hand-written query has the same sums, raw. A clustered quantile is of as many requests of a fifth as many users. Each
figure is of a process of its own that has worked on a tiny file before; one engine thread; medians of three runs, ways
in turn; the peak is of the whole process.

    python benchmarks/experiment_cost.py [ROWS] [--events EVENTS] [--rounds ROUNDS]

ROWS are 10 million unless given, ROUNDS 3. With --events the whole path from events (predictions, outcomes, exposures)
is measured too: everything, and the same with another alpha. Prints Markdown. Exits 1 when a promise is missed: at most
1.5 times the hand-written CPU and 600 MiB, from what is kept 150 ms, numbers the same to 1e-9.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from metrics_scale import UNITS_SQL, chances

HERE = Path(__file__).resolve()
ROWS, TINY = 10_000_000, 2_000
MOST_CPU, MOST_MIB, MOST_KEPT_MS = 1.5, 600, 150
DAYS = 30
Q = 0.95

SETTINGS = """\
schema_version = 2
name = "cost"

[tables.predictions]
path = "data/predictions/*.parquet"

[tables.outcomes]
path = "data/outcomes/*.parquet"

[tables.exposures]
path = "data/exposures.parquet"
"""
MODEL = """\
key: shop
name: Shop
description: d
owner: Ada
label: {name: bought, description: d, maturity_days: 1}
decision_threshold: 0.5
loss: brier
versions:
  "1": &version
    description: d
    features: []
    trained: {start: "2024-12-01", end: "2025-01-01"}
    reference: {start: "2025-01-01", end: "2025-02-01"}
  "2": *version
"""
METRICS = """\
metrics:
  failed: &metric
    name: m
    description: d
    owner: Ada
    kind: error_rate
    direction: increase
    practical_threshold: 0.01
    role: quality
  bought: {<<: *metric, kind: proportion, column: converted}
  orders: {<<: *metric, kind: mean, column: orders}
  revenue: {<<: *metric, kind: mean, column: revenue}
  orders_per_session: {<<: *metric, kind: ratio, numerator: orders, denominator: sessions}
"""
PLAN = """\
key: cost
hypothesis: h
owner: Ada
kind: ab
model: shop
window: {start: "2025-03-01", end: "2025-03-31"}
unit: unit_id
analysis: plain
assignment: {hash: flagd-fractional, version: 2, key: cost}
variants:
  a: {version: "1", weight: 50}
  b: {version: "2", weight: 50}
control: a
primary: revenue
secondary: [bought, orders, orders_per_session]
alpha: 0.05
sample_ratio_alpha: 0.001
label_maturity: {days: 1, minimum_share: 0.9}
covariates: [{metric: orders}, {metric: revenue}, {metric: orders_per_session}]
segments: [country]
rule: superior_and_not_inferior
"""

PARTS_SQL = """
SELECT unit AS unit_id, variant, DATE '2025-03-01' + (hash(unit) % 30)::INTEGER AS exposure_day,
    country::VARCHAR AS segment__country, NULL::BOOLEAN AS eligible, 0.0 AS counted_at, 0.0 AS met_at, 1 AS counted,
    revenue::DOUBLE AS s0, 1::BIGINT AS n0, converted::DOUBLE AS s1, 1::BIGINT AS n1, orders::DOUBLE AS s2,
    1::BIGINT AS n2, orders::DOUBLE AS s3, sessions::DOUBLE AS n3, 1::BIGINT AS r3,
    orders_before::DOUBLE AS ps0, 1::BIGINT AS pn0, revenue_before::DOUBLE AS ps1, 1::BIGINT AS pn1,
    orders_before::DOUBLE AS ps2, sessions_before::DOUBLE AS pn2, 0::BIGINT AS ps3, 0::BIGINT AS pn3
FROM ({units})"""
REQUESTS_SQL = """
SELECT (u1 < 0.5)::TINYINT AS variant, floor(u2 * {users})::BIGINT AS "group", NULL::BIGINT AS lone,
    round(exp(3 + 0.8 * ln(u3 / (1 - u3))), 3) AS value
FROM ({chances})"""
EVENTS_SQL = """
SELECT 'r' || i AS request_id, 'shop' AS model, (1 + (hash(unit) % 2))::VARCHAR AS version,
    TIMESTAMPTZ '2025-02-15 00:00:00+00' + to_microseconds((i * {step})::BIGINT) AS occurred_at,
    'u' || unit AS unit_id, true AS served, false AS error, 0.5 AS score, (hash(unit) % 20)::VARCHAR AS country,
    u1 < 0.1 AS converted, floor(u2 * 5) AS orders, round(-ln(u3) * 20, 2) AS revenue, 1 + floor(u4 * 3) AS sessions
FROM (SELECT *, floor(u5 * {users})::BIGINT AS unit FROM ({chances}))"""


class Cost(NamedTuple):
    """Of one way, as its process measured it; `answer` is what it found."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    answer: list[float]


def open_engine() -> Any:
    import duckdb

    engine = duckdb.connect(config={"threads": 1})
    engine.execute("SET TimeZone = 'UTC'")
    return engine


def make(kind: str, rows: str, path: str) -> None:
    """Lay the file of so many rows."""
    source = chances(int(rows))
    users = max(10, int(rows) // 5)
    queries = {
        "units": PARTS_SQL.format(units=UNITS_SQL.format(chances=source)),
        "requests": REQUESTS_SQL.format(chances=source, users=users),
    }
    open_engine().execute(f"COPY ({queries[kind]}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def make_events(rows: int, root: Path) -> None:
    """A workspace with predictions of 45 days, a file per day, the outcomes of all, and an exposure per unit."""
    write_definitions(root)
    engine, days, users = open_engine(), 45, max(10, rows // 5)
    query = EVENTS_SQL.format(chances=chances(rows), users=users, step=days * 86_400_000_000 / rows)
    for name in ("predictions", "outcomes"):
        (root / "data" / name).mkdir(parents=True)
    engine.execute(f"CREATE VIEW events AS {query}")
    for day in range(days):
        start = f"TIMESTAMPTZ '2025-02-15 00:00:00+00' + INTERVAL {day} DAY"
        within = f"occurred_at >= {start} AND occurred_at < {start} + INTERVAL 1 DAY"
        low, high = (math.floor(edge * rows / days) for edge in (day, day + 1))
        mine = (
            f"SELECT * FROM ({query.replace(f'range({rows})', f'range({max(0, low - 2)}, {high + 2})')}) WHERE {within}"
        )
        for name, columns in (
            ("predictions", "*"),
            ("outcomes", "request_id, occurred_at + INTERVAL 1 HOUR AS observed_at, converted::INTEGER AS label"),
        ):
            path = root / "data" / name / f"{day:02d}.parquet"
            engine.execute(f"COPY (SELECT {columns} FROM ({mine})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    engine.execute(
        f"""COPY (SELECT 'cost' AS experiment, unit_id, CASE version WHEN '1' THEN 'a' ELSE 'b' END AS variant,
            min(occurred_at) AS exposed_at FROM '{root}/data/predictions/*.parquet'
            WHERE occurred_at >= TIMESTAMPTZ '2025-03-01 00:00:00+00' AND occurred_at < TIMESTAMPTZ
            '2025-03-31 00:00:00+00' GROUP BY ALL)
        TO '{root}/data/exposures.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    )
    two = "TIMESTAMPTZ '2025-04-02 00:00:00+00'"  # so that the last day is complete
    engine.execute(
        f"""COPY (SELECT * REPLACE ({two} AS occurred_at, 'last' AS request_id) FROM
            '{root}/data/predictions/00.parquet' LIMIT 1)
        TO '{root}/data/predictions/99.parquet' (FORMAT parquet)"""
    )


def write_definitions(root: Path) -> None:
    for folder in ("models", "experiments", "data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "toolkit.toml").write_text(SETTINGS)
    (root / "models/shop.yml").write_text(MODEL)
    (root / "metrics.yml").write_text(METRICS)
    (root / "experiments/cost.yml").write_text(PLAN)


# --- ways: each takes a file and gives what to do, and how to read the answer -----------------------------------------


def staged_units(path: Path) -> Any:
    """The toolkit's collector over a file of units, as an experiment would have laid it."""
    from toolkit import data, experiments
    from toolkit.experiments.collection import Collector
    from toolkit.experiments.measurement import Measurement
    from toolkit.experiments.unit_sums import Staged
    from toolkit.workspace import open_workspace

    root = Path(tempfile.mkdtemp(dir=path.parent))
    make_events(1_000, root)
    workspace = open_workspace(root)
    plan, source = experiments.load(workspace, "cost"), data.open_source(workspace)
    window = plan.window.window
    measurement = Measurement.of(plan, source, window=window, as_of=plan.ready_on)
    measurement.unit_days  # noqa: B018 - what a metric adds is looked up once
    return Collector, Staged(measurement, (), path, (path,), {}, root)


def by_toolkit(path: Path) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    collector, staged = staged_units(path)

    def act() -> Any:
        found = collector.of(staged)
        return found, found.collect("groups.0")

    def answer(found: Any) -> list[float]:
        collecting, table = found
        numbers = []
        for metric in collecting.layout.metrics:
            for where in ({}, {"exposure_day": "2025-03-07"}):
                for variant in ("a", "b"):
                    names = collecting.layout.measures(metric, covariates=True)
                    moments = table.moments(names, {"variant": variant, **where})
                    numbers += statistics_of(collecting.shifts.metrics[metric], collecting.shifts, moments, names)
        return numbers

    return act, answer


def statistics_of(shift: float, shifts: Any, moments: Any, names: list[str]) -> list[float]:
    """The mean, and the spreads about their ratios of numerator and covariates: the same whatever was subtracted."""
    offsets = [shift, *(shifts.covariates[names[at], names[at + 1]] for at in range(2, len(names), 2))]
    found = [moments.n, offsets[0] + moments.mean(0) / moments.mean(1)]
    for at in range(0, len(names), 2):
        ratio = moments.mean(at) / moments.mean(at + 1)
        (ss, sn), nn = moments.products[at][at : at + 2], moments.products[at + 1][at + 1]
        found.append(ss - 2 * ratio * sn + ratio * ratio * nn)
    return found


def wanted() -> list[tuple[str, list[str]]]:
    """By metric its measures, numerator and denominator first."""
    covariates = [name for j in range(3) for name in (f"ps{j}", f"pn{j}")]
    return [(f"{i}", [f"s{i}", f"n{i}", *covariates]) for i in range(4)]


def by_hand(path: Path) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    pairs = sorted({tuple(sorted((a, b))) for _, names in wanted() for a in names for b in names})
    measures = sorted({name for _, names in wanted() for name in names})
    sums = [f"sum({name}) AS {name}" for name in measures]
    sums += [f"sum({a} * {b}) AS {a}__{b}" for a, b in pairs]
    query = (
        f"SELECT variant, exposure_day::VARCHAR AS day, segment__country, count(*) AS rows, {', '.join(sums)} "
        f"FROM '{path}' GROUP BY ALL ORDER BY ALL"
    )

    def act() -> Any:
        return open_engine().execute(query).df()

    def answer(frame: Any) -> list[float]:
        numbers = []
        for _, names in wanted():
            for day in (None, "2025-03-07"):
                for variant in ("a", "b"):
                    here = frame[(frame["variant"] == variant) & ((frame["day"] == day) | (day is None))]
                    total = here.drop(columns=["variant", "day", "segment__country"]).sum()
                    found = [total["rows"], total[names[0]] / total[names[1]]]
                    for at in range(0, len(names), 2):
                        s, n = sorted(names[at : at + 2], reverse=True)
                        ratio = total[s] / total[n]
                        square, cross = total[f"{s}__{s}"], total[f"{n}__{s}"]
                        found.append(square - 2 * ratio * cross + ratio * ratio * total[f"{n}__{n}"])
                    numbers += [float(each) for each in found]
        return numbers

    return act, answer


def quantile_by_toolkit(path: Path) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    import ibis

    from toolkit.experiments.quantile_sums import Asked

    backend = ibis.duckdb.connect(threads=1)

    def act() -> Any:
        asked = Asked(backend.read_parquet(str(path)), Q, ("a", "b"), "a")
        return asked.answer(lambda query: query.execute(), clustered=True)

    def answer(found: Any) -> list[float]:
        sides = (found["variants"][name] for name in ("a", "b"))
        numbers = [side[name] for side in sides for name in ("value", "lower", "upper", "share_se", "groups")]
        return [*numbers, found["pairs"]["b"]["covariance"]]

    return act, answer


def quantile_by_hand(path: Path) -> tuple[Callable[[], Any], Callable[[Any], list[float]]]:
    def act() -> Any:
        engine = open_engine()
        points = engine.execute(
            f"SELECT quantile_cont(value, {Q}) FILTER (variant = 0), quantile_cont(value, {Q}) FILTER (variant = 1), "
            f"count(*) FILTER (variant = 0), count(*) FILTER (variant = 1) FROM '{path}'"
        ).fetchone()
        groups = ", ".join(
            f"count(*) FILTER (variant = {v}) AS n{v}, count(*) FILTER (variant = {v} AND value <= {points[v]}) AS b{v}"
            for v in (0, 1)
        )
        sums = ", ".join(
            f"count(*) FILTER (n{v} > 0), sum(b{v}), sum(b{v} * b{v}), sum(b{v} * n{v}), sum(n{v} * n{v})"
            for v in (0, 1)
        )
        both = "count(*) FILTER (n0 > 0 AND n1 > 0), sum(b0 * b1), sum(b0 * n1), sum(n0 * b1), sum(n0 * n1)"
        found = engine.execute(
            f"SELECT {sums}, {both} FROM (SELECT {groups} FROM '{path}' GROUP BY \"group\")"
        ).fetchone()
        shares, errors, sides = [], [], []
        for v in (0, 1):
            size, below, bb, bn, nn = map(float, found[5 * v : 5 * v + 5])
            shares.append(below / points[2 + v])
            square = bb - 2 * shares[v] * bn + shares[v] ** 2 * nn
            errors.append(math.sqrt(size / (size - 1) * square) / points[2 + v])
        ends = ", ".join(
            f"quantile_cont(value, {Q + sign * 1.96 * errors[v]!r}) FILTER (variant = {v})"
            for v in (0, 1)
            for sign in (-1, 1)
        )
        values = engine.execute(f"SELECT {ends} FROM '{path}'").fetchone()
        for v in (0, 1):
            sides += [points[v], values[2 * v], values[2 * v + 1], errors[v], found[5 * v]]
        straddling, bb, bn, nb, nn = map(float, found[10:15])
        product = bb - shares[1] * bn - shares[0] * nb + shares[0] * shares[1] * nn
        groups_in_all = found[0] + found[5] - straddling
        return [*sides, groups_in_all / (groups_in_all - 1) * product / (points[2] * points[3])]

    return act, lambda found: [float(each) for each in found]


WAYS = {
    "hand": by_hand,
    "toolkit": by_toolkit,
    "quantile hand": quantile_by_hand,
    "quantile toolkit": quantile_by_toolkit,
}


HELD = {"units": ("hand", "toolkit"), "requests": ("quantile hand", "quantile toolkit")}
"""The ways that are held against each other, by what they are given."""


# --- processes --------------------------------------------------------------------------------------------------------


def be_process(name: str, path: str, tiny: str, runs: str) -> None:
    """Work on the tiny file, then on the real one so many times; the costs as a line of JSON."""
    act, answer = WAYS[name](Path(tiny))
    answer(act())
    act, answer = WAYS[name](Path(path))
    costs, found = [], None
    for _ in range(int(runs)):
        cpu, start = time.process_time(), time.perf_counter()
        found = act()
        costs.append((time.process_time() - cpu, time.perf_counter() - start))
    cpu_s, wall_s = (statistics.median(part) for part in zip(*costs, strict=True))
    print(json.dumps([cpu_s, wall_s, highest_mib(), answer(found)]))


def highest_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def run_process(*arguments: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [sys.executable, str(HERE), *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None


def be_whole_path(root: str) -> None:
    """From events to an estimate: everything, and once more with another alpha; the costs as a line of JSON."""
    from toolkit import data, experiments, stats
    from toolkit.workspace import open_workspace

    costs = []
    plan_path = Path(root) / "experiments/cost.yml"
    for alpha in ("0.05", "0.01"):
        plan_path.write_text(PLAN.replace("alpha: 0.05", f"alpha: {alpha}", 1))
        cpu, start = time.process_time(), time.perf_counter()
        workspace = open_workspace(Path(root))
        plan = experiments.load(workspace, "cost")
        units = experiments.measure(plan, data.open_source(workspace))
        for metric in plan.metrics:
            stats.compare(units.samples(metric, "b", covariates=True), adjust=True, confidence=plan.confidence)
        costs.append([time.process_time() - cpu, time.perf_counter() - start])
    print(json.dumps([*costs, highest_mib()]))


def compare(kind: str, rows: int, base: Path, rounds: int, missed: list[str]) -> None:
    hand, own = HELD[kind]
    for name, size in (("tiny", TINY), ("real", rows)):
        run_process("--make", kind, str(size), str(base / f"{kind}-{name}.parquet"))
    paths = [str(base / f"{kind}-{name}.parquet") for name in ("real", "tiny")]
    turns = [{name: Cost(*run_process("--process", name, *paths, "3")) for name in (hand, own)} for _ in range(rounds)]
    costs = {name: sorted(turn[name] for turn in turns)[rounds // 2] for name in (hand, own)}
    for name, cost in costs.items():
        ratio = cost.cpu_s / costs[hand].cpu_s
        print(
            f"| {rows:,} | {name} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.peak_mib:,.0f} | {ratio:.2f} |",
            flush=True,
        )
    ratio = costs[own].cpu_s / costs[hand].cpu_s
    if ratio > MOST_CPU:
        missed.append(f"{own} costs {ratio:.2f} times the query")
    if costs[own].peak_mib > MOST_MIB:
        missed.append(f"{own} takes {costs[own].peak_mib:.0f} MiB")
    pairs = list(zip(costs[own].answer, costs[hand].answer, strict=True))
    if wrong := [pair for pair in pairs if not math.isclose(*pair, rel_tol=1e-9, abs_tol=1e-18)]:
        missed.append(f"{own}: {len(wrong)} of {len(pairs)} numbers are others, such as {wrong[0]}")
    Path(paths[0]).unlink()


def main() -> int:
    """Measure and print; 1 when a promise is missed."""
    arguments = sys.argv[1:]
    given = {"--events": 0, "--rounds": 3}
    for name in given:
        if name in arguments:
            given[name] = int(arguments.pop(arguments.index(name) + 1))
    events = given["--events"]
    rows = next((int(each) for each in arguments if each.isdigit()), ROWS)
    missed: list[str] = []
    print("| rows | way | CPU s | wall s | peak MiB | CPU to hand-written |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        compare("units", rows, base, given["--rounds"], missed)
        compare("requests", rows, base, given["--rounds"], missed)
        if events:
            run_process("--events", str(events), str(base / "whole"))
            time.sleep(3)  # files that were written just now are not trusted
            first = run_process("--whole", str(base / "whole"))[0]
            both = run_process("--whole", str(base / "whole"))
            print(f"\nFrom {events:,} events: {first[0]:.1f} CPU s, {first[1]:.1f} s wall.")
            again = f"{both[1][1] * 1000:.0f} ms with another alpha ({both[1][0] * 1000:.0f} CPU ms)"
            print(f"From what is kept: {both[0][1] * 1000:.0f} ms in a new process, then {again}.")
            if both[1][1] * 1000 > MOST_KEPT_MS:
                missed.append(f"with another alpha it takes {both[1][1] * 1000:.0f} ms")
    print("\nMissed: " + "; ".join(missed) if missed else "\nEvery promise is kept.")
    return int(bool(missed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        be_process(*sys.argv[2:])
    elif sys.argv[1:2] == ["--make"]:
        make(*sys.argv[2:])
    elif sys.argv[1:2] == ["--events"] and len(sys.argv) == 4:
        make_events(int(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--whole"]:
        be_whole_path(sys.argv[2])
    else:
        sys.exit(main())
