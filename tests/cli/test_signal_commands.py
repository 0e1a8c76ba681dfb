"""`toolkit signal`: where signals stand, and what people say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_signals import arrange, calibration, drift
from published_signals import make_trial, publish_groups

from toolkit.signals.lifecycle.history import load_history
from toolkit.workspace import Workspace, open_workspace

Run = Callable[..., Any]


@pytest.fixture
def trial(here: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = make_trial(here / "trial")
    publish_groups(workspace, arrange(calibration(), drift("temp_f")))
    monkeypatch.chdir(workspace.root)
    monkeypatch.setenv("TOOLKIT_ACTOR", "Ada")
    return workspace


def test_signals_are_listed_with_where_they_stand(call: Run, trial: Workspace) -> None:
    lines = call("signal", "list").out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["delay", "calibration", "new", "2013-05-01T00:00:00Z"],
        ["delay", "drift:temp_f", "new", "2013-05-01T00:00:00Z"],
    ]
    (first, _) = call("signal", "list", "--json").document["signals"]
    assert first == {
        "model": "delay",
        "signal": "calibration",
        "state": "new",
        "since": "2013-05-01T00:00:00Z",
        "last_seen": "2013-05-01T00:00:00Z",
        "level": "high",
        "group": "scores are 3.2 % too low on average",
        "report": "triage/delay@1",
        "acknowledged_by": None,
        "muted_until": None,
    }


def test_a_workspace_without_signals_says_so(call: Run, trial: Workspace) -> None:
    (trial.root / "models" / "other.yml").write_text("key: other\n", encoding="utf-8")
    nothing = "no signal: no published report has seen one that goes on\n"
    assert call("signal", "list", "--model", "other").err == nothing
    assert call("signal", "list", "--as-of", "2013-04-01").err == nothing


def test_a_model_that_is_not_there_is_told_from_one_without_signals(call: Run, trial: Workspace) -> None:
    done = call("signal", "list", "--model", "dely")
    assert (done.code, done.err) == (2, "error: unknown model 'dely'; allowed: delay. Did you mean 'delay'?\n")


def test_an_acknowledgement_holds_from_the_report_on(call: Run, trial: Workspace) -> None:
    done = call("signal", "acknowledge", "calibration", "--reason", "retraining on Friday")
    assert (done.code, done.out) == (
        0,
        "delay/calibration: acknowledged, for reports as of 2013-05-01T00:00:00Z and later\n",
    )
    history = load_history(trial, "delay")
    (group, _) = arrange(calibration(), drift("temp_f"), history=history, as_of="2013-05-02").groups
    assert group.said_of_it == "acknowledged by Ada"
    states = [each["state"] for each in call("signal", "list", "--json").document["signals"]]
    assert states == ["acknowledged", "new"]


def test_a_mute_holds_until_its_day(call: Run, trial: Workspace) -> None:
    done = call("signal", "mute", "drift:temp_f", "--until", "2013-09-01", "--json")
    assert done.document["entry"]["payload"] == {"until": "2013-09-01"}
    states = [each["state"] for each in call("signal", "list", "--as-of", "2013-08-31", "--json").document["signals"]]
    assert states == ["new", "muted"]
    states = [each["state"] for each in call("signal", "list", "--as-of", "2013-09-01", "--json").document["signals"]]
    assert states == ["new", "new"]


def test_a_mute_in_the_past_is_refused(call: Run, trial: Workspace) -> None:
    done = call("signal", "mute", "calibration", "--until", "2013-05-01")
    assert (done.code, done.err) == (
        2,
        "error: --until 2013-05-01 is not after 2013-05-01T00:00:00Z, from which on it would hold; give a later day\n",
    )


def test_an_unknown_signal_names_the_nearest(call: Run, trial: Workspace) -> None:
    done = call("signal", "acknowledge", "drift:tmp_f")
    assert (done.code, done.err) == (
        2,
        "error: unknown signal 'drift:tmp_f'; allowed: calibration, drift:temp_f. Did you mean 'drift:temp_f'?\n",
    )
    done = call("signal", "acknowledge", "calibration", "--model", "dely")
    assert done.err == "error: unknown model 'dely'; allowed: delay. Did you mean 'delay'?\n"


def test_a_key_of_two_models_needs_to_know_which(call: Run, trial: Workspace) -> None:
    from dataclasses import replace

    other = replace(arrange(calibration()), model="eta")
    publish_groups(open_workspace(trial.root), other, subject="eta")
    done = call("signal", "acknowledge", "calibration")
    assert done.err == "error: signal 'calibration' is one of several models: delay, eta; say which with --model\n"
    assert call("signal", "acknowledge", "calibration", "--model", "eta").code == 0


def test_what_has_recovered_is_listed_when_asked_for(call: Run, trial: Workspace) -> None:
    gone = arrange(history=load_history(trial, "delay"), kinds=frozenset({"calibration", "drift"}), as_of="2013-05-08")
    publish_groups(trial, gone)
    assert call("signal", "list").err == (
        "no signal: no published report has seen one that goes on; 2 have recovered, --all lists them\n"
    )
    assert [line.split()[2] for line in call("signal", "list", "--all").out.splitlines()[1:]] == ["recovered"] * 2
