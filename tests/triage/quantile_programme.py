"""Programmes over scenarios at which HiGHS 1.12, as scipy 1.17 brings it, writes a line of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from toolkit.triage.capacity_programme import Programme, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


def talkative() -> Iterator[tuple[Programme, NDArray[np.float64]]]:
    """Some programmes with the values of their tasks by scenario."""
    for seed in SEEDS:
        yield drawn(seed)


SEEDS = (155, 185, 189, 255, 300)


def drawn(seed: int) -> tuple[Programme, NDArray[np.float64]]:
    """A programme and values at random."""
    rng = np.random.default_rng(seed)
    size, teams, scenarios = int(rng.integers(5, 60)), int(rng.integers(1, 5)), int(rng.integers(2, 12))
    values, days = rng.lognormal(2, 1, (size, scenarios)), rng.lognormal(1, 1, (teams, size))
    tasks = tuple(
        Task(f"t{index:02}", 0.0, {str(team): float(days[team, index]) for team in range(teams)})
        for index in range(size)
    )
    return Programme(tasks, {str(team): float(days[team].sum() * 0.3) for team in range(teams)}), values
