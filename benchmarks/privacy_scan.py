"""What does the privacy gate cost, what does it find, and what does it take for personal data that is none?

Megabytes a second of one core (CPU time, median of five) over report-like HTML and over texts made to be slow; recall
over planted data of every kind, spelling and context, and false alarms over texts that look like it. Exits 1 below
1 MB/s, below a recall of 0.99, or at a false alarm.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "privacy"))

from near_misses import WRITTEN, drawn
from planted_data import plant

from toolkit.privacy import KINDS, Redactor, scan_outputs, scan_text

RUNS = 5
LEAST_MB_PER_S = 1.0
LEAST_RECALL = 0.99
PLANTED_ROUNDS = 600
DRAWN_ROUNDS = 5000
REPORT_BYTES = 5_000_000
ADVERSARY_BYTES = 1_000_000
ADVERSARIES = (
    "a",
    "1",
    "@",
    "+49 ",
    "a@a.aa ",
    "(01) ",
    "DE89 ",
    "4111 ",
    "10.0.0.1 ",
    "+4930123456 ",
    "<a",
    "&#64;",
    "é",
)

_CSS = "".join(f"#t .c{n} {{ padding: {n}px 5px; border-top-color: #D3D3D3; font-size: 100%; }}\n" for n in range(120))


def make_report_html(size_bytes: int) -> str:
    """Tables as reports have them: a style sheet each, numbers, intervals, names, instants, a picture."""
    rng = random.Random(11)
    parts: list[str] = []
    size = 0
    while size < size_bytes:
        rows = "".join(
            f'<tr><td class="gt_row gt_left">{rng.choice("ABCDEFG")}{rng.randint(1, 9)}, N{rng.randint(100, 999)}</td>'
            f'<td class="gt_row gt_right">{rng.randint(0, 336_776):,}</td>'
            f'<td class="gt_row gt_right">{rng.gauss(0, 1):+.4f} [{rng.gauss(0, 1):.3f}, {rng.gauss(0, 1):.3f}]</td>'
            f'<td class="gt_row gt_left">2013-05-{rng.randint(1, 28):02d} 06:00 … 2013-06-01T00:00:00+00:00</td></tr>\n'
            for _ in range(60)
        )
        picture = f'<img alt="Effects" src="data:image/png;base64,{"iVBORw0KGgo" * 300}">' if rng.random() < 0.2 else ""
        parts.append(f'<div id="t"><style>{_CSS}</style><table class="gt_table">{rows}</table>{picture}</div>')
        size += len(parts[-1])
    return "".join(parts)


def measure(act: Callable[[], object], size_bytes: int) -> float:
    """Megabytes a second of CPU time, the median of some runs."""
    rates = []
    for _ in range(RUNS):
        start = time.process_time()
        act()
        rates.append(size_bytes / 1e6 / (time.process_time() - start))
    return statistics.median(rates)


def measure_speed() -> bool:
    """Print the table of speeds; whether every one of the scan is high enough."""
    html = make_report_html(REPORT_BYTES)
    cells = [
        {
            "cell_type": "code",
            "source": "",
            "outputs": [{"output_type": "display_data", "data": {"text/html": html[start : start + 50_000]}}],
        }
        for start in range(0, len(html), 50_000)
    ]
    redactor = Redactor([(".", Path("/srv/w")), ("~", Path("/home/ada"))], {"TOKEN": "correct horse battery"})
    inputs: list[tuple[str, Callable[[], object], int]] = [
        ("report-like HTML, one text", lambda: scan_text(html), len(html)),
        (f"the same as the outputs of {len(cells)} cells", lambda: scan_outputs({"cells": cells}), len(html)),
    ]
    for unit in ADVERSARIES:
        text = unit * (ADVERSARY_BYTES // len(unit))
        inputs.append((f"`{unit}` again and again", lambda text=text: scan_text(text), len(text.encode())))
    print("| scanned | MB | MB/s |\n|---|---|---|")
    rates = []
    for name, act, size in inputs:
        rates.append(measure(act, size))
        print(f"| {name} | {size / 1e6:.1f} | {rates[-1]:.1f} |", flush=True)
    rate = measure(lambda: redactor.redact_text(html), len(html))
    print(f"| report-like HTML, redacted instead of scanned | {len(html) / 1e6:.1f} | {rate:.1f} |\n", flush=True)
    return min(rates) >= LEAST_MB_PER_S


def measure_recall() -> bool:
    """Print what is found of each kind; whether it is enough."""
    planted = plant(seed=2026, rounds=PLANTED_ROUNDS)
    missed = [
        each for each in planted if (each.kind, each.value) not in {(h.kind, h.value) for h in scan_text(each.text)}
    ]
    print("| planted | values | missed | recall |\n|---|---|---|---|")
    for name, kind in KINDS.items():
        count, gone = (sum(each.kind == name for each in some) for some in (planted, missed))
        print(f"| {kind.many} | {count} | {gone} | {1 - gone / count:.4f} |")
    recall = 1 - len(missed) / len(planted)
    print(f"| all | {len(planted)} | {len(missed)} | {recall:.4f} |\n", flush=True)
    return recall >= LEAST_RECALL


def measure_false_alarms() -> bool:
    """Print what is found where nothing is; whether that is nothing."""
    print("| looks like it, and is nobody's | texts | false alarms |\n|---|---|---|")
    alarms = 0
    for name, texts in (("written by hand", WRITTEN), ("drawn", drawn(seed=2026, rounds=DRAWN_ROUNDS))):
        found = sum(bool(scan_text(text)) for text in texts)
        alarms += found
        print(f"| {name} | {len(texts)} | {found} |", flush=True)
    return alarms == 0


def main() -> int:
    """Print the three tables."""
    passed = [measure_speed(), measure_recall(), measure_false_alarms()]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
