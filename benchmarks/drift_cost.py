"""What does it cost to ask 25 columns for drift? Profiles by day, against the tools one would install and a bare scan.

Twenty numbers (normal, lognormal, uniform, whole, one in twenty missing) and five texts (3 to 5,000 different ones) of
28 days before and 28 days after, a file per day as services write them; in the second half five numbers have moved. The
bare scan sums the numbers and adds up the lengths of the texts; the hand-written query has the counts at the same edges
without days. Each figure is of a process of its own that has imported everything, and where it is ours or DuckDB's has
worked on a tiny table before; one engine thread; medians of three turns but for the peers, which run once. Peers are
installed for the run into environments of their own, with the pandas that they need.

    python benchmarks/drift_cost.py [ROWS] [--large ROWS] [--without-peers]

ROWS a side are 1 million unless given, those of the large table 20 million. Prints Markdown. Exits 1 when a promise is
missed: both sides at least 50 times less CPU than Evidently and 15 times less than NannyML; of the large table at most
2.2 times the bare scan's CPU and 0.6 GiB, from coded days at most 0.6 times; from what is kept the same counts.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ways.made_columns import COLUMNS, NUMBERS, PERIODS, TEXTS, make
from ways.process import highest_mib, install, open_engine

HERE = Path(__file__).resolve()
ROWS, LARGE, TINY, TURNS = 1_000_000, 20_000_000, 2_000, 3
TIMES_EVIDENTLY, TIMES_NANNYML, MOST_SCANS, MOST_CODED_SCANS, MOST_GIB = 50, 15, 2.2, 0.6, 0.6
PEERS = {"nannyml": ("nannyml", "pandas<3", "statsmodels"), "evidently": ("evidently", "pandas<3")}
WAYS = {
    "scan": "bare scan of both sides (sums, lengths)",
    "hand": "hand-written `count_if` at the same edges, both sides, no days",
    "first": "toolkit, everything for the first time: look at the files, find edges, count both sides by day",
    "count": "toolkit, files and edges known: count both sides by day",
    "kept": "toolkit, the same question again",
    "scipy": "scipy, `ks_2samp` of the 20 numbers",
    "nannyml": "NannyML, KS and JS, chi-square and JS, 10 chunks",
    "evidently": "Evidently, `DataDriftPreset`",
}
LARGE_WAYS = {
    "scan": "bare scan (sums, lengths)",
    "hand": "hand-written `count_if` at the same edges, no days",
    "count": "toolkit, files and edges known: count by day",
    "code": "toolkit, lay coded days, once",
    "coded": "toolkit, count from coded days",
}
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


class Cost(NamedTuple):
    """Of one way, as its process measured it."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    digest: str


# --- ways: each takes a workspace and gives what to do --------------------------------------------------------------


def sides(root: Path) -> list[str]:
    there = {path.name.partition("-")[0] for path in (root / "data/predictions").iterdir()}
    return [name for name in PERIODS if name in there]


def scan(root: Path) -> Callable[[], Any]:
    sums = ", ".join([*(f"sum({name})" for name in NUMBERS), *(f"sum(strlen({name}))" for name in TEXTS)])

    def act() -> str:
        engine = open_engine()
        return str(
            [
                engine.execute(f"SELECT {sums} FROM '{root}/data/predictions/{side}-*.parquet'").fetchall()
                for side in sides(root)
            ]
        )

    return act


def hand(root: Path) -> Callable[[], Any]:
    edges = find_edges(root)
    parts = []
    for name in NUMBERS:
        parts += [f"count({name})", *(f"count_if({name} <= {edge!r})" for edge in edges[name].edges)]
        parts += [f"count_if({name} = {value})" for value in edges[name].values]

    def act() -> str:
        engine, found = open_engine(), []
        for side in sides(root):
            rows = f"'{root}/data/predictions/{side}-*.parquet'"
            found.append(engine.execute(f"SELECT {', '.join(parts)} FROM {rows}").fetchall())
            found += [
                engine.execute(f"SELECT {n}, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL").fetchall() for n in TEXTS
            ]
        return str(found)

    return act


def opened(root: Path) -> tuple[Any, Any, list[Any]]:
    from toolkit.data import load_model, open_source
    from toolkit.metrics import Population
    from toolkit.windows import Window
    from toolkit.workspace import open_workspace

    workspace = open_workspace(root)
    populations = [Population(side, "1", Window.of(*PERIODS[side]), served_only=True) for side in sides(root)]
    return open_source(workspace), load_model(workspace, "shop"), populations


def find_edges(root: Path) -> dict[str, Any]:
    """Of the whole reference; of a table that has one period, of its first day."""
    from toolkit.metrics import Population
    from toolkit.metrics.profiles import reference_edges
    from toolkit.windows import Window

    source, model, populations = opened(root)
    reference = populations[0]
    if len(populations) == 1:
        start = PERIODS[reference.name][0]
        reference = Population(
            "reference", "1", Window.of(start, f"{start[:-2]}{int(start[-2:]) + 1:02d}"), served_only=True
        )
    return reference_edges(source, model, reference, COLUMNS, as_of=AS_OF)


def profiled(root: Path) -> str:
    from toolkit.metrics.profiles import collect_profiles

    edges = find_edges(root)
    source, model, populations = opened(root)
    profiles = collect_profiles(source, model, populations, edges, as_of=AS_OF)
    return " ".join(profiles.population(each.name).total.digest for each in populations)


def first(root: Path) -> Callable[[], Any]:
    return lambda: profiled(root)


def count(root: Path) -> Callable[[], Any]:
    profiled(root)
    shutil.rmtree(root / "cache/profiles")
    return lambda: profiled(root)


def kept(root: Path) -> Callable[[], Any]:
    profiled(root)
    return lambda: profiled(root)


def coded_days(root: Path) -> Any:
    from toolkit.metrics.profiles import write_codes
    from toolkit.windows import Window

    edges = find_edges(root)
    source, model, populations = opened(root)
    window = Window(populations[0].window.start, populations[-1].window.end)
    return write_codes(source, model, window, edges, as_of=AS_OF), populations


def code(root: Path) -> Callable[[], Any]:
    profiled(root)
    shutil.rmtree(root / "cache/coded-days", ignore_errors=True)
    return lambda: str(len(coded_days(root)[0].paths))


def coded(root: Path) -> Callable[[], Any]:
    coded_days(root)

    def act() -> str:
        codes, populations = coded_days(root)
        profiles = codes.profiles(populations)
        return " ".join(profiles.population(each.name).total.digest for each in populations)

    return act


def frames(root: Path) -> list[Any]:
    import pandas as pd

    folder = root / "data/predictions"
    return [
        pd.concat(
            [pd.read_parquet(path, columns=COLUMNS) for path in sorted(folder.glob(f"{side}-*"))], ignore_index=True
        )
        for side in sides(root)
    ]


def scipy(root: Path) -> Callable[[], Any]:
    from scipy.stats import ks_2samp

    before, after = frames(root)
    return lambda: str([ks_2samp(before[name].dropna(), after[name].dropna()).statistic for name in NUMBERS])


def evidently(root: Path) -> Callable[[], Any]:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before, after = frames(root)
    return lambda: str(len(Report([DataDriftPreset()]).run(after, before).json()))


def nannyml(root: Path) -> Callable[[], Any]:
    import nannyml as nml

    before, after = frames(root)

    def act() -> str:
        calculator = nml.UnivariateDriftCalculator(
            column_names=COLUMNS,
            chunk_number=10,
            continuous_methods=["kolmogorov_smirnov", "jensen_shannon"],
            categorical_methods=["chi2", "jensen_shannon"],
        )
        calculator.fit(before)
        return str(calculator.calculate(after).to_df().shape)

    return act


HOW = {way.__name__: way for way in (scan, hand, first, count, kept, code, coded, scipy, evidently, nannyml)}
LIGHT = {"scan", "hand", "first", "count", "kept", "code", "coded"}
"""Those that work on a tiny table first: imports and the first query are no part of the figure."""


def run_way(name: str, root: Path, tiny: Path) -> None:
    if name in LIGHT:
        HOW[name](tiny)()
    act = HOW[name](root)
    cpu, wall = time.process_time(), time.perf_counter()
    answer = act()
    cost = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps(Cost(*cost, highest_mib(), answer)))


# --- the whole ------------------------------------------------------------------------------------------------------


def measure(name: str, root: Path, tiny: Path, python: str = sys.executable) -> Cost | str:
    """What a way costs, or why it cannot be told."""
    command = [python, "-W", "ignore", str(HERE), "--way", name, str(root), str(tiny)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr or f"ended with {done.returncode}").strip().splitlines()[-1][:200]
    return Cost(*json.loads(done.stdout.strip().splitlines()[-1]))


def median_of(name: str, root: Path, tiny: Path) -> Cost:
    """What one of our own ways costs, in the middle of its turns; it must run."""
    found = []
    for _ in range(TURNS):
        if name == "first":
            shutil.rmtree(root / "cache", ignore_errors=True)
        cost = measure(name, root, tiny)
        assert isinstance(cost, Cost), f"{name}: {cost}"
        found.append(cost)
    middle = [statistics.median(cost[at] for cost in found) for at in range(2)]
    return Cost(*middle, max(cost.peak_mib for cost in found), found[0].digest)


def measure_peer(peer: str, folder: Path, root: Path, tiny: Path) -> Cost | str:
    python = install(folder / peer, *PEERS[peer], "pyarrow")
    if isinstance(python, str):
        return f"not installed: {python[:200]}"
    return measure(peer, root, tiny, str(python))


def print_table(costs: Mapping[str, Cost | str], words: Mapping[str, str]) -> None:
    base = costs["scan"]
    assert isinstance(base, Cost), base
    print("| way | CPU s | wall s | peak MiB | CPU to the bare scan |\n|---|---|---|---|---|")
    for name, cost in costs.items():
        if isinstance(cost, str):
            print(f"| {words[name]} | {cost} | | | |")
        else:
            scans = cost.cpu_s / base.cpu_s
            print(f"| {words[name]} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.peak_mib:.0f} | {scans:.2f} |")
    print()


def check_small(own: dict[str, Cost], peers: dict[str, Cost | str], missed: list[str]) -> None:
    for peer, times in (("evidently", TIMES_EVIDENTLY), ("nannyml", TIMES_NANNYML)):
        theirs = peers.get(peer)
        if isinstance(theirs, Cost):
            found, all_of_it = (theirs.cpu_s / own[name].cpu_s for name in ("count", "first"))
            print(f"{peer}: {found:.0f} times the CPU of counting, {all_of_it:.0f} of everything.\n")
            if found < times:
                missed.append(f"{peer} costs {found:.0f} times ours, promised are {times}")
    if len({own[name].digest for name in ("first", "count", "kept")}) != 1:
        missed.append("what is kept and what is counted differ")


def check_large(costs: dict[str, Cost], missed: list[str]) -> None:
    for name, most in (("count", MOST_SCANS), ("coded", MOST_CODED_SCANS)):
        cost, scans = costs[name], costs[name].cpu_s / costs["scan"].cpu_s
        if scans > most:
            missed.append(f"{LARGE_WAYS[name]}: {scans:.2f} bare scans, promised are {most}")
        if cost.peak_mib > MOST_GIB * 1024:
            missed.append(f"{LARGE_WAYS[name]}: {cost.peak_mib:.0f} MiB, promised are {MOST_GIB} GiB")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--way"]:
        run_way(arguments[1], Path(arguments[2]), Path(arguments[3]))
        return 0
    large = int(arguments[arguments.index("--large") + 1]) if "--large" in arguments else LARGE
    rows = int(arguments[0]) if arguments and arguments[0].isdigit() else ROWS
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        make(base / "tiny", TINY, PERIODS)
        make(base / "small", rows, PERIODS)
        print(f"# Drift of 25 columns, {rows:,} rows a side\n")
        own = {name: median_of(name, base / "small", base / "tiny") for name in WAYS if name not in PEERS}
        asked = () if "--without-peers" in arguments else PEERS
        peers = {peer: measure_peer(peer, base, base / "small", base / "tiny") for peer in asked}
        print_table(own | peers, WAYS)
        check_small(own, peers, missed)
        if large:
            make(base / "large", large, {"current": PERIODS["current"]})
            print(f"# One side of {large:,} rows\n")
            own = {name: median_of(name, base / "large", base / "tiny") for name in LARGE_WAYS}
            print_table(own, LARGE_WAYS)
            check_large(own, missed)
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
