"""What is kept of an experiment, and what a change in its data or its plan makes it read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_trial import CLUSTERED, Trial

from toolkit import data, experiments
from toolkit.data import Source
from toolkit.experiments import Units
from toolkit.workspace import Workspace, open_workspace

LOOKS = {"rule:": "design: {kind: group_sequential, looks: ['2024-03-09']}\nrule:"}


def _measure(workspace: Workspace, **arguments: Any) -> Units:
    return experiments.measure(experiments.load(workspace, "eta-v2"), data.open_source(workspace), **arguments)


def _days(workspace: Workspace) -> set[Path]:
    return set((workspace.root / "cache" / "unit-days").rglob("*.parquet"))


def _tables(units: Units) -> dict[str, bytes]:
    return {name: table.to_bytes() for name, table in units.read.tables.items()}


@contextmanager
def _queries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the engines are asked meanwhile."""
    asked: list[str] = []
    execute = Source.execute

    def note(self: Source, expression: Any, *, reading: str) -> Any:
        asked.append(reading)
        return execute(self, expression, reading=reading)

    with monkeypatch.context() as patch:
        patch.setattr(Source, "execute", note)
        yield asked


def test_another_margin_alpha_or_design_reads_no_data(
    repeated_trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)  # files that were written just now are known, too
    first = _measure(repeated_trial.write(tmp_path))
    path = tmp_path / "experiments" / "eta-v2.yml"
    changed = path.read_text().replace("alpha: 0.05", "alpha: 0.01").replace("margin: 2", "margin: 3")
    path.write_text(changed)
    with _queries(monkeypatch) as asked:
        again = _measure(open_workspace(tmp_path))
    assert asked.count("predictions") <= 1  # the newest prediction, for the day that is complete
    assert "predictions, outcomes and exposures" not in asked
    assert _tables(again) == _tables(first)
    assert again.arrivals == first.arrivals


def test_a_late_exposure_changes_the_unit_days_of_its_own_day(repeated_trial: Trial, tmp_path: Path) -> None:
    workspace = repeated_trial.write(tmp_path)
    _measure(workspace)
    before = _days(workspace)
    late = repeated_trial.exposures.iloc[[0]].assign(exposed_at=pd.Timestamp("2024-03-06T05:00", tz="UTC"))
    exposures = pd.concat([repeated_trial.exposures, late], ignore_index=True)
    workspace = replace(repeated_trial, exposures=exposures).write(tmp_path)
    units = _measure(workspace)
    assert before < _days(workspace)
    assert len(_days(workspace) - before) == 1
    assert units.exposed == repeated_trial.exposures["unit_id"].nunique()


def test_a_look_later_builds_its_new_days_only(repeated_trial: Trial, tmp_path: Path) -> None:
    workspace = repeated_trial.planned(LOOKS).write(tmp_path)
    _measure(workspace, as_of="2024-03-09")
    early = _days(workspace)
    _measure(workspace, as_of="2024-03-11")
    assert len(_days(workspace) - early) == 2


@pytest.mark.parametrize("changes", [{}, pytest.param(CLUSTERED, marks=pytest.mark.slow)])
def test_kept_days_and_fresh_ones_give_the_same_numbers_to_the_last_bit(
    repeated_trial: Trial, tmp_path: Path, changes: dict[str, str]
) -> None:
    trial = repeated_trial.planned(LOOKS | changes)
    grown, fresh = (trial.write(tmp_path / name) for name in ("grown", "fresh"))
    for as_of in ("2024-03-04", "2024-03-09", "2024-03-12"):
        _measure(grown, as_of=as_of)
    first, second = _measure(grown), _measure(fresh)
    assert _tables(first) == _tables(second)
    assert first.arrivals == second.arrivals
    built = {path.read_bytes() for path in _days(fresh)}
    assert built <= {path.read_bytes() for path in _days(grown)}


@pytest.mark.slow
def test_units_summed_in_several_runs_are_the_same_units(
    repeated_trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _measure(repeated_trial.write(tmp_path / "whole"))
    monkeypatch.setattr("toolkit.experiments.unit_sums.RUN_UNITS", 100)
    monkeypatch.setattr("toolkit.experiments.unit_sums.RUN_ROWS", 300)
    parts = _measure(repeated_trial.write(tmp_path / "parts"))
    assert parts.arrivals == whole.arrivals
    for since in (None, 0, 3):
        one, other = (units.samples("profit", "treatment", since_day=since) for units in (whole, parts))
        assert (one.control.n, one.rows0, one.rows1) == (other.control.n, other.rows0, other.rows1)
        for mine, theirs in ((one.control, other.control), (one.treatment, other.treatment)):
            assert np.array(mine.products) == pytest.approx(np.array(theirs.products), rel=1e-9)


def test_nothing_but_what_is_kept_is_left_in_the_cache(repeated_trial: Trial, tmp_path: Path) -> None:
    workspace = repeated_trial.write(tmp_path)
    _measure(workspace)
    assert not [path for path in (workspace.root / "cache").rglob("*") if path.name.startswith(".")]
