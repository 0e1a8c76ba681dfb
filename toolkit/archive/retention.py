"""Retention: which versions `toolkit.toml` keeps, and the removal of the others, each leaving its tombstone.

A version goes in steps that a crash may stop anywhere: its tombstone is written, the ledger is told, the folder is
moved away and deleted. The next pruning finishes what was begun. No number is used again.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from toolkit.archive import index_file
from toolkit.archive.tombstones import (
    Tombstone,
    list_tombstones,
    read_tombstone,
    record_pruning,
    unrecorded_tombstones,
    write_tombstone,
)
from toolkit.archive.verify import verify_some
from toolkit.archive.versions import (
    FAILED,
    MANIFEST,
    Reference,
    list_reports,
    open_staging,
    reconcile,
    report_folder,
    scan_versions,
    sync,
)
from toolkit.archive.writing import explained
from toolkit.checks import unknown_name_message
from toolkit.digests import digest_file
from toolkit.errors import ArchiveError, DefinitionError
from toolkit.ledger.published import PUBLISHED
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import SETTINGS_FILE, Problem, Workspace
from toolkit.workspace.archiving import RetentionSettings
from toolkit.workspace.documents import read_toml

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

_MENTION = re.compile(r"[\w.-]+/[\w.-]+@[0-9]+")
_FAILED_AT = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)(-[0-9]+)?")
_OWN_KINDS = "report."
"""Ledger rows of these kinds are the archive's own book-keeping; that they name a version keeps none."""

_PERIODS = {
    "day": "%Y-%m-%d",
    "week": "%G-W%V",
    "month": "%Y-%m",
    "year": "%Y",
}


@dataclass(frozen=True)
class Judgement:
    """Whether a version is kept, and what keeps it, or why nothing does."""

    reference: Reference
    kept: bool
    reason: str


@dataclass(frozen=True)
class Pruning:
    """What retention says of an archive at an instant.

    Attributes
    ----------
    judgements: of every version, by template, subject and number.
    failures: the folders of failures that are no longer kept, from the workspace's root.
    unfinished: versions whose removal was begun and cut short.
    """

    now: datetime
    judgements: tuple[Judgement, ...]
    failures: tuple[str, ...]
    unfinished: tuple[Reference, ...] = field(default=())

    @property
    def pruned(self) -> list[Judgement]:
        """The versions that go."""
        return [each for each in self.judgements if not each.kept]

    @property
    def kept(self) -> list[Judgement]:
        """The versions that stay."""
        return [each for each in self.judgements if each.kept]


class _Version(NamedTuple):
    """What the rules ask of a version."""

    reference: Reference
    as_of: datetime | None
    finished_at: datetime | None


def judge_retention(workspace: Workspace, *, now: datetime | None = None, templates: Collection[str] = ()) -> Pruning:
    """What pruning would do; nothing is changed.

    `templates`: names that a rule may hold though nothing was published of them yet.

    Raises `DefinitionError` when `toolkit.toml` has no retention, or names a version or template that is not there.
    """
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        return _judge(workspace, _rules(workspace, templates), ledger, now or datetime.now(UTC))


def prune(
    workspace: Workspace,
    *,
    now: datetime | None = None,
    templates: Collection[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Pruning:
    """Remove every version that no rule keeps, leaving its tombstone, and failures that are too old.

    It first finishes what an earlier pruning began. Raises what `judge_retention` does, and `ArchiveError` when the
    archive cannot be written.
    """
    from toolkit.ledger import open_ledger

    rules = _rules(workspace, templates)
    tell = progress or (lambda _: None)
    with explained(workspace.reports), open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
        for reference in unrecorded_tombstones(workspace, ledger):
            record_pruning(workspace, ledger, reference)
        unfinished = _unfinished(workspace)
        for reference in unfinished:
            tell(f"finishing the removal of {reference}")
            _remove(workspace, report_folder(workspace, reference))
        judged = _judge(workspace, rules, ledger, now or datetime.now(UTC))
        for each in judged.pruned:
            tell(f"removing {each.reference}")
            _bury(workspace, ledger, each, judged.now)
        if unfinished or judged.pruned:
            index_file.discard(workspace)
        for folder in judged.failures:
            tell(f"removing {folder}")
            _remove(workspace, workspace.root / folder)
    return judged


def _rules(workspace: Workspace, templates: Collection[str]) -> RetentionSettings:
    """The rules; what they name must be there, because a slip of the pen would remove what was meant to be kept."""
    rules = workspace.settings.retention
    if rules is None:
        raise DefinitionError(
            f"{SETTINGS_FILE} has no [retention], so every version is kept and nothing is pruned. To prune, say there "
            'what is kept, such as keep_last = 12 and keep_one_per = "month", then see what would go with '
            "'toolkit reports prune --dry-run'",
            path=workspace.root / SETTINGS_FILE,
        )
    there = [*list_reports(workspace), *list_tombstones(workspace)]
    known = {each.template for each in there} | set(templates)
    versions = {str(each) for each in there}
    pinned = [str(Reference.parse(text)) for text in rules.pinned]
    problems = [
        Problem(["retention", "templates", name], unknown_name_message(name, known, noun="template"))
        for name in rules.templates
        if name not in known
    ] + [
        Problem(["retention", "pinned", number], unknown_name_message(text, versions, noun="report"))
        for number, text in enumerate(pinned)
        if text not in versions
    ]
    if problems:
        raise read_toml(workspace.root / SETTINGS_FILE).error(problems)
    return rules


def _judge(workspace: Workspace, rules: RetentionSettings, ledger: Ledger, now: datetime) -> Pruning:
    unfinished = _unfinished(workspace)
    versions = [_read_version(workspace, each) for each in list_reports(workspace) if each not in unfinished]
    reasons = _find_reasons(versions, rules, ledger, now)
    doubts = verify_some(workspace, [each.reference for each in versions if each.reference not in reasons])
    reasons |= {
        reference: "it is not what was published; 'toolkit reports verify' says what is wrong with it"
        for reference, problems in doubts.items()
        if problems
    }
    judgements = tuple(
        Judgement(reference, reference in reasons, reasons.get(reference) or _none_of(rules, reference.template))
        for reference in (each.reference for each in versions)
    )
    return Pruning(now, judgements, tuple(_old_failures(workspace, rules, now)), tuple(unfinished))


def _read_version(workspace: Workspace, reference: Reference) -> _Version:
    """From the manifest itself: what is removed for good is not decided by an index."""
    try:
        manifest = json.loads((report_folder(workspace, reference) / MANIFEST).read_bytes())
        return _Version(reference, _instant(manifest.get("as_of")), _instant(manifest.get("finished_at")))
    except (OSError, ValueError, AttributeError, TypeError):  # `verify` finds it out, and the version is kept
        return _Version(reference, None, None)


def _find_reasons(
    versions: Sequence[_Version], rules: RetentionSettings, ledger: Ledger, now: datetime
) -> dict[Reference, str]:
    """The versions that are kept, and what keeps each; the strongest reason is the one that is told."""
    pinned = {Reference.parse(text) for text in rules.pinned}
    mentioned = dict(_find_mentions(ledger))
    reasons: dict[Reference, str] = {}
    for _, group in groupby(versions, key=lambda each: each.reference.series):
        series = list(group)
        references = [each.reference for each in series]
        reasons |= _keep_by_rule(series, rules, now)
        reasons |= {each: mentioned[str(each)] for each in references if str(each) in mentioned}
        reasons |= dict.fromkeys(pinned.intersection(references), "pinned")
        reasons[references[-1]] = "the latest of its subject"
    return reasons


def _find_mentions(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """References that the ledger's rows of other kinds hold, and the row that does."""
    for row in ledger.stored_rows():
        kind, payload = str(row["kind"]), row["payload"]
        if not kind.startswith(_OWN_KINDS):
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)
            for reference in _MENTION.findall(f"{row['subject']} {text}"):
                yield reference, f"the ledger's entry {row['sequence']} ({kind}) refers to it"


def _keep_by_rule(versions: Sequence[_Version], rules: RetentionSettings, now: datetime) -> dict[Reference, str]:
    """The versions of one report that a rule keeps, and which one."""
    given = rules.rules_for(versions[0].reference.template)
    if not given:
        return dict.fromkeys((each.reference for each in versions), "no rule of [retention] speaks of its template")
    kept: dict[Reference, str] = {}
    if (period := given.get("keep_one_per")) is not None:
        last = {_name_period(each, str(period)): each.reference for each in versions}
        kept |= {each: f'the last of {name} (keep_one_per = "{period}")' for name, each in last.items() if name}
    if (days := given.get("keep_days")) is not None:
        first = now - timedelta(days=int(days))
        kept |= {
            each.reference: f"published in the last {days} days (keep_days)"
            for each in versions
            if each.finished_at is None or each.finished_at >= first
        }
    if (last_ones := given.get("keep_last")) is not None:
        kept |= {each.reference: f"one of the last {last_ones} (keep_last)" for each in versions[-int(last_ones) :]}
    return kept


def _name_period(version: _Version, period: str) -> str:
    at = version.as_of or version.finished_at
    if at is None:
        return ""
    return f"{at:%Y}-Q{(at.month + 2) // 3}" if period == "quarter" else f"{at:{_PERIODS[period]}}"


def _instant(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None


def _none_of(rules: RetentionSettings, template: str) -> str:
    given = rules.rules_for(template).items()
    told = (f'{name} = "{rule}"' if isinstance(rule, str) else f"{name} = {rule}" for name, rule in given)
    return f"kept by none of {', '.join(told)}"


def _unfinished(workspace: Workspace) -> list[Reference]:
    """Versions that are there beside their tombstone, which must speak of them."""
    there = {reference for reference, _ in scan_versions(workspace)}
    found = []
    for reference in list_tombstones(workspace):
        if reference in there and (digest := _digest_manifest(workspace, reference)) is not None:
            tombstone = read_tombstone(workspace, reference)
            if tombstone is not None and tombstone.manifest_digest != digest:
                raise ArchiveError(
                    f"{reference}: its tombstone speaks of the manifest {tombstone.manifest_digest}, and the one that "
                    f"is there is {digest}; nothing was removed. Find out which of the two belongs here, and move the "
                    "other one out of the archive"
                )
            found.append(reference)
    return found


def _digest_manifest(workspace: Workspace, reference: Reference) -> str | None:
    """The digest of a version's manifest; None when another process has just removed the version."""
    folder = report_folder(workspace, reference)
    try:
        return digest_file(folder / MANIFEST)
    except FileNotFoundError:
        return "missing" if folder.is_dir() else None


def _bury(workspace: Workspace, ledger: Ledger, judgement: Judgement, now: datetime) -> None:
    """Remove one version, tombstone first, unless another process has just done it."""
    reference = judgement.reference
    try:
        manifest = json.loads((report_folder(workspace, reference) / MANIFEST).read_bytes())
    except FileNotFoundError:
        return
    published = ledger.entries(kind=PUBLISHED, subject=str(reference), limit=1)[0].data
    tombstone = Tombstone(
        reference,
        manifest_digest=published["manifest_digest"],
        results_digest=published["results_digest"],
        finished_at=manifest.get("finished_at"),
        pruned_at=format_instant(now),
        rule=judgement.reason,
    )
    write_tombstone(workspace, reference, tombstone.to_bytes())
    record_pruning(workspace, ledger, reference)
    _remove(workspace, report_folder(workspace, reference))


def _remove(workspace: Workspace, folder: Path) -> None:
    """Take a folder out of the archive at once, then delete it; another process may be doing the same."""
    with open_staging(workspace) as staging:
        try:
            folder.rename(staging / folder.name)
        except FileNotFoundError:
            return
        sync(folder.parent)
        shutil.rmtree(staging / folder.name)


def _old_failures(workspace: Workspace, rules: RetentionSettings, now: datetime) -> Iterator[str]:
    if rules.keep_failed_days is None:
        return
    first = now - timedelta(days=rules.keep_failed_days)
    for folder in sorted((workspace.reports / FAILED).glob("*/*/*")):
        match = _FAILED_AT.fullmatch(folder.name)
        if match and datetime.strptime(match[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC) < first:
            yield folder.relative_to(workspace.root).as_posix()
