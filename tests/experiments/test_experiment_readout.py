from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arranged_units import ArrangedUnits, requests_of
from arranged_units import metric as a_metric
from experiment_trial import CLUSTERED, Reading, Trial
from hypothesis import given
from hypothesis import strategies as st
from looks_of import make_plan

from toolkit import experiments, stats
from toolkit.metrics import MetricDefinition
from toolkit.records import Record, to_document

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "reference" / "experiments_cases.json").read_text())
}


def _effect(
    control: Any, treated: Any, *, counts: tuple[Any, Any] | None = None, metric: MetricDefinition | None = None
) -> experiments.Effect:
    """The effect on the primary metric, from each unit's mean and how many requests it has."""
    per_unit = None if counts is None else [*counts[0], *counts[1]]
    values = [*control, *treated] if per_unit is None else np.repeat([*control, *treated], per_unit)
    first = len(control) if counts is None else int(np.sum(counts[0]))
    rows = requests_of(values[:first], values[first:], per_unit=per_unit)
    plan = make_plan(**{"secondary: [profit]": "secondary: []"})
    units: Any = ArrangedUnits(rows, dict.fromkeys(plan.metrics, metric or a_metric()))
    return experiments.analyze(plan, units).effects[0]


def test_reference_ratio_over_units() -> None:
    case = CASES["ratio-delta-small"]
    sides = [case["inputs"][side] for side in ("control", "treatment")]
    means = [np.array(side["num"]) / np.array(side["den"]) for side in sides]
    effect = _effect(*means, counts=(sides[0]["den"], sides[1]["den"]))
    expected, tolerance = case["expected"], case["tolerance"]
    assert effect.control_mean == pytest.approx(expected["control_ratio"], abs=tolerance)
    assert effect.treatment_mean == pytest.approx(expected["treatment_ratio"], abs=tolerance)
    assert effect.difference.value == pytest.approx(expected["effect"], abs=tolerance)
    assert effect.difference.se == pytest.approx(expected["se"], abs=tolerance)
    assert effect.difference.p_value == pytest.approx(expected["p_value"], abs=tolerance)
    assert [effect.difference.ci_lower, effect.difference.ci_upper] == pytest.approx(expected["ci"], abs=tolerance)


@pytest.mark.parametrize("name", ["lift-negative-baseline-down", "lift-negative-baseline-cross"])
def test_reference_lift_keeps_its_sign_over_a_negative_baseline(name: str) -> None:
    case = CASES[name]
    means = case["inputs"]["control_mean"], case["inputs"]["treatment_mean"]
    effect = _effect(*([mean - 0.1, mean + 0.1] for mean in means))
    assert effect.lift.value == pytest.approx(case["expected"]["lift"], abs=1e-9)
    assert effect.outcome == ("better" if means[1] > means[0] else "worse")


def test_reference_one_unit_gives_a_reason() -> None:
    case = CASES["tiny-n"]
    control, treatment = case["inputs"]["control"], case["inputs"]["treatment"]
    mean = treatment["sum"] / treatment["n"]
    spread = math.sqrt(treatment["sum_squares"] / treatment["n"] - mean * mean)
    half = [spread, -spread] * (treatment["n"] // 2)
    effect = _effect([control["sum"]], [mean + away for away in half])
    assert effect.difference.p_value is case["expected"]["p_value"]
    assert effect.difference.value == pytest.approx(-0.5)
    assert effect.difference.reason == "no interval and no test: too few observations: n0 == 1, a variance needs 2"
    assert effect.outcome == "unclear"


@pytest.mark.parametrize("name", ["ni-1", "ni-2"])
def test_reference_guardrail_bound(name: str) -> None:
    case = CASES[name]
    given, expected = case["inputs"], case["expected"]
    # A one-sided test at 5 % is the end of a two-sided 90 % interval.
    estimate = stats.from_standard_error(
        given["effect"], given["se"], n=1000, method="z", null=0.0, confidence=1 - 2 * given["alpha_one_sided"]
    )
    effect = experiments.Effect(
        "m",
        "M",
        "guardrail",
        "treatment",
        "control",
        "",
        given["preferred"],
        1.0,
        1.0,
        estimate,
        estimate,
        given["margin"],
    )
    assert effect.bound == pytest.approx(expected["lower_bound"], abs=case["tolerance"])
    assert (effect.against_margin == "within") is expected["non_inferior"]


def test_relative_and_absolute_never_contradict_each_other() -> None:
    @given(
        control=st.lists(st.floats(-50, 50), min_size=3, max_size=20),
        treated=st.lists(st.floats(-50, 50), min_size=3, max_size=20),
    )
    def agree(control: list[float], treated: list[float]) -> None:
        effect = _effect(control, treated)
        if effect.lift.ci_lower is not None and effect.difference.ci_lower is not None:
            assert effect.lift.p_value == effect.difference.p_value
            # At the very edge the two are rounded differently.
            edge = min(abs(effect.difference.ci_lower), abs(effect.difference.ci_upper or 0.0))
            assert effect.lift.excludes_zero == effect.difference.excludes_zero or edge < 1e-9
        for row in effect.rows():
            assert not isinstance(row.value, float) or math.isfinite(row.value)

    agree()


@pytest.mark.parametrize(
    ("direction", "means", "outcome"),
    [
        ("increase", (1.0, 2.0), "better"),
        ("increase", (2.0, 1.0), "worse"),
        ("decrease", (1.0, 2.0), "worse"),
        ("decrease", (-1.0, -2.0), "better"),
        ("toward_zero", (2.0, 1.0), "better"),
        ("toward_zero", (-1.0, -2.0), "worse"),
        ("toward_zero", (-1.0, 2.0), "changed"),
        ("none", (1.0, 2.0), "changed"),
        ("increase", (1.0, 1.001), "unclear"),
        ("none", (1.0, 1.001), "unclear"),
    ],
)
def test_the_word_follows_the_interval_and_the_direction(
    direction: str, means: tuple[float, float], outcome: str
) -> None:
    sides = [[mean - 0.01, mean + 0.01, mean, mean] for mean in means]
    assert _effect(*sides, metric=a_metric(direction=direction)).outcome == outcome


def test_a_rare_event_that_never_happened_is_known_to_be_rare(trial: Trial, read: Callable[..., Reading]) -> None:
    calm = replace(trial, predictions=trial.predictions.assign(error=False))
    bounds = []
    for changes, method in (({}, ""), (CLUSTERED, ", one observation per cluster")):
        effect = read(calm.planned(changes)).effect("error_rate")
        groups = effect.difference.n
        assert effect.difference.method == f"miettinen-nurminen score{method}"
        assert effect.difference.value == 0
        assert effect.difference.ci_upper == pytest.approx(3.8415 / (groups / 2 + 3.8415), rel=0.05)
        assert effect.lift.reason == "the control mean is 0: there is nothing to be relative to"
        assert effect.against_margin == "within"
        bounds.append(effect.bound)
    assert bounds[0] < bounds[1] / 3  # some 320 units say more than 90 clusters


@pytest.mark.parametrize("changes", [{}, pytest.param(CLUSTERED, marks=pytest.mark.slow)])
def test_values_that_do_not_vary_have_no_interval_and_a_reason(
    trial: Trial, read: Callable[..., Reading], changes: dict[str, str]
) -> None:
    flat = replace(trial, predictions=trial.predictions.assign(profit=0.1))
    effect = read(flat.planned(changes)).effect("profit")
    assert effect.control_mean == effect.treatment_mean == 0.1
    assert effect.difference.value == 0
    assert effect.difference.p_value is None
    assert effect.difference.reason == "no interval and no test: the observations do not vary"
    assert effect.word == "unclear"


def test_no_labels_at_all_leaves_the_loss_absent_and_the_rest_standing(
    trial: Trial, read: Callable[..., Reading]
) -> None:
    reading = read(replace(trial, outcomes=trial.outcomes.iloc[:1]))
    assert reading.effect("brier").difference.status == "absent"
    assert reading.effect("brier").difference.reason.startswith("no observations in one group: n0 == ")
    assert reading.effect("brier").word == "absent"
    assert reading.effect("latency").difference.status == "ok"
    assert "Brier score (primary) is absent: no observations in one group" in reading.readout.text
    assert "absent, no observations in one group" in reading.readout.plot().alt


def test_one_unit_per_variant_is_shown_without_an_interval(trial: Trial, read: Callable[..., Reading]) -> None:
    first = trial.exposures.drop_duplicates("variant")
    reading = read(replace(trial, exposures=first))
    effect = reading.effect("latency")
    assert effect.difference.value is not None
    assert effect.difference.ci_lower is None
    assert effect.difference.reason == (
        "no interval and no test: too few observations: n0 == 1 and n1 == 1, a variance needs 2"
    )
    assert effect.against_margin == "unclear"
    assert reading.verdict.decision in {"hold", "withheld"}


def test_a_negative_baseline_keeps_the_sign_of_an_improvement(trial: Trial, read: Callable[..., Reading]) -> None:
    effect = read(trial).effect("profit")
    assert effect.control_mean is not None
    assert effect.control_mean < -9
    assert effect.lift.value == pytest.approx(0.4, abs=0.05)
    assert effect.lift.ci_lower is not None
    assert 0 < effect.lift.ci_lower < effect.lift.value
    assert effect.outcome == "better"


def test_the_readout_says_in_words_what_the_rows_say(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial)
    effect = reading.effect("error_rate")
    assert effect.difference.value is not None
    assert f"{100 * effect.difference.value:.2f}"[:4] in reading.readout.text
    assert " pp; " in reading.readout.text
    assert (
        "a guardrail's bad end is held against its margin, which is a one-sided test at 0.025" in reading.readout.text
    )
    rows = {(row.key, row.statistic): row for row in reading.readout.to_rows()}
    assert rows["latency", "bound"].value == reading.effect("latency").difference.ci_upper
    assert rows["latency", "margin"].value == 2.0
    assert rows["latency", "against_margin"].value == "within"
    assert rows["brier", "outcome"].value == "better"
    assert rows["brier", "rel_lift"].p_value == rows["brier", "difference"].p_value
    table = reading.readout.to_table()
    assert [line["metric"] for line in table] == ["Brier score", "Profit", "Latency", "Errors"]
    assert str(table[3]["difference"]).endswith(" pp")


def test_every_result_can_be_saved(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial)
    records = {
        "plan": reading.plan,
        "units": reading.units,
        "checks": reading.checks,
        "readout": reading.readout,
        "verdict": reading.verdict,
    }
    assert all(isinstance(record, Record) for record in records.values())
    document = to_document(records)
    json.dumps(document, allow_nan=False)
    assert {row["record"] for row in document["rows"]} == set(records)
    assert all(record.text and record._repr_html_() for record in records.values())


def test_the_figure_shows_every_effect_and_is_the_same_every_time(trial: Trial, read: Callable[..., Reading]) -> None:
    readout = read(trial.planned({"metric: latency, margin: 2}": "metric: latency, margin: 200}"})).readout
    picture, again = readout.plot(), readout.plot()
    assert picture.png.startswith(b"\x89PNG")
    assert picture == again == readout.to_pictures()[0]
    assert picture.name == "effects"
    for effect in readout.effects:
        assert f"{effect.name} ({effect.role}, treatment - control): " in picture.alt
        assert effect.word in picture.alt


def test_the_figure_stands_lifts_without_ends_and_absent_ones(trial: Trial, read: Callable[..., Reading]) -> None:
    around_zero = trial.predictions.assign(profit=np.arange(len(trial.predictions)) % 7 - 3.0, error=False)
    reading = read(replace(trial, predictions=around_zero))
    lift = reading.effect("profit").lift
    assert lift.value is not None
    assert lift.reason.startswith("unbounded: the control mean cannot be told from 0")
    words = reading.readout.plot().alt
    assert "95 % interval unbounded, unclear" in words
    assert "Errors (guardrail, treatment - control): absent, the control mean is 0" in words
    assert [line["lift_interval"] for line in reading.readout.to_table()][1] == "unbounded"


def test_alpha_sets_the_width_of_every_interval(trial: Trial, read: Callable[..., Reading]) -> None:
    wide, narrow = read(trial.planned({"alpha: 0.05\n": "alpha: 0.01\n"})), read(trial)
    for metric in ("brier", "profit", "latency"):
        ends = [(r.effect(metric).difference.ci_lower, r.effect(metric).difference.ci_upper) for r in (wide, narrow)]
        assert ends[0][0] < ends[1][0] < ends[1][1] < ends[0][1]
    assert "99 % interval" in wide.readout.text


def test_frames_have_the_columns_of_result_rows(trial: Trial, read: Callable[..., Reading]) -> None:
    frame = read(trial).readout.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert {"key", "statistic", "value", "ci_lower", "ci_upper", "p_value"} <= set(frame.columns)
