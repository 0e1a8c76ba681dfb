"""Retention: what the rules keep, each version with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_versions import DELAY, LAST_TWO, NOW, keeping, kept
from synthetic_archive import SETTINGS, append_rows, write_version

from toolkit.archive import list_reports, report_folder, search_reports
from toolkit.archive.retention import judge_retention, prune
from toolkit.errors import DefinitionError
from toolkit.workspace import Workspace, open_workspace


def rule(workspace: Workspace, rules: str) -> Workspace:
    """The workspace with other rules."""
    (workspace.root / "toolkit.toml").write_text(SETTINGS + rules, encoding="utf-8")
    return open_workspace(workspace.root)


@pytest.mark.parametrize(
    ("rules", "reasons"),
    [
        ("keep_last = 2", {4: "one of the last 2 (keep_last)", 5: "the latest of its subject"}),
        ("keep_days = 150", {5: "the latest of its subject"}),
        (
            "keep_days = 151",
            dict.fromkeys(range(1, 5), "published in the last 151 days (keep_days)") | {5: "the latest of its subject"},
        ),
        (
            'keep_one_per = "quarter"',
            {3: 'the last of 2013-Q1 (keep_one_per = "quarter")', 5: "the latest of its subject"},
        ),
        ('keep_one_per = "year"', {5: "the latest of its subject"}),
        (
            'keep_last = 1\npinned = ["triage/model-000@2", "triage/model-000@5"]',
            {2: "pinned", 5: "the latest of its subject"},
        ),
        (
            "keep_last = 1\n[retention.templates.triage]\nkeep_last = 3",
            {3: "one of the last 3 (keep_last)", 4: "one of the last 3 (keep_last)", 5: "the latest of its subject"},
        ),
        (
            'keep_one_per = "quarter"\n[retention.templates.triage]\nkeep_last = 1',  # a rule that is not its own holds
            {3: 'the last of 2013-Q1 (keep_one_per = "quarter")', 5: "the latest of its subject"},
        ),
    ],
)
def test_one_rule_is_enough_to_keep_a_version(tmp_path: Path, rules: str, reasons: dict[int, str]) -> None:
    workspace = keeping(tmp_path, f"[retention]\n{rules}\n")
    assert kept(judge_retention(workspace, now=NOW)) == reasons


@pytest.mark.parametrize(
    ("period", "days", "last"),
    [
        ("day", ["2024-11-25", "2024-11-25T23:00", "2024-11-26"], [2, 3]),
        ("week", ["2024-12-01", "2024-12-02", "2024-12-08", "2024-12-29", "2024-12-30", "2025-01-05"], [1, 3, 4, 6]),
        ("month", ["2024-11-01", "2024-11-30", "2024-12-01", "2025-12-01"], [2, 3, 4]),
        ("quarter", ["2024-09-30", "2024-10-01", "2024-12-31", "2025-01-01"], [1, 3, 4]),
        ("year", ["2024-01-01", "2024-12-31", "2025-01-01"], [2, 3]),
    ],
)
def test_periods_are_of_the_calendar(tmp_path: Path, period: str, days: list[str], last: list[int]) -> None:
    workspace = keeping(tmp_path, f'[retention]\nkeep_one_per = "{period}"\n', versions=0)
    for number, day in enumerate(days, start=1):
        write_version(workspace, DELAY.at(number), as_of=f"{day}:00Z" if "T" in day else f"{day}T00:00:00Z")
    assert sorted(kept(prune(workspace, now=NOW))) == last


def test_the_latest_of_every_subject_is_kept(tmp_path: Path) -> None:
    workspace = keeping(tmp_path, "[retention]\nkeep_days = 1\n", subjects=3, versions=2)
    assert [str(each.reference) for each in judge_retention(workspace, now=NOW).kept] == [
        f"triage/model-00{number}@2" for number in range(3)
    ]


def test_a_version_that_the_ledger_refers_to_is_kept(five: Workspace) -> None:
    rows = [
        ("experiment.decided", "eta", {"evidence": ["see triage/model-000@1"]}),
        ("review.noted", "triage/model-000@2", {}),
    ]
    rows += [
        ("report.refused", "triage/model-000@3", {"reason": "triage/model-000@3"})
    ]  # the archive's own book-keeping
    append_rows(
        five,
        [
            {"kind": kind, "subject": subject, "payload": payload, "effective_at": NOW, "recorded_at": NOW}
            for kind, subject, payload in rows
        ],
    )
    assert kept(judge_retention(five, now=NOW)) == {
        1: "the ledger's entry 6 (experiment.decided) refers to it",
        2: "the ledger's entry 7 (review.noted) refers to it",
        4: "one of the last 2 (keep_last)",
        5: "the latest of its subject",
    }


def test_without_a_rule_for_its_template_a_version_is_kept(tmp_path: Path) -> None:
    workspace = keeping(tmp_path, "[retention]\nkeep_failed_days = 3\n[retention.templates.triage]\n", versions=2)
    assert kept(prune(workspace, now=NOW)) == {
        1: "no rule of [retention] speaks of its template",
        2: "the latest of its subject",
    }


def test_what_is_not_what_was_published_is_kept(five: Workspace) -> None:
    (report_folder(five, DELAY.at(1)) / "report.html").write_bytes(b"changed")
    (report_folder(five, DELAY.at(2)) / "manifest.json").write_bytes(b"{")
    judged = prune(five, now=NOW)
    assert [each.reference.version for each in judged.pruned] == [3]
    doubt = "it is not what was published; 'toolkit reports verify' says what is wrong with it"
    assert (kept(judged)[1], kept(judged)[2]) == (doubt, doubt)


def test_without_retention_nothing_is_pruned_and_it_says_what_to_write(tmp_path: Path) -> None:
    workspace = keeping(tmp_path, "")
    for ask in (judge_retention, prune):
        with pytest.raises(DefinitionError) as raised:
            ask(workspace)
        assert str(raised.value) == (
            "toolkit.toml has no [retention], so every version is kept and nothing is pruned. To prune, say there what "
            'is kept, such as keep_last = 12 and keep_one_per = "month", then see what would go with \'toolkit reports '
            "prune --dry-run'"
        )
    assert len(list_reports(workspace)) == 5


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            'pinned = ["triage/model-000@9"]',
            "toolkit.toml:7: unknown report 'triage/model-000@9'; allowed: triage/model-000@1, triage/model-000@2, "
            "triage/model-000@3, triage/model-000@4, triage/model-000@5. Did you mean 'triage/model-000@5'?",
        ),
        (
            "[retention.templates.traige]\nkeep_last = 2",
            "toolkit.toml:7: unknown template 'traige'; allowed: triage. Did you mean 'triage'?",
        ),
        (
            'pinned = ["triage/model-000"]',
            "toolkit.toml:7: retention.pinned.0 is 'triage/model-000': must name one version, such as 'triage/delay@3'",
        ),
        (
            'keep_one_per = "moth"',
            "toolkit.toml:7: retention.keep_one_per is 'moth'; allowed: day, week, month, quarter, year. "
            "Did you mean 'month'?",
        ),
        ("keep_last = 0", "toolkit.toml:7: retention.keep_last is 0: input should be greater than or equal to 1"),
    ],
)
def test_a_slip_of_the_pen_prunes_nothing(tmp_path: Path, rules: str, message: str) -> None:
    workspace = keeping(tmp_path, "")
    with pytest.raises(DefinitionError) as raised:
        prune(rule(workspace, f"\n[retention]\n{rules}\n"), now=NOW)
    assert str(raised.value) == message
    assert len(list_reports(workspace)) == 5


def test_judging_changes_nothing(five: Workspace) -> None:
    search_reports(five)
    before = sorted(five.root.rglob("*"))
    assert [each.reference.version for each in judge_retention(five, now=NOW).pruned] == [1, 2, 3]
    assert sorted(five.root.rglob("*")) == before


def test_failures_are_kept_for_their_days(tmp_path: Path) -> None:
    workspace = keeping(tmp_path, "[retention]\nkeep_failed_days = 30\n", versions=1)
    folder = workspace.reports / "failed" / "triage" / "model-000"
    for name in ("20260501T235959.999999Z", "20260502T000000.000000Z", "20260101T000000.000000Z-2", "mine"):
        (folder / name).mkdir(parents=True)
    gone = [
        f"reports/failed/triage/model-000/{name}" for name in ("20260101T000000.000000Z-2", "20260501T235959.999999Z")
    ]
    assert list(judge_retention(workspace, now=NOW).failures) == gone
    assert list(prune(workspace, now=NOW).failures) == gone
    assert sorted(path.name for path in folder.iterdir()) == ["20260502T000000.000000Z", "mine"]
    kept_forever = rule(workspace, LAST_TWO)
    assert prune(kept_forever, now=NOW).failures == ()
