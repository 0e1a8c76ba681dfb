"""From what production shows to the backlog, in the order of harm; and what each kind of signal asks for."""

from __future__ import annotations

from typing import get_args

import pytest
from made_signals import arrange, signal

from conftest import TEAMS, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import DefinitionError
from toolkit.signals import calibration, group_signals, metric_changes, observe, segment_losses
from toolkit.signals.signal import Kind
from toolkit.triage import backlog, load_teams
from toolkit.triage.titles import title_of


def rank(workspace):
    source = open_source(workspace)
    observed = observe(workspace, source, load_model(workspace, "small"), as_of="2013-05-01", window_days=29)
    stages = metric_changes(observed), calibration(observed), segment_losses(observed)
    return backlog(workspace, group_signals(workspace, source, observed, *stages), model="small")


@pytest.fixture(scope="module")
def drifted(tmp_path_factory):
    return write_workspace(tmp_path_factory.mktemp("drifted"), *make_events(gap=0.1, heat=20.0)).workspace


@pytest.fixture(scope="module")
def ranked(drifted):
    return rank(drifted)


def test_calibration_comes_before_a_huge_drift(ranked):
    keys = [item.key for item in ranked.items]
    assert keys[0] == "signal/calibration"
    assert keys[-1] == "signal/metric_change:temperature"


def test_estimates_nobody_made_are_absent(ranked):
    values = [row for row in ranked.to_rows() if row.statistic == "value_per_week"]
    assert len(values) == len(ranked.items)
    assert {(row.value, row.status) for row in values} == {(None, "absent")}
    reason = "nobody has said what a unit of loss costs (loss_value in the model's file)"
    assert {row.reason for row in values} == {f"not estimated: {reason}"}
    assert f"absent: {reason.partition('(')[0]}" in ranked._repr_html_()


def test_no_signal_no_item(small):
    ranked = rank(small.workspace)
    assert ranked.items == ()
    assert ranked.text == "The backlog is empty: no signal, idea or debt item asks for work."


def test_an_effort_out_of_order(drifted):
    (drifted.root / "teams.yml").write_text(TEAMS.replace("low: 2", "low: 4"))
    with pytest.raises(DefinitionError) as caught:
        load_teams(drifted)
    assert str(caught.value) == (
        "teams.yml:9: teams.flow.estimates.calibration.effort_days is {'low': 4, 'likely': 3, 'high': 5}: "
        "low 4.0 <= likely 3.0 <= high 5.0 does not hold"
    )


def test_a_signal_without_an_estimate_asks_for_work_too(drifted):
    (drifted.root / "teams.yml").write_text(TEAMS)
    duty = signal("governance", "owner", change=None, family="governance", text="the model has no owner")
    (item,) = backlog(drifted, arrange(duty), model="small").items
    assert item.title == "Settle what is owed to the rules: owner"
    assert item.evidence == ("the model has no owner",)


def test_every_kind_of_signal_has_a_title():
    assert len({title_of(signal(kind, "m")) for kind in get_args(Kind)}) == len(get_args(Kind))
