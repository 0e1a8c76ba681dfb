"""Alerts, sent by a real apprise to a real webhook: each once, retried, held back, folded, and remembered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_signals import arrange, calibration, drift, segment, signal
from published_signals import make_trial, publish_groups
from webhook_receiver import Webhook, listen

import toolkit.workspace
from toolkit.errors import DefinitionError
from toolkit.ledger import open_ledger
from toolkit.schedule import Delivery, QuietHours, load_alerts, send_alerts
from toolkit.schedule.alerts import FAILED, SENT
from toolkit.schedule.delivery import deliver, hide_pieces
from toolkit.signals.lifecycle.history import ACKNOWLEDGED, load_history
from toolkit.windows import parse_instant
from toolkit.workspace import Actor, Workspace

ALERTS = """\
routes:
  team:
    to: secret:TEAM_URL
    owner: Ada
"""
NOON = parse_instant("2013-05-01T12:00Z")
KINDS = frozenset({"calibration", "drift", "segment"})


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with listen() as found:
        monkeypatch.setenv("TEAM_URL", found.url)
        yield found


@pytest.fixture
def trial(tmp_path: Path) -> Workspace:
    workspace = make_trial(tmp_path / "trial")
    (workspace.root / "alerts.yml").write_text(ALERTS, encoding="utf-8")
    return workspace


def route(workspace: Workspace, *lines: str) -> None:
    """The one route with further lines."""
    text = ALERTS + "".join(f"    {line}\n" for line in lines)
    (workspace.root / "alerts.yml").write_text(text, encoding="utf-8")


def send(workspace: Workspace, now: str = "2013-05-01T12:00Z", **given: object) -> list[Delivery]:
    return send_alerts(workspace, now=parse_instant(now), pause=lambda _: None, **given)


def publish(workspace: Workspace, *signals: object, as_of: str = "2013-05-01", template: str = "triage") -> str:
    history = load_history(workspace, "delay")
    groups = arrange(*signals, history=history, as_of=as_of, kinds=KINDS)
    return publish_groups(workspace, groups, template=template)


def recorded(workspace: Workspace, kind: str) -> list[dict[str, object]]:
    with open_ledger(workspace.ledger, create=False) as ledger:
        return [entry.data for entry in ledger.entries(kind=kind)]


def test_people_are_told_of_a_signal_group_once(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration(requests_per_week=7000.0), segment("carrier=FL", 60.0), drift("temp_f"))
    (sent,) = send(trial)
    assert (sent.state, sent.reports) == ("sent", ("triage/delay@1",))
    (body,) = webhook.taken
    assert body["title"] == "delay, high: scores are 3.2 % too low on average; also carrier=FL"
    assert body["message"] == (
        "scores are 3.2 % too low on average; also carrier=FL.\n"
        "Severity: high, 10 tolerances. State: new. Began: not dated.\n"
        "A week: 7,000 requests a week; newly excess loss 350 a week (281.4 to 418.6).\n"
        "First hint (no cause is claimed): temp_f moved (80.0 practical thresholds, adjusted p < 0.0001).\n"
        "One line because calibration, segment:carrier=FL: both about what the model does, on rows "
        "within all requests, in the same days.\n"
        "Report: triage/delay@1"
    )
    assert body["type"] == "failure"
    assert send(trial) == []
    assert len(webhook.taken) == 1
    (row,) = recorded(trial, SENT)
    assert row == {
        "title": body["title"],
        "digest": False,
        "reports": ["triage/delay@1"],
        "groups": [
            {
                "group": "calibration",
                "model": "delay",
                "as_of": "2013-05-01T00:00:00Z",
                "signals": ["calibration", "segment:carrier=FL"],
                "level": "high",
            }
        ],
        "tries": 1,
    }


def test_another_report_on_the_same_problem_tells_nobody(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    send(trial)
    publish(trial, calibration())  # the same instant again
    publish(trial, calibration(), as_of="2013-05-02")
    publish(trial, calibration(), as_of="2013-05-02", template="model_health")
    assert send(trial, "2013-05-02T12:00Z") == []


def test_a_problem_that_became_more_severe_or_came_back_is_told(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration(35.0))
    send(trial)
    publish(trial, calibration(350.0), as_of="2013-05-02")
    send(trial, "2013-05-02T12:00Z")
    publish(trial, as_of="2013-05-03")
    send(trial, "2013-05-03T12:00Z")
    publish(trial, calibration(35.0), as_of="2013-05-04")
    send(trial, "2013-05-04T12:00Z")
    assert [title.partition(":")[0] for title in webhook.titles] == ["delay, medium", "delay, high", "delay, medium"]


def test_a_delivery_that_fails_is_tried_again_and_is_in_the_ledger(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    webhook.answers = [503] * 4
    pauses: list[float] = []
    (failed,) = send_alerts(trial, now=NOON, pause=pauses.append)
    assert (failed.state, failed.needs_a_person, webhook.refused, pauses) == ("failed", True, 3, [1.0, 2.0])
    assert re.search("503|Service Unavailable|error", failed.reason)
    assert "t0ps3cret" not in failed.reason
    (row,) = recorded(trial, FAILED)
    assert (row["tries"], row["reason"]) == (3, failed.reason)
    (sent,) = send(trial)  # a fourth refusal, then it is taken
    assert (sent.state, webhook.refused, len(webhook.taken)) == ("sent", 4, 1)
    assert recorded(trial, SENT)[0]["tries"] == 2
    assert send(trial) == []


def test_a_service_that_is_not_there_is_a_failure_and_stops_no_other_route(
    trial: Workspace, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONE_URL", "json://127.0.0.1:9/t0ps3cret?cto=0.2")
    (trial.root / "alerts.yml").write_text(
        "routes:\n  gone: {to: 'secret:GONE_URL', owner: Ada}\n  team: {to: 'secret:TEAM_URL', owner: Ada}\n"
    )
    publish(trial, calibration())
    assert [(each.route, each.state) for each in send(trial)] == [("gone", "failed"), ("team", "sent")]


def test_a_secret_that_is_not_there_is_a_failure_with_its_reason(trial: Workspace) -> None:
    publish(trial, calibration())
    (failed,) = send(trial)
    assert failed.state == "failed"
    assert failed.reason.startswith("secret 'TEAM_URL' is not there: no environment variable TEAM_URL is set")
    assert recorded(trial, FAILED)[0]["tries"] == 0


def test_what_is_no_url_is_said_without_it() -> None:
    assert deliver("hunter2://t0ps3cret", "title", "body", "high") == (
        "the secret holds no URL that apprise knows (such as json://host/path, slack://… or mailto://…)"
    )


def test_a_reason_holds_nothing_of_the_url() -> None:
    assert hide_pieces("bob@mail.example.org: hunter22 was refused", "mailtos://bob:hunter22@mail.example.org") == (
        "bob@…: … was refused"
    )


def test_quiet_hours_hold_back_what_is_not_severe_and_tell_it_afterwards(trial: Workspace, webhook: Webhook) -> None:
    route(trial, 'quiet: {start: "22:00", end: "07:00", zone: America/New_York, but: high}')
    publish(trial, calibration(35.0), drift("temp_f"))
    (waiting,) = send(trial, "2013-05-01T03:00Z")
    assert (waiting.state, waiting.reason) == ("waiting", "quiet hours")
    publish(trial, calibration(350.0), as_of="2013-05-01", template="model_health")
    assert [each.state for each in send(trial, "2013-05-01T03:00Z")] == ["sent"]
    assert [title.partition(":")[0] for title in webhook.titles] == ["delay, high"]
    assert send(trial, "2013-05-01T12:00Z") == []  # who was told of the worse knows


def test_what_waited_is_told_at_the_first_call_after_the_quiet_hours(trial: Workspace, webhook: Webhook) -> None:
    route(trial, 'quiet: {start: "22:00", end: "07:00", zone: America/New_York}')
    publish(trial, calibration())
    assert [each.state for each in send(trial, "2013-05-01T10:59Z")] == ["waiting"]
    assert [each.state for each in send(trial, "2013-05-01T11:00Z")] == ["sent"]


def test_a_storm_is_one_message(trial: Workspace, webhook: Webhook) -> None:
    route(trial, "most: 2", "severity: low")
    hours = [segment(f"hour={hour}", 40.0 + hour) for hour in range(7)]
    publish(trial, *hours, signal("error", "E1", family="service", times_threshold=5.0))
    (sent,) = send(trial)
    assert sent.state == "sent"
    (body,) = webhook.taken
    assert body["title"] == "delay: 8 signal groups at once (1 high, 7 medium)"
    lines = body["message"].splitlines()
    assert lines[0] == "- delay: E1 deviated (high, 4.993 tolerances)"
    assert lines[5:] == ["- and 3 more: 3 of model", "Report: triage/delay@1"]
    assert send(trial) == []


def test_routes_have_their_own_severity_families_and_models(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration(35.0), drift("temp_f"))
    for line, titles in (
        ("severity: high", 0),
        ("families: [inputs]", 0),
        ("severity: unmeasured", 2),
    ):
        route(trial, line)
        assert len(send(trial)) == titles


def test_an_unknown_model_is_told_with_the_nearest(trial: Workspace) -> None:
    route(trial, "models: [dely]", "digests: [triag]")
    with pytest.raises(DefinitionError) as caught:
        load_alerts(trial)
    first, second = str(caught.value).splitlines()
    assert first == ("alerts.yml:5: routes.team.models: unknown model 'dely'; allowed: delay. Did you mean 'delay'?")
    assert second.startswith("alerts.yml:6: routes.team.digests: unknown template 'triag'; allowed: ")
    assert second.endswith("Did you mean 'triage'?")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("secret:TEAM_URL", "json://host/token",
         "alerts.yml:3: routes.team.to is 'json://host/token': must be secret:NAME, the name of an environment "
         "variable or an entry of the keyring that holds the URL"),
        ("owner: Ada", "ownr: Ada",
         "alerts.yml:4: unknown key 'routes.team.ownr'; allowed: digests, families, models, most, owner, quiet, "
         "repeat_days, report_url, severity, to. Did you mean 'owner'?"),
        ("owner: Ada", "owner: Ada\n    severity: hgh",
         "alerts.yml:5: routes.team.severity is 'hgh'; allowed: unmeasured, low, medium, high. Did you mean 'high'?"),
        ("owner: Ada", 'owner: Ada\n    quiet: {start: "9", end: "17:00", zone: UTC}',
         'alerts.yml:5: routes.team.quiet.start is \'9\': must be a time of day in quotes, from "00:00" to "23:59"'),
        ("owner: Ada", 'owner: Ada\n    quiet: {start: "07:00", end: "07:00", zone: UTC}',
         "alerts.yml:5: routes.team.quiet is {'start': '07:00', 'end': '07:00', 'zone': 'UTC'}: start and end are both "
         "07:00; a route that nobody is to be told on is left out"),
        ("  team:", "  Team:",
         "alerts.yml:1: routes is {'Team': {'to': 'secret:TEAM_URL', 'owner': 'Ada'}}: a route is called 'Team'; a key "
         "has lower-case letters, digits, '-' and '_', and begins with a letter or digit"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_what_is_wrong_in_alerts_yml_is_said(trial: Workspace, old: str, new: str, message: str) -> None:
    text = ALERTS.replace(old, new)
    (trial.root / "alerts.yml").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_alerts(trial)
    assert message in str(caught.value).splitlines()


def test_the_example_that_init_lays_down_is_understood(trial: Workspace) -> None:
    example = Path(toolkit.workspace.__file__).parent / "skeleton" / "alerts.yml.example"
    (trial.root / "alerts.yml").write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    alerts = load_alerts(trial)
    assert alerts is not None
    assert list(alerts.routes) == ["on-call", "team"]


def test_without_alerts_yml_nobody_is_told(trial: Workspace) -> None:
    (trial.root / "alerts.yml").unlink()
    publish(trial, calibration())
    assert send(trial) == []


def test_reports_that_are_filled_in_ring_nobody(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    assert send(trial, "2013-05-09T00:00Z") == []  # too late
    assert send(trial, "2013-04-30T00:00Z") == []  # too early
    assert len(send(trial, "2013-05-08T00:00Z")) == 1


def test_what_has_recovered_meanwhile_is_nobodys_business(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    publish(trial, as_of="2013-05-02")
    assert send(trial, "2013-05-02T12:00Z") == []


def test_what_somebody_knows_of_is_not_told(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    with open_ledger(trial.ledger) as ledger:
        ledger.append(
            kind=ACKNOWLEDGED,
            subject="delay/calibration",
            payload={},
            actor=Actor("ana", "asserted"),
            effective_at=parse_instant("2013-05-01"),
        )
    assert send(trial) == []


def test_a_digest_of_a_published_report_goes_the_same_way(trial: Workspace, webhook: Webhook) -> None:
    route(trial, "digests: [triage]", "severity: high", "report_url: https://reports.example.org/{reference}")
    publish(trial, calibration(35.0), drift("temp_f"))
    (sent,) = send(trial)
    assert sent.state == "sent"
    (body,) = webhook.taken
    headline = "scores are 3.2 % too low on average (medium severity, new)."
    assert body["title"] == f"triage/delay@1: {headline}"
    assert body["message"].splitlines() == [
        headline,
        "1. scores are 3.2 % too low on average (medium, 1 tolerance, new)",
        "2. temp_f moved (harm not measured, new)",
        "Report: triage/delay@1, https://reports.example.org/triage/delay@1",
    ]
    assert send(trial) == []
    assert recorded(trial, SENT)[0]["digest"] is True


def test_a_dry_run_says_what_is_owed_and_writes_nothing(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    before = trial.ledger.read_bytes()
    assert [(each.route, each.state) for each in send(trial, dry_run=True)] == [("team", "owed")]
    assert (webhook.taken, trial.ledger.read_bytes()) == ([], before)


def test_progress_tells_each_message(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    told: list[str] = []
    send(trial, progress=told.append)
    assert told == ["alert on team: sent: delay, high: scores are 3.2 % too low on average"]


SEND = """
import sys
from toolkit.schedule import send_alerts
from toolkit.windows import parse_instant
from toolkit.workspace import open_workspace
workspace = open_workspace(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print([each.state for each in send_alerts(workspace, now=parse_instant("2013-05-01T12:00Z"))])
"""


def test_calls_at_once_tell_nothing_twice(trial: Workspace, webhook: Webhook) -> None:
    publish(trial, calibration())
    command = [sys.executable, "-W", "ignore", "-c", SEND, str(trial.root)]
    environment = {**os.environ, "TEAM_URL": webhook.url}
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n")[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert "['sent']" in said
    assert set(said) <= {"['sent']", "['running']", "[]"}
    assert len(webhook.taken) == 1


@pytest.mark.parametrize(
    ("start", "end", "now", "held"),
    [
        ("09:00", "17:00", "2013-05-01T08:59Z", False),
        ("09:00", "17:00", "2013-05-01T09:00Z", True),
        ("09:00", "17:00", "2013-05-01T17:00Z", False),
        ("22:00", "07:00", "2013-05-01T21:59Z", False),
        ("22:00", "07:00", "2013-05-01T22:00Z", True),
        ("22:00", "07:00", "2013-05-01T06:59Z", True),
        ("22:00", "07:00", "2013-05-01T07:00Z", False),
    ],
)
def test_quiet_hours_begin_and_end_on_the_minute(start: str, end: str, now: str, held: bool) -> None:
    assert QuietHours(start=start, end=end, zone="UTC").hold(parse_instant(now), "high") is held
