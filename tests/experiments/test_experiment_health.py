from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from experiment_trial import CLUSTERED, START, Reading, Trial, read_trial

from toolkit import experiments
from toolkit.experiments.promises import LookDesign
from toolkit.experiments.telemetry import Telemetry
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
        {"sample_ratio", "unexposed"},
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
        {"late_exposure", "unserved", "requests_per_unit"},
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
        "a sample of at most 2,000 units by the hash of their ids.",
    ),
    "lost requests": (
        _lose_requests,
        {"unserved", "requests_per_unit"},
        "units exposed to control and 60 of 329 exposed to treatment have no served request at or after their exposure",
    ),
}
SOUND = {
    "sample_ratio": "passed",
    "sample_ratio_by_segment": "absent",
    "sample_ratio_by_day": "passed",
    "assignment": "passed",
    "balance_before_start": "absent",
    "double_exposure": "passed",
    "unplanned_variants": "passed",
    "unserved": "passed",
    "unexposed": "passed",
    "late_exposure": "passed",
    "wrong_version": "passed",
    "requests_per_unit": "passed",
    "missing_days": "passed",
    "repeated_requests": "passed",
    "null_columns": "passed",
    "clocks": "passed",
    "label_maturity": "passed",
    "label_share_difference": "passed",
    "suspicious_lift": "for information",
    "other_experiments": "passed",
    "errors": "passed",
    "feedback": "absent",
}


@pytest.fixture(scope="module")
def sound(trial: Trial, read: Callable[..., Reading]) -> Reading:
    """The sound trial, measured and checked once."""
    return read(trial)


def _found(checks: experiments.Checks, code: str) -> experiments.Check:
    return next(check for check in checks.checks if check.code == code)


def _outcomes(checks: experiments.Checks) -> dict[str, str]:
    """The worst outcome of each check, by code."""
    order = ("passed", "absent", "for information", "warning", "failed")
    found: dict[str, str] = {}
    for check in checks.checks:
        found[check.code] = max(found.get(check.code, "passed"), check.outcome, key=order.index)
    return found


def test_a_sound_experiment_passes_every_check(sound: Reading) -> None:
    assert _outcomes(sound.checks) == SOUND
    assert sound.checks.text == "All 19 checks passed: the data can be read."
    assert sound.checks.causes == ()
    assert not any(check.query for check in sound.checks.checks)
    assert sound.verdict.decision == "ship"


@pytest.mark.parametrize(("fault", "codes", "finding"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_found_named_and_withholds_the_verdict(
    trial: Trial,
    read: Callable[..., Reading],
    fault: Callable[[Trial], Trial],
    codes: set[str],
    finding: str,
) -> None:
    reading = read(fault(trial))
    broken = (*reading.checks.failed, *reading.checks.warnings)
    assert {check.code for check in broken} == codes
    assert finding in reading.checks.text
    assert all(check.causes and check.query for check in broken)
    assert reading.verdict.decision == "withheld"
    assert any(finding in reason for reason in reading.verdict.reasons)


@pytest.mark.slow
def test_exposures_logged_late_are_found_where_units_come_back(
    repeated_trial: Trial, read: Callable[..., Reading]
) -> None:
    reading = read(_log_exposures_late(repeated_trial))
    assert reading.units.arrivals["treatment"].early == 40
    assert reading.units.arrivals["control"].early == 0
    assert reading.checks.failed[-1].code == "late_exposure"
    assert [cause.code for cause in reading.checks.failed[-1].causes] == ["late_logging"]


def _with_counts(reading: Reading, control: int, treatment: int) -> experiments.Checks:
    """The checks of units of which nothing but their counts is known."""
    arrivals = {name: Arrivals(n, n, n, 0, 0, n, n, 0) for name, n in (("control", control), ("treatment", treatment))}
    return experiments.check(reading.plan, replace(reading.units, arrivals=arrivals, health=Telemetry()))


def test_three_percent_of_one_variants_exposures_lost_is_called(sound: Reading) -> None:
    assert not _with_counts(sound, 60_000, 60_000).failed
    (failed,) = _with_counts(sound, 60_000, 58_200).failed
    assert failed.code == "sample_ratio"
    assert failed.text == (
        "60,000 : 58,200 units (control : treatment) do not agree with the planned 50 : 50: p = 1.64e-07 (chi-square), "
        "p = 1.37e-05 at any look, largest deviation 0.761 % of all units."
    )
    assert failed.expected == "p of at least 0.001"


def test_where_looks_are_taken_the_ratio_that_is_valid_at_any_look_decides(sound: Reading) -> None:
    watching = replace(sound, plan=sound.plan.model_copy(update={"design": LookDesign(kind="always_valid")}))
    once = _found(_with_counts(sound, 60_000, 58_800), "sample_ratio")
    watched = _found(_with_counts(watching, 60_000, 58_800), "sample_ratio")
    assert (once.outcome, watched.outcome) == ("failed", "passed")
    assert (once.observed or 1) < 0.001 < (watched.observed or 0)
    assert _found(_with_counts(watching, 60_000, 57_000), "sample_ratio").outcome == "failed"


def test_at_planned_looks_the_chi_square_counts_too_split_over_the_looks(sound: Reading) -> None:
    design = LookDesign(kind="group_sequential", looks=("2024-03-08",))
    planned = replace(sound, plan=sound.plan.model_copy(update={"design": design}))
    watching = replace(sound, plan=sound.plan.model_copy(update={"design": LookDesign(kind="always_valid")}))
    once, always = (_found(_with_counts(each, 60_000, 58_400), "sample_ratio").observed for each in (sound, watching))
    assert once is not None
    assert always is not None
    both = _found(_with_counts(planned, 60_000, 58_400), "sample_ratio")
    assert both.observed == pytest.approx(2 * min(2 * once, always), rel=1e-12)
    assert both.outcome == "failed"
    early = replace(planned, units=replace(planned.units, as_of=START.to_pydatetime() + timedelta(days=9)))
    assert _found(_with_counts(early, 60_000, 58_400), "sample_ratio").observed == always


def test_what_was_not_counted_is_absent_and_says_so(sound: Reading) -> None:
    checks = _with_counts(sound, 600, 600)
    assert _found(checks, "telemetry").outcome == "absent"
    assert _found(checks, "sample_ratio_by_day").text == (
        "Not told: these units were measured without the counts that this check needs."
    )


def test_one_version_for_all_variants_cannot_tell_late_exposures(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial.planned({'treatment: {version: "2"': 'treatment: {version: "1"'}))
    for code in ("late_exposure", "wrong_version", "unexposed"):
        assert _found(reading.checks, code).outcome == "absent"
        assert _found(reading.checks, code).text == (
            "Not told: all variants are served by one version, which does not tell them apart."
        )


def test_a_variant_nobody_was_exposed_to_fails_and_does_not_crash(trial: Trial, read: Callable[..., Reading]) -> None:
    alone = replace(trial, exposures=trial.exposures[trial.exposures["variant"] == "control"])
    reading = read(alone)
    failed = {check.code for check in reading.checks.failed}
    assert {"sample_ratio", "sample_ratio_by_day", "unserved", "label_maturity"} == failed
    assert reading.effect("brier").difference.status == "absent"
    assert reading.verdict.decision == "withheld"


def test_labels_lost_in_one_variant_withhold_the_verdict(trial: Trial, read: Callable[..., Reading]) -> None:
    treated = trial.counted.query("variant == 'treatment' and label == label")["request_id"].iloc[:15]
    reading = read(replace(trial, outcomes=trial.outcomes[~trial.outcomes["request_id"].isin(treated)]))
    (found,) = reading.checks.failed
    assert found.code == "label_share_difference"
    assert found.text.startswith(
        "The share of answered requests with a label is 4.7 percentage points lower in treatment"
    )
    assert found.cause.startswith("Labels of treatment are lost in the join (")
    assert "4.7 percentage points fewer" in found.cause


def test_labels_that_no_deciding_metric_needs_only_warn(trial: Trial, read: Callable[..., Reading]) -> None:
    treated = trial.counted.query("variant == 'treatment' and label == label")["request_id"].iloc[:15]
    without = trial.planned({"primary: brier\nsecondary: [profit]": "primary: profit\nsecondary: [brier]"})
    reading = read(replace(without, outcomes=trial.outcomes[~trial.outcomes["request_id"].isin(treated)]))
    assert not reading.checks.failed
    assert [check.code for check in reading.checks.warnings] == ["label_share_difference"]
    assert "Look at label share difference: " in reading.checks.text


def test_a_lift_that_is_too_good_asks_for_a_second_look(trial: Trial, read: Callable[..., Reading]) -> None:
    rows = trial.predictions
    reading = read(replace(trial, predictions=rows.assign(profit=rows["profit"].where(rows["version"] == "1", 30.0))))
    found = _found(reading.checks, "suspicious_lift")
    assert found.outcome == "for information"
    assert found.text.startswith("Too good or too bad to believe without a second look at the log: profit changed by ")
    assert found.query
    assert reading.verdict.decision != "withheld"


def test_a_data_quality_metric_must_be_shown_to_be_the_same(trial: Trial, read: Callable[..., Reading]) -> None:
    def planned(metric: str, margin: float) -> str:
        return f"  - {{metric: {metric}, margin: {margin}}}\n"

    wanted = planned("flagged", 0.3) + planned("log_loss", 0.001)
    reading = read(trial.planned({"alpha: 0.05\n": f"data_quality:\n{wanted}alpha: 0.05\n"}))
    assert _found(reading.checks, "data_quality_flagged").outcome == "passed"
    unclear = _found(reading.checks, "data_quality_log_loss")
    assert unclear.outcome == "failed"
    assert unclear.text.endswith("not shown to be within its margin of 0.001.")
    assert reading.verdict.decision == "withheld"


def test_the_sample_of_assignments_is_bounded_and_the_same_every_time(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.experiments.telemetry.SAMPLE_UNITS", 50)
    first, second = (read_trial(trial, tmp_path / name).units.health for name in ("first", "second"))
    assert len(first.sample) == 50
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
    assert _outcomes(reading.checks)["unclustered"] == "for information"
    assert "label maturity, control" in reading.checks._repr_html_()


def test_a_failed_check_has_its_causes_and_its_query_as_rows(trial: Trial, read: Callable[..., Reading]) -> None:
    checks = read(_misspell_variant(trial)).checks
    rows = {row.statistic: row.value for row in checks.to_rows() if row.key == "unplanned_variants"}
    assert rows["cause"] == "The log writes 'treatmnt' where the plan says 'treatment' (3 units)."
    assert str(rows["query"]).startswith("SELECT variant, count(DISTINCT unit_id) AS units")
    page = checks._repr_html_()
    assert "To run next, unplanned variants" in page
    assert "experiment = &#x27;eta-v2&#x27;" in page
    assert checks.causes[0].code == "misspelt_variant"
