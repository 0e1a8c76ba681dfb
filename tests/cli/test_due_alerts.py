"""`toolkit due` publishes what is owed and then tells people what it found, in one call and once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_signals import arrange, calibration
from published_signals import publish_groups
from schedule_trial import make_workspace
from webhook_receiver import Webhook, listen

import toolkit.schedule
from toolkit.archive import Reference, load_manifest, report_folder
from toolkit.reports import Published, RunRequest
from toolkit.schedule import run_due, send_alerts
from toolkit.signals.lifecycle.history import load_history
from toolkit.workspace import open_workspace

Run = Callable[..., Any]
ALERTS = "routes:\n  team: {to: 'secret:TEAM_URL', owner: Ada, digests: [review]}\n"


def signalling_run(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
    """Publishes, and does what follows, as a run does after its kernel: every month the calibration is off."""
    workspace = open_workspace(request.workspace_root)
    groups = arrange(calibration(), as_of=request.parameters["as_of"], history=load_history(workspace, "delay"))
    text = publish_groups(workspace, groups, template="triage", subject=request.parameters["period"], slot=request.slot)
    reference = Reference.parse(text)
    folder = report_folder(workspace, reference)
    return Published(reference, folder, folder / "report.html", load_manifest(workspace, reference))


@pytest.fixture
def trial(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_workspace(here / "trial").root
    (root / "alerts.yml").write_text(ALERTS)
    monkeypatch.chdir(root)
    monkeypatch.setattr(toolkit.schedule, "run_due", partial(run_due, run=signalling_run))
    monkeypatch.setattr(toolkit.schedule, "send_alerts", partial(send_alerts, pause=lambda _: None))
    return root


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with listen() as found:
        monkeypatch.setenv("TEAM_URL", found.url)
        yield found


def test_what_is_found_is_told_in_the_same_call_and_once(call: Run, trial: Path, webhook: Webhook) -> None:
    done = call("due", "--now", "2013-05-05")
    assert done.code == 0
    assert [line.split()[:3] for line in done.out.splitlines()] == [
        ["schedule", "slot", "state"],
        ["monthly", "2013-05-03T10:00:00Z", "published"],
        ["route", "state", "alert"],
        ["team", "sent", "delay,"],
    ]
    assert done.err.splitlines()[-1] == "==> alert on team: sent: delay, high: scores are 3.2 % too low on average"
    assert webhook.titles == ["delay, high: scores are 3.2 % too low on average"]
    assert call("due", "--now", "2013-05-05").out == ""
    assert call("due", "--now", "2013-06-05").code == 0  # the same goes on in the next month
    assert len(webhook.taken) == 1


def test_a_failed_delivery_is_an_exit_code_and_is_made_up_for(call: Run, trial: Path, webhook: Webhook) -> None:
    webhook.answers = [500] * 3
    done = call("due", "--now", "2013-05-05", "--json")
    assert done.code == 1
    (alert,) = json.loads(done.out)["alerts"]
    assert (alert["state"], alert["route"], alert["reports"]) == ("failed", "team", ["triage/2013-04@1"])
    assert call("due", "--now", "2013-05-05").code == 0
    assert len(webhook.taken) == 1


def test_a_mistake_in_alerts_yml_is_said_before_anything_runs(call: Run, trial: Path) -> None:
    (trial / "alerts.yml").write_text(ALERTS.replace("owner", "ownr"))
    done = call("due", "--now", "2013-05-05")
    assert done.code == 2
    assert "unknown key 'routes.team.ownr'" in done.err
    assert not (trial / "reports").exists()


def test_a_dry_run_lists_what_would_be_told(call: Run, trial: Path, webhook: Webhook) -> None:
    call("due", "--now", "2013-05-05")
    (trial / "alerts.yml").write_text(ALERTS.replace("team", "late"))
    done = call("due", "--now", "2013-05-05", "--dry-run")
    assert [line.split()[:2] for line in done.out.splitlines()] == [["route", "state"], ["late", "owed"]]
    assert len(webhook.taken) == 1
