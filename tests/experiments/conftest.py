from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from experiment_trial import Reading, Trial, make_trial, read_trial


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Reading]:
    """Writes a trial and reads it; the same frames under the same plan are read once for all tests."""
    kept: dict[tuple[Any, ...], tuple[Trial, Reading]] = {}

    def go(trial: Trial, **arguments: Any) -> Reading:
        frames = trial.predictions, trial.outcomes, trial.exposures
        key = (*map(id, frames), trial.plan, *sorted(arguments.items()))
        if key not in kept:  # with the trial, that no other frame has the place of one of its own
            kept[key] = trial, read_trial(trial, tmp_path_factory.mktemp("read"), **arguments)
        return kept[key][1]

    return go


@pytest.fixture(scope="session")
def trial() -> Trial:
    """One request per unit; version 2 is better."""
    return make_trial()


@pytest.fixture(scope="session")
def repeated_trial() -> Trial:
    """Up to five requests per unit, in clusters that straddle units and variants."""
    return make_trial(units=700, most_requests=5, seed=5)
