"""Do intervals hold the truth, and do difference and lift say the same? On simulated experiments, beside three peers.

Twelve distributions of a unit's value (`benchmarks/ways/draws.py`), one of them a ratio over requests, with 50 and 200
units a variant: experiments without an effect (how often is one seen?), with a lift of 10 % (how often does the
interval of the lift hold it?) and with the lift that would be found four times in five if it left the spread as it is
(how often is it?). Every tool reads the same sums, each peer in an environment of its own, made for the run; sums and
results pass through files. A contradiction is an experiment where difference and lift differ about zero. Where a tool
says nothing of an experiment, or has no ends for its lift, that counts as holding the truth and as not seeing an
effect; the last column says how often. The lift of a negative mean has the sign that the tool gives it; an interval
with its ends exchanged holds nothing.

    python benchmarks/experiment_calibration.py [DRAWS]

DRAWS per distribution, size and effect are 500 unless given, because peers take milliseconds for each, and
spotify-confidence a tenth of a second, so that it reads every tenth. The toolkit's own coverage is of forty times as
many, with 50, 100 and 200 units.
Prints Markdown. Exits 1 when that coverage leaves 94.5-96 % by more than three standard errors of its simulation, or
when the toolkit contradicts itself once.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ways.comparing import read_rows
from ways.draws import SHAPES, Shape, draw_experiments, planned_lift
from ways.process import install

HERE = Path(__file__).resolve()
DRAWS, SEED, ALPHA = 500, 20130601, 0.05
SIZES, OWN_SIZES, OWN_TIMES = (50, 200), (50, 100, 200), 40
LIFT = 0.1
COVERAGE = (0.945, 0.960)
PEERS = {
    "gbstats": ("gbstats==0.8.0",),
    "tea-tasting": ("tea-tasting<2",),
    "spotify-confidence": ("spotify-confidence",),
}
WITHOUT_RATIO = {"spotify-confidence"}
EVERY = {"spotify-confidence": 10}
"""Tools that read every tenth experiment only."""


class Cell(NamedTuple):
    """Experiments of one kind: their file, what is true of them, and whether values are 0 or 1."""

    name: str
    shape: str
    units: int
    effect: str
    lift: float
    share: bool


def cells() -> Iterable[tuple[Cell, Shape]]:
    for shape in SHAPES:
        for units in SIZES:
            lifts = {"none": 0.0, "10 %": LIFT, "planned": planned_lift(shape, units)}
            for effect, lift in lifts.items():
                name = f"{SHAPES.index(shape)}-{units}-{effect[:2].strip()}"
                yield Cell(name, shape.name, units, effect, lift, shape.share), shape


def draw(folder: Path, draws: int) -> list[Cell]:
    found = []
    for number, (cell, shape) in enumerate(cells()):
        rng = np.random.default_rng((SEED, number))
        np.save(folder / f"{cell.name}.npy", draw_experiments(shape, cell.units, cell.lift, draws, rng))
        found.append(cell)
    (folder / "cells.json").write_text(json.dumps(found), encoding="utf-8")
    return found


def process(tool: str, folder: Path) -> None:
    """What one tool says of all experiments; runs in its own environment."""
    for given in json.loads((folder / "cells.json").read_text(encoding="utf-8")):
        cell = Cell(*given)
        if not (cell.shape.startswith("ratio") and tool in WITHOUT_RATIO):
            rows = np.load(folder / f"{cell.name}.npy")
            np.save(folder / f"{cell.name}-{tool}.npy", read_rows(tool, rows[:: EVERY.get(tool, 1)], cell.share))


# --- what a tool's readings come to ---


def disagree(reading: Any) -> Any:
    """Experiments where the interval or test of the lift and that of the difference differ about zero."""
    lift_lower, lift_upper, lower, upper, p, lift_p = reading.T
    told = ~np.isnan(lift_lower) & ~np.isnan(lower)
    lift_found, found = (lift_lower > 0) | (lift_upper < 0), (lower > 0) | (upper < 0)
    by_p = ~np.isnan(p) & ~np.isnan(lift_p) & ((p < ALPHA) != (lift_p < ALPHA))
    return told & ((lift_found != found) | by_p)


def holds(reading: Any, lift: float) -> Any:
    lower, upper = reading[:, 0], reading[:, 1]
    return ~((lower > lift) | (upper < lift))


def summarise(folder: Path, found: list[Cell], tool: str) -> dict[str, dict[str, float]]:
    """By distribution: coverage, false alarms, power, contradictions and silence."""
    lines: dict[str, dict[str, float]] = {}
    for shape in SHAPES:
        here = [cell for cell in found if cell.shape == shape.name]
        if not (folder / f"{here[0].name}-{tool}.npy").is_file():
            continue
        readings = {cell: np.load(folder / f"{cell.name}-{tool}.npy") for cell in here}
        everything = np.vstack(list(readings.values()))
        by_effect = {
            effect: [(cell, reading) for cell, reading in readings.items() if cell.effect == effect]
            for effect in ("none", "10 %", "planned")
        }
        # Peers divide by the mean itself: an improvement on a negative one is below zero.
        sign = -1 if shape.mean < 0 and tool != "toolkit" else 1
        lines[shape.name] = {
            "coverage": float(np.mean([holds(reading, sign * cell.lift) for cell, reading in by_effect["10 %"]])),
            "alarms": float(np.mean([reading[:, 4] < ALPHA for _, reading in by_effect["none"]])),
            "power": float(np.mean([reading[:, 4] < ALPHA for _, reading in by_effect["planned"]])),
            "contradictions": float(np.mean(disagree(everything))),
            "silent": float(np.mean(np.isnan(everything[:, 0]))),
        }
    return lines


def print_tools(folder: Path, found: list[Cell], tools: dict[str, str]) -> None:
    print("## All tools on the same experiments\n")
    print("| tool | distribution | lift's coverage | false alarms | power | contradictions | no lift |")
    print("|---|---|---|---|---|---|---|")
    for tool, note in tools.items():
        if note:
            print(f"| {tool} | skipped: {note} | | | | | |")
            continue
        lines = summarise(folder, found, tool)
        for name, line in lines.items():
            print(row(tool, name, line))
        keys = next(iter(lines.values()))
        print(
            row(f"**{tool}**", "all of them", {key: float(np.mean([x[key] for x in lines.values()])) for key in keys})
        )


def row(tool: str, name: str, line: dict[str, float]) -> str:
    shown = " | ".join(f"{100 * line[key]:.1f} %" for key in ("coverage", "alarms", "power"))
    return f"| {tool} | {name} | {shown} | {100 * line['contradictions']:.2f} % | {100 * line['silent']:.2f} % |"


def print_own(draws: int) -> list[str]:
    """The toolkit's coverage at a lift of 10 %, with draws enough to tell; what misses."""
    print(f"## Coverage of the toolkit's 95 % interval of the lift, {draws:,} experiments each\n")
    print("| distribution | " + " | ".join(f"{units} units a variant" for units in OWN_SIZES) + " |")
    print("|---|" + "---|" * len(OWN_SIZES))
    missed, contradictions = [], 0
    for number, shape in enumerate(SHAPES):
        shown = []
        for units in OWN_SIZES:
            rng = np.random.default_rng((SEED + 1, number, units))
            reading = read_rows("toolkit", draw_experiments(shape, units, LIFT, draws, rng), shape.share)
            coverage = float(holds(reading, LIFT).mean())
            contradictions += int(disagree(reading).sum())
            error = math.sqrt(coverage * (1 - coverage) / draws)
            if not COVERAGE[0] - 3 * error <= coverage <= COVERAGE[1] + 3 * error:
                missed.append(f"{shape.name} with {units} units: {100 * coverage:.2f} %")
            shown.append(f"{100 * coverage:.2f} %")
        print(f"| {shape.name} | {' | '.join(shown)} |", flush=True)
    total = draws * len(SHAPES) * len(OWN_SIZES)
    print(f"\nDifference and lift contradicted each other in {contradictions} of {total:,} experiments.\n")
    return [*missed, *([f"{contradictions} contradictions"] if contradictions else [])]


def main() -> int:
    """Print both tables; 1 if a promise is missed."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS
    missed = print_own(OWN_TIMES * draws)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = draw(folder, draws)
        tools = {"toolkit": ""}
        process("toolkit", folder)
        for peer, needs in PEERS.items():
            python = install(folder / peer, *needs)
            tools[peer] = str(python)
            if isinstance(python, Path):
                command = [str(python), str(HERE), "--process", peer, str(folder)]
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
                tools[peer] = "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
        print_tools(folder, found, tools)
    print("\n" + ("Missed: " + "; ".join(missed) if missed else "Every promise is kept."))
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        process(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main())
