from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from experiment_trial import CLUSTERED, Reading, Trial

from toolkit import experiments
from toolkit.experiments.units import Arrivals


def _treated(trial: Trial, count: int) -> pd.Index:
    """The rows of the first exposures to the treatment."""
    return trial.exposures.index[trial.exposures["variant"] == "treatment"][:count]


def _lose_exposures(trial: Trial) -> Trial:
    return replace(trial, exposures=trial.exposures.drop(_treated(trial, 120)))


def _expose_twice(trial: Trial) -> Trial:
    again = trial.exposures.loc[_treated(trial, 20)].assign(variant="control")
    again["exposed_at"] += pd.Timedelta(minutes=5)
    return replace(trial, exposures=pd.concat([trial.exposures, again], ignore_index=True))


def _misspell_variant(trial: Trial) -> Trial:
    exposures = trial.exposures.copy()
    exposures.loc[_treated(trial, 3), "variant"] = "treatmnt"
    return replace(trial, exposures=exposures)


def _log_exposures_late(trial: Trial) -> Trial:
    exposures = trial.exposures.copy()
    exposures.loc[_treated(trial, 40), "exposed_at"] += pd.Timedelta(minutes=1)
    return replace(trial, exposures=exposures)


def _serve_wrong_version(trial: Trial) -> Trial:
    units = trial.exposures.loc[_treated(trial, 5), "unit_id"]
    predictions = trial.predictions.copy()
    swapped = predictions["unit_id"].isin(units)
    predictions.loc[swapped, "served"] = ~predictions.loc[swapped, "served"]
    return replace(trial, predictions=predictions)


def _lose_labels(trial: Trial) -> Trial:
    return replace(trial, outcomes=trial.outcomes.iloc[len(trial.outcomes) // 5 :])


def _assign_by_another_key(trial: Trial) -> Trial:
    return trial.planned({"version: 2, key: eta-v2": "version: 2, key: eta-v1"})


def _lose_requests(trial: Trial) -> Trial:
    units = trial.exposures.loc[_treated(trial, 60), "unit_id"]
    lost = trial.predictions["unit_id"].isin(units) & trial.predictions["served"]
    return replace(trial, predictions=trial.predictions[~lost])


FAULTS = {
    "lost exposures": (
        _lose_exposures,
        {"sample_ratio"},
        "units (control : treatment) do not agree with the planned 50 : 50: p = ",
    ),
    "double exposure": (
        _expose_twice,
        {"double_exposure"},
        "20 of 650 exposed units were seen in more than one variant (3.08 %, 95 % interval 2 % to 4.7 %); "
        "they are left out.",
    ),
    "unplanned variant": (
        _misspell_variant,
        {"unplanned_variants"},
        "3 of 650 exposed units were in a variant that the plan does not have.",
    ),
    "late exposure": (
        _log_exposures_late,
        {"late_exposure", "unserved"},
        "requests in the treatments were served by the variant's own version before the unit's exposure was logged; "
        "they are not counted.",
    ),
    "wrong version": (
        _serve_wrong_version,
        {"wrong_version"},
        "5 of 650 served requests were answered by another version than their variant's (control 0, treatment 5); "
        "they are not counted.",
    ),
    "immature labels": (_lose_labels, {"label_maturity"}, "answered requests of control have a label ("),
    "other assignment": (
        _assign_by_another_key,
        {"assignment"},
        "of 650 recomputed assignments (flagd-fractional 2, key 'eta-v1') disagree with the exposures; "
        "a sample of at most 2,000 units by the MD5 of their ids.",
    ),
    "lost requests": (
        _lose_requests,
        {"unserved"},
        "units exposed to control and 60 of 329 exposed to treatment have no served request at or after their exposure",
    ),
}


def test_a_sound_experiment_passes_every_check(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial)
    assert reading.outcomes() == {
        "sample_ratio": "passed",
        "double_exposure": "passed",
        "unplanned_variants": "passed",
        "assignment": "passed",
        "unserved": "passed",
        "late_exposure": "passed",
        "wrong_version": "passed",
        "label_maturity": "passed",
        "label_share_difference": "for information",
    }
    assert reading.checks.text == "All 9 checks passed: the data can be read."
    assert reading.verdict.decision == "ship"


@pytest.mark.parametrize(("fault", "names", "finding"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_found_named_and_withholds_the_verdict(
    trial: Trial,
    read: Callable[..., Reading],
    fault: Callable[[Trial], Trial],
    names: set[str],
    finding: str,
) -> None:
    reading = read(fault(trial))
    failed = [name for name, outcome in reading.outcomes().items() if outcome == "failed"]
    assert set(failed) == names
    assert finding in reading.checks.text
    assert reading.verdict.decision == "withheld"
    assert any(finding in reason for reason in reading.verdict.reasons)


def test_exposures_logged_late_are_found_where_units_come_back(
    repeated_trial: Trial, read: Callable[..., Reading]
) -> None:
    reading = read(_log_exposures_late(repeated_trial))
    assert reading.units.arrivals["treatment"].early == 40
    assert reading.units.arrivals["control"].early == 0
    assert [check.name for check in reading.checks.failed][-1] == "late_exposure"


def _with_counts(reading: Reading, control: int, treatment: int) -> experiments.Checks:
    arrivals = {name: Arrivals(n, n, n, 0, 0, n, n, 0) for name, n in (("control", control), ("treatment", treatment))}
    return experiments.check(reading.plan, replace(reading.units, arrivals=arrivals))


def test_three_percent_of_one_variants_exposures_lost_is_called(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial)
    assert not _with_counts(reading, 60_000, 60_000).failed
    (failed,) = _with_counts(reading, 60_000, 58_200).failed
    assert failed.name == "sample_ratio"
    assert failed.text == (
        "60,000 : 58,200 units (control : treatment) do not agree with the planned 50 : 50: p = 1.64e-07 (chi-square), "
        "largest deviation 0.761 % of all units."
    )
    assert failed.expected == "p of at least 0.001"


def test_a_variant_nobody_was_exposed_to_fails_and_does_not_crash(trial: Trial, read: Callable[..., Reading]) -> None:
    alone = replace(trial, exposures=trial.exposures[trial.exposures["variant"] == "control"])
    reading = read(alone)
    assert {"sample_ratio", "unserved", "label_maturity"} == {check.name for check in reading.checks.failed}
    assert reading.effect("brier").difference.status == "absent"
    assert reading.verdict.decision == "withheld"


def test_labels_lost_in_one_variant_are_reported(trial: Trial, read: Callable[..., Reading]) -> None:
    treated = trial.counted.query("variant == 'treatment' and label == label")["request_id"].iloc[:15]
    reading = read(replace(trial, outcomes=trial.outcomes[~trial.outcomes["request_id"].isin(treated)]))
    found = next(check for check in reading.checks.checks if check.name == "label_share_difference")
    assert found.passed is None
    assert found.text.startswith(
        "The share of answered requests with a label is 4.7 percentage points lower in treatment"
    )
    assert not reading.checks.failed


def test_the_sample_of_assignments_is_bounded_and_the_same_every_time(
    trial: Trial, read: Callable[..., Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.experiments.statement.SAMPLE_UNITS", 50)
    first, second = read(trial).units.sample, read(trial).units.sample
    assert len(first) == 50
    assert first == second


def test_checks_are_rows_with_finding_observation_and_bound(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial.planned(CLUSTERED))
    rows = [row for row in reading.checks.to_rows() if row.key == "label_maturity"]
    assert [(row.statistic, row.segment) for row in rows[:3]] == [
        ("outcome", "variant=control"),
        ("observed", "variant=control"),
        ("expected", "variant=control"),
    ]
    assert rows[0].value == "passed"
    assert rows[0].reason.endswith("answered requests of control have a label (100 %, 95 % interval 98.8 % to 100 %).")
    assert rows[1].value == 1.0
    assert rows[2].value == "at least 90 %"
    assert reading.outcomes()["unclustered"] == "for information"
    assert "label maturity, control" in reading.checks._repr_html_()
