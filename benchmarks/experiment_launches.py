"""How often does the rule ship what it should, and what it should not?

    python benchmarks/experiment_launches.py [LAUNCHES]

Simulated launches at a known truth, each judged by the toolkit's rule and, on the same draws at the planned end, by
GrowthBook's default one: ship what is significantly better while no guardrail is significantly worse. Two guardrails;
the experiment is sized for 80 % power with the correction for guardrails, once for a single look and once for five
looks with O'Brien–Fleming spending. Prints Markdown. Exits 1 when harm at the margin is shipped in more than 5 % of the
launches, or a true win of the planned size in fewer than 80 %.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "experiments"))

from launches import EFFECT, Design, fixed_design, sequential_design, simulate

LAUNCHES = 10_000
MOST_HARM, FEWEST_WINS = 0.05, 0.80
TWO_ERRORS = "a sure win, a guardrail worse by 2 standard errors, which is within its margin"
HARM, WIN = "a guardrail worse by its margin", "a true win of the planned size"
DECISIONS = ("ship", "hold", "extend", "stop", "repurpose")


def list_truths(design: Design) -> dict[str, dict[str, float]]:
    """What is true in each scenario: differences by metric."""
    win = {"brier": -EFFECT}
    return {
        WIN: win,
        HARM: win | {"latency": EFFECT},
        TWO_ERRORS: {"brier": -3 * EFFECT, "latency": 2 * (2 / design.units[-1]) ** 0.5},
        "no effect at all": {},
        "half of the smallest effect worth having": {"brier": -EFFECT / 4},
        "worse by the planned effect": {"brier": EFFECT},
    }


def main() -> int:
    launches = int(sys.argv[1]) if len(sys.argv) > 1 else LAUNCHES
    print(f"### {launches:,} simulated launches of each kind\n")
    print(f"| design | truth | {' | '.join(DECISIONS)} | GrowthBook's default ships |")
    print("| --- | --- |" + " ---: |" * (len(DECISIONS) + 1))
    kept = True
    for name, design in (("one look", fixed_design()), ("five looks", sequential_design())):
        for number, (truth, differences) in enumerate(list_truths(design).items()):
            found = list(simulate(design, differences, launches, seed=100 + number))
            counted = Counter(launch.decision for launch in found)
            shares = [counted[decision] / launches for decision in DECISIONS]
            growthbook = sum(launch.growthbook for launch in found) / launches
            print(
                f"| {name} | {truth} | {' | '.join(f'{share:.1%}' for share in shares)} | {growthbook:.1%} |",
                flush=True,
            )
            kept &= not (truth == HARM and shares[0] > MOST_HARM) and not (truth == WIN and shares[0] < FEWEST_WINS)
    print(
        f"\nHarm at the margin is to be shipped in at most {MOST_HARM:.0%}, a true win in at least {FEWEST_WINS:.0%}: ",
        end="",
    )
    print("kept." if kept else "NOT kept.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
