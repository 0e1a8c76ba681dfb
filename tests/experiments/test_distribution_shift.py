from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from toolkit import data, experiments
from toolkit.experiments.shift import SHARES, Shift

if TYPE_CHECKING:
    from experiment_trial import Trial

CLUSTERED = {"analysis: plain": "analysis: clustered\ncluster: cluster_id"}


def _shift(trial: Trial, root: Path) -> Shift:
    workspace = trial.write(root)
    plan = experiments.load(workspace, "eta-v2")
    source = data.open_source(workspace)
    units = experiments.measure(plan, source)
    found = experiments.distribution_shift(plan, source, units)
    assert found == experiments.distribution_shift(plan, source, units)  # the second time from what was kept
    return found


@pytest.mark.parametrize("clustered", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_quantiles_are_those_of_units_means(repeated_trial: Trial, tmp_path: Path, clustered: bool) -> None:
    trial = repeated_trial.planned(CLUSTERED) if clustered else repeated_trial
    found = _shift(trial, tmp_path)
    (shift,) = found.shifts
    rows = trial.counted
    means = rows[rows["brier"].notna()].groupby(["variant", "unit_id"])["brier"].mean()
    assert shift.control_values == pytest.approx(np.quantile(means["control"], SHARES), abs=1e-9)
    assert shift.treatment_values == pytest.approx(np.quantile(means["treatment"], SHARES), abs=1e-9)
    for each, control, treatment in zip(shift.differences, shift.control_values, shift.treatment_values, strict=True):
        assert each.value == pytest.approx(treatment - control)
        if clustered:
            assert each.reason == "no interval: units of a cluster depend on each other"
        else:
            assert each.ci_lower is not None
            assert each.ci_lower < (each.value or 0.0) < (each.ci_upper or 0.0)


def test_it_is_told_in_words_rows_and_a_figure(trial: Trial, tmp_path: Path) -> None:
    found = _shift(trial, tmp_path)
    (shift,) = found.shifts
    assert found.text.startswith("Brier score of units, treatment - control: ")
    assert " at the 5 % quantile, " in found.text
    rows = {(row.segment, row.statistic): row for row in found.to_rows()}
    assert rows["share=0.5", "quantile_shift"].value == shift.differences[9].value
    assert [line["units_below"] for line in found.to_table()] == [f"{share} %" for share in range(5, 100, 10)]
    picture = found.plot()
    assert picture == found.to_pictures()[0]
    assert (picture.name, picture.alt.count("%")) == ("shift", len(SHARES))


def test_a_share_has_no_distribution_beside_its_mean(trial: Trial, tmp_path: Path) -> None:
    swapped = trial.planned({"primary: brier": "primary: error_rate", "  - {metric: error_rate, margin: 0.05}\n": ""})
    found = _shift(swapped, tmp_path)
    reason = "each unit's value is 0 or 1: its distribution is its mean"
    assert found.text == f"How the distribution of Errors over units has moved is not told: {reason}."
    (row,) = found.to_rows()
    assert (row.status, row.reason) == ("absent", reason)
    assert found.to_pictures() == ()
