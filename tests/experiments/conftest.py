from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from experiment_trial import Reading, Trial, make_trial

from toolkit import data, experiments


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Reading]:
    """Writes a trial and reads it."""

    def go(trial: Trial, **arguments: Any) -> Reading:
        workspace = trial.write(tmp_path)
        plan = experiments.load(workspace, "eta-v2")
        units = experiments.measure(plan, data.open_source(workspace), **arguments)
        checks = experiments.check(plan, units)
        readout = experiments.analyze(plan, units)
        return Reading(plan, units, checks, readout, experiments.judge(plan, checks, readout))

    return go


@pytest.fixture(scope="session")
def trial() -> Trial:
    """One request per unit; version 2 is better."""
    return make_trial()


@pytest.fixture(scope="session")
def repeated_trial() -> Trial:
    """Up to five requests per unit, in clusters that straddle units and variants."""
    return make_trial(units=700, most_requests=5, seed=5)
