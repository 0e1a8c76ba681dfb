"""A retrospective of a model whose objectives have budgets and watch the channel."""

from __future__ import annotations

from pathlib import Path

import pytest
from reviewed_model import OBJECTIVES, look, write_review

from toolkit.metrics import load_objectives
from toolkit.reviews import ObjectiveReadings, judge_objectives

MORE = """\
  answered:
    metric: error_rate
    model: small
    business_outcome: People get an answer.
    target: {at_most: 0.05}
    budget: {period_days: 28}
    owner: Ada
  awake:
    watch: freshness
    model: small
    business_outcome: Somebody is served at all times.
    target: {at_most: 6}
    owner: Bo
  labelled:
    watch: label_arrival
    model: small
    business_outcome: What it is measured by comes.
    target: {at_least: 0.95}
    owner: Bo
"""


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> ObjectiveReadings:
    root: Path = tmp_path_factory.mktemp("channel")
    workspace = write_review(root, with_tables=False)
    (root / "objectives.yml").write_text(OBJECTIVES + MORE)
    return judge_objectives(look(workspace), load_objectives(workspace))


def test_a_metric_with_a_budget_is_judged_like_any_other(readings: ObjectiveReadings) -> None:
    reading = next(each for each in readings.readings if each.key == "answered")
    assert reading.verdict == "met"
    assert reading.evidence.endswith(", target at most 0.05")


def test_what_is_watched_of_the_channel_is_unclear_and_never_met(readings: ObjectiveReadings) -> None:
    awake, labelled = (each for each in readings.readings if each.objective.watch)
    assert (awake.verdict, labelled.verdict) == ("unclear", "unclear")
    assert awake.evidence == (
        "Time since the newest request is absent: a retrospective reads metrics; what is watched of the channel stands "
        "with the error budgets; target at most 6"
    )
    assert readings.text.endswith("unclear: awake, labelled; not in force: honest.")


def test_its_rows_say_what_is_absent(readings: ObjectiveReadings) -> None:
    rows = {(row.key, row.statistic): row for row in readings.to_rows()}
    assert rows["awake", "freshness"].status == "absent"
    assert rows["labelled", "label_arrival"].unit == "share"
    assert rows["labelled", "target"].value == "at least 0.95"
    assert len(readings.to_table()) == 6
