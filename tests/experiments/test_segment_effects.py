from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from arranged_units import ArrangedUnits, requests_of
from arranged_units import metric as a_metric
from looks_of import make_plan

from toolkit import data, experiments, stats
from toolkit.experiments.segments import FEWEST_GROUPS, MOST_VALUES, SegmentEffects

if TYPE_CHECKING:
    from experiment_trial import Trial

ONLY_PRIMARY = {
    "secondary: [profit]": "secondary: []",
    "guardrails:\n  - {metric: latency, margin: 2}\n  - {metric: error_rate, margin: 0.05}\n": "segments: [segment]\n",
}


def _units(gains: dict[str, float], *, sizes: dict[str, int] | None = None, seed: int = 3) -> ArrangedUnits:
    """Values of spread 1 around 10 in each segment, and in the treatment so much more."""
    rng = np.random.default_rng(seed)
    parts = []
    for name, gain in gains.items():
        size = (sizes or {}).get(name, 400)
        rows = requests_of(rng.normal(10, 1, size), rng.normal(10 + gain, 1, size))
        parts.append(rows.assign(segment=name, unit=rows["unit"].astype(str) + name))
    plan = make_plan(**ONLY_PRIMARY)
    return ArrangedUnits(pd.concat(parts, ignore_index=True), dict.fromkeys(plan.metrics, a_metric()))


def _effects(units: Any, changes: dict[str, str] | None = None) -> SegmentEffects:
    return experiments.segment_effects(make_plan(**(ONLY_PRIMARY | (changes or {}))), units)


def test_one_effect_everywhere_is_not_said_to_differ() -> None:
    found = _effects(_units({"a": 0.5, "b": 0.5, "c": 0.5}))
    (test,) = found.tests
    assert not test.evident
    assert test.apart == ()
    assert found.text.startswith("Metric by segment: no evidence that the effect differs (Q = ")
    assert found.text.endswith(
        "Segments were fixed in the plan; intervals are 95 % each, p-values are Holm's over the values of a segment. "
        "The table leaves out guardrails whose effect differs nowhere."
    )


def test_one_segment_that_differs_is_named_with_what_it_differs_by() -> None:
    found = _effects(_units({"a": 0.5, "b": 0.5, "c": 2.0}))
    (test,) = found.tests
    assert test.evident
    assert "c" in [each.effect.value for each in test.apart]
    assert "Metric by segment: the effect differs (Q = " in found.text
    assert "to c +2." in found.text or "to c +1.9" in found.text
    rows = {(row.segment, row.statistic): row for row in found.to_rows()}
    assert rows["segment", "differs"].value == "evident"
    assert rows["segment", "heterogeneity_q"].p_value == test.differs.p_value
    assert rows["segment=c", "difference_to_rest"].value == pytest.approx(1.5, abs=0.2)


def test_numbers_are_those_of_each_segment_alone_and_of_cochran() -> None:
    units = _units({"a": 0.2, "b": 0.6, "c": -0.1})
    (test,) = _effects(units).tests
    expected = []
    for name, rows in units.requests.groupby("segment"):
        sides = [rows.loc[rows["variant"] == variant, "brier"] for variant in ("control", "treatment")]
        alone = stats.welch(*(part for side in sides for part in (len(side), side.mean(), side.var())))
        measured = next(each.effect for each in test.found if each.effect.value == name)
        assert measured.difference.value == pytest.approx(alone.value)
        assert measured.difference.p_value == pytest.approx(alone.p_value)
        expected.append(alone)
    weights = np.array([1 / each.se**2 for each in expected])
    values = np.array([each.value for each in expected])
    pooled = (weights * values).sum() / weights.sum()
    assert test.differs.q == pytest.approx((weights * (values - pooled) ** 2).sum())
    holm = stats.adjust_p([each.p_value for each in expected], "holm")
    assert [each.p_adjusted for each in test.found] == pytest.approx(list(holm))


def test_a_segment_with_few_units_is_absent_with_its_reason_and_has_no_part_in_the_test() -> None:
    found = _effects(_units({"a": 0.5, "b": 0.5, "tiny": 30.0}, sizes={"tiny": FEWEST_GROUPS - 1}))
    (test,) = found.tests
    tiny = next(each for each in test.found if each.effect.value == "tiny")
    assert tiny.effect.difference.reason == "too few units: 29 and 29, a segment needs 30 in each variant"
    assert (tiny.effect.difference.value, tiny.effect.control_mean, tiny.effect.p_value) == (None, None, None)
    assert (tiny.p_adjusted, tiny.versus_rest.value) == (None, None)
    assert test.differs.segments == 2
    assert not test.evident
    assert "Too small to be read: tiny." in found.text
    assert "tiny absent, too few units: 29 and 29" in found.plot().alt
    line = found.to_table()[-1]
    assert (line["difference"], line["finding"], line["control_groups"]) == ("absent", "too few units", 29)


def test_harm_in_one_segment_is_pointed_at() -> None:
    found = _effects(_units({"a": 1.0, "b": -2.0}))
    assert "Look at b (worse)." in found.text


def test_one_value_leaves_nothing_to_compare() -> None:
    found = _effects(_units({"a": 0.5}))
    (test,) = found.tests
    assert "whether the effect differs cannot be said; no test: 1 of 1 segments with a standard error" in found.text
    assert test.found[0].versus_rest.reason == "there is no other segment to compare with"
    rows = {row.statistic: row for row in found.to_rows() if row.segment == "segment"}
    assert rows["heterogeneity_q"].status == "absent"
    assert rows["heterogeneity_q"].reason == "1 of 1 segments with a standard error: a comparison needs 2"


def test_a_plan_without_segments_shows_none_and_says_why() -> None:
    plan = make_plan(**{"secondary: [profit]": "secondary: []"})
    units: Any = ArrangedUnits(requests_of([1, 2, 3], [2, 3, 4]), dict.fromkeys(plan.metrics, a_metric()))
    nothing = experiments.segment_effects(plan, units)
    assert nothing.tests == ()
    assert nothing.text == (
        "The plan fixed no segments in advance, so none is shown: one that is looked for afterwards is found."
    )
    assert nothing.to_rows() == []
    assert nothing.plot().alt == nothing.text


def test_a_column_with_very_many_values_is_read_for_the_largest() -> None:
    names = [f"s{index:03d}" for index in range(MOST_VALUES + 3)]
    sizes = dict.fromkeys(names, 31) | {"s000": 30, "s050": 30, "s102": 30}
    found = _effects(_units(dict.fromkeys(names, 0.0), sizes=sizes))
    (test,) = found.tests
    assert [each.effect.value for each in test.found] == [name for name in names if sizes[name] == 31]
    assert "Only the 100 largest of 103 values were read." in found.text


@pytest.mark.slow
def test_ten_segments_without_a_difference_seldom_find_one() -> None:
    """False alarms of Q, and of any contrast by Holm, over experiments in which the effect is the same everywhere."""
    names = [f"s{index:02d}" for index in range(10)]
    heterogeneous = apart = 0
    for seed in range(40):
        (test,) = _effects(_units(dict.fromkeys(names, 0.3), sizes=dict.fromkeys(names, 40), seed=seed)).tests
        heterogeneous += test.evident
        apart += bool(test.apart)
    # 5 % of 40 is 2; more than 7 would be seen once in a thousand times.
    assert heterogeneous <= 7
    assert apart <= 7


def test_the_figure_is_the_same_every_time_and_says_what_it_shows() -> None:
    found = _effects(_units({"a": 0.5, "b": 0.5, "c": 2.0}))
    picture = found.plot()
    assert picture == found.to_pictures()[0]
    assert picture.name == "segments"
    assert picture.alt.startswith("Forest plot of Metric by segment, treatment - control, 95 % intervals. segment (Q =")
    for test in found.tests:
        for each in test.found:
            assert f"{each.effect.value} +" in picture.alt


def test_segments_of_a_real_experiment_add_up(trial: Trial, tmp_path: Any) -> None:
    rows = trial.predictions.assign(origin=np.where(trial.predictions["cluster_id"] < "c045", "EWR", "JFK"))
    plan_text = trial.plan + "segments: [origin]\n"
    workspace = replace(trial, predictions=rows, plan=plan_text).write(tmp_path)
    plan = experiments.load(workspace, "eta-v2")
    units = experiments.measure(plan, data.open_source(workspace))
    found = experiments.segment_effects(plan, units)
    primary = next(test for test in found.tests if test.overall.metric == "brier")
    assert [each.effect.value for each in primary.found] == ["EWR", "JFK"]
    counted = replace(trial, predictions=rows).counted
    for each in primary.found:
        part = counted[(counted["origin"] == each.effect.value) & counted["brier"].notna()]
        means = part.groupby("variant")["brier"].mean()
        assert each.effect.difference.value == pytest.approx(means["treatment"] - means["control"], abs=1e-9)
