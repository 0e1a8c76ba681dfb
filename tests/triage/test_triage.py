from __future__ import annotations

from types import SimpleNamespace
from typing import get_args

import pytest
from made_signals import signal

from conftest import TEAMS, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import DefinitionError
from toolkit.signals import calibration, metric_changes, observe, segment_losses
from toolkit.signals.signal import Kind
from toolkit.triage import candidates, load_teams


def rank(workspace):
    observed = observe(
        workspace, open_source(workspace), load_model(workspace, "small"), as_of="2013-05-01", window_days=29
    )
    return candidates(metric_changes(observed), calibration(observed), segment_losses(observed))


@pytest.fixture(scope="module")
def drifted(tmp_path_factory):
    return write_workspace(tmp_path_factory.mktemp("drifted"), *make_events(gap=0.1, heat=20.0)).workspace


@pytest.fixture(scope="module")
def ranked(drifted):
    return rank(drifted)


def test_calibration_comes_before_a_huge_drift(ranked):
    keys = [candidate.key for candidate in ranked.ranked]
    assert keys[0] == "calibration"
    assert keys[-1] == "metric_change:temperature"
    assert [candidate.rank for candidate in ranked.ranked] == list(range(1, len(keys) + 1))


def test_estimates_nobody_made_are_absent(ranked):
    values = [row for row in ranked.to_rows() if row.statistic == "value_per_week"]
    assert len(values) == len(ranked.ranked)
    assert {(row.value, row.status, row.reason) for row in values} == {(None, "absent", "nobody has estimated it")}
    assert "absent: nobody has estimated it" in ranked._repr_html_()


def test_no_signal_no_candidate(small):
    ranked = rank(small.workspace)
    assert ranked.ranked == ()
    assert ranked.text == "No signal asks for work: nothing changed beyond its practical threshold."


def test_an_effort_out_of_order(drifted):
    (drifted.root / "teams.yml").write_text(TEAMS.replace("low: 2", "low: 4"))
    with pytest.raises(DefinitionError) as caught:
        load_teams(drifted)
    assert str(caught.value) == (
        "teams.yml:9: teams.flow.estimates.calibration.effort_days is {'low': 4, 'likely': 3, 'high': 5}: "
        "low 4.0 <= likely 3.0 <= high 5.0 does not hold"
    )


def test_a_signal_without_an_estimate_is_a_candidate_too():
    duty = signal("governance", "owner", change=None, family="governance", text="the model has no owner")
    (candidate,) = candidates(SimpleNamespace(signals=(duty,))).ranked
    assert candidate.title == "Settle what is owed to the rules: owner"
    assert candidate.evidence == "the model has no owner (2013-04-03 … 2013-04-30)"


def test_every_kind_of_signal_has_a_title():
    stage = SimpleNamespace(signals=tuple(signal(kind, "m") for kind in get_args(Kind)))
    assert len({candidate.title for candidate in candidates(stage).ranked}) == len(get_args(Kind))
