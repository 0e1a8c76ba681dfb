"""Governance: what a model lacks that it ought to have, whatever its numbers: owners, reviews, lineage, fresh inputs.

Every check says what it looked at. One that cannot be made says why and signals nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil

from typing_extensions import override

from toolkit.data import ModelDefinition, Source
from toolkit.data.models import FeatureDefinition
from toolkit.metrics import feature_coverage, load_metrics
from toolkit.metrics.feature_days import FeatureDays, collect_feature_days
from toolkit.privacy import PRIVACY_FILE, load_exceptions
from toolkit.records import ResultRow, Shown, number_row
from toolkit.signals.signal import Family, Signal
from toolkit.windows import Window, parse_instant, start_of_day
from toolkit.workspace import Workspace

LOOK_BACK_DAYS = 56
"""So far back features, versions and deployments are looked at."""

_SOON_DAYS = 14
_MOST_LISTED = 8
_LEAST_STILL_DAYS = 3
_TIMES_LONGER = 2
"""An input stands still when it does so for twice as long as ever in the time looked back to: a dry spell is none."""

_NOBODY = frozenset({"", "-", "?", "n/a", "na", "nobody", "none", "tbd", "todo", "unknown", "unassigned", "x"})
_UNIT_DAYS = {"min": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0, "mo": 30.0}
_LENGTH = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:more\s+)?(min|h|d|w|mo)(?:ute|our|r|ay|eek|k|nth)?s?\b|\b(hour|dai|week|month)ly\b",
    re.IGNORECASE,
)
_EVERY_DAYS = {"hour": 1 / 24, "dai": 1.0, "week": 7.0, "month": 30.0}


@dataclass(frozen=True)
class GovernanceCheck:
    """One thing that was looked at.

    Attributes
    ----------
    key: such as `review_overdue`; a feature that stands still has one of its own.
    passed: None where it could not be looked at.
    found: what was found, in words.
    since: when the breach began, where that is known.
    """

    key: str
    name: str
    passed: bool | None
    found: str
    columns: tuple[str, ...] = ()
    since: date | None = None
    family: Family = "governance"


@dataclass(frozen=True)
class Governance(Shown):
    """What a model ought to have, checked one by one; breaches first.

    Attributes
    ----------
    window: the time that was looked back to.
    requests_per_week: that the model served in it.
    """

    model: str
    window: Window
    requests_per_week: float
    checks: tuple[GovernanceCheck, ...]

    @property
    def breaches(self) -> tuple[GovernanceCheck, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.passed is False)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """One signal for each breach. Nothing is estimated, so there is no evidence to weigh."""
        return tuple(
            Signal(
                kind="governance",
                family=check.family,
                metric=check.key,
                segment="",
                name=check.name,
                window=self.window.label,
                verdict="worse",
                change=None,
                unit="",
                times_threshold=1.0,
                excess_loss_per_week=None,
                no_loss_reason="a rule is broken; what that costs was not measured",
                text=f"{check.name}: {check.found}",
                columns=check.columns,
                first_day=check.since,
                last_day=self.window.last_day,
                requests_per_week=self.requests_per_week,
            )
            for check in self.breaches
        )

    @property
    @override
    def text(self) -> str:
        unknown = sum(check.passed is None for check in self.checks)
        rest = f" {unknown} could not be looked at." if unknown else ""
        if not self.breaches:
            return f"None of {len(self.checks)} rules is broken by {self.model}.{rest}"
        said = "; ".join(f"{check.name}: {check.found}" for check in self.breaches)
        return f"{len(self.breaches)} of {len(self.checks)} rules are broken by {self.model}: {said}.{rest}"

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            number_row(
                None if check.passed is None else "passed" if check.passed else "broken",
                check.found,
                key=check.key,
                statistic="rule",
                window=self.window.label,
                method="" if check.passed is None else check.found,
            )
            for check in self.checks
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        shown = {True: "passed", False: "broken", None: "not looked at"}
        return [
            {
                "rule": check.name,
                "verdict": shown[check.passed],
                "found": check.found,
                "since": "" if check.since is None else check.since.isoformat(),
            }
            for check in self.checks
        ]


def governance(workspace: Workspace, source: Source, model: ModelDefinition, *, as_of: str) -> Governance:
    """Check a model's owner, review, features, lineage and exceptions, as they stand on a day.

    Parameters
    ----------
    as_of: an ISO instant; "" for the last day complete in the data.

    A feature stands still when it is missing, or the same for every request, for longer than its stated freshness
    allows and for twice as long as ever in the eight weeks before. Raises `ContractError`, `DefinitionError`.
    """
    instant = parse_instant(as_of) if as_of else source.complete_through()
    window = Window.last_days(LOOK_BACK_DAYS, before=start_of_day(instant))
    today = instant.date()
    there = [feature for feature in model.features if feature.name in source.columns("predictions")]
    timed = [feature for feature in there if freshness_days(feature.freshness) is not None]
    days = collect_feature_days(source, model.key, [f.name for f in timed], window=window, as_of=instant)
    checks = [
        _check_owner(model),
        _check_review(model, today),
        *_check_features(model, {feature.name for feature in there}),
        _check_monitored(workspace, model, days),
        *_check_standstill(timed, days),
        *_check_lineage(source, model, days, window, instant),
        _check_exceptions(workspace, today),
    ]
    ordered = sorted(checks, key=lambda check: (check.passed is not False, check.passed is None))
    return Governance(model.name, window, sum(days.versions.values()) / (window.days / 7), tuple(ordered))


def freshness_days(freshness: str) -> float | None:
    """How old a feature may be, in days, as far as what its team wrote says it: the first length of time in it.

    >>> freshness_days("1 day"), freshness_days("weekly"), freshness_days("known when the flight is scheduled")
    (1.0, 7.0, None)
    """
    found = _LENGTH.search(freshness)
    if found is None:
        return None
    number, unit, every = found.groups()
    return _EVERY_DAYS[every.lower()] if every else float(number) * _UNIT_DAYS[unit.lower()]


def _is_nobody(text: str) -> bool:
    return text.strip().casefold() in _NOBODY


def _check_owner(model: ModelDefinition) -> GovernanceCheck:
    if _is_nobody(model.owner):
        return GovernanceCheck("owner_missing", "owner of the model", False, f"nobody (owner: {model.owner!r})")
    return GovernanceCheck("owner_missing", "owner of the model", True, model.owner)


def _check_review(model: ModelDefinition, today: date) -> GovernanceCheck:
    key, name, due = "review_overdue", "review of the model", model.review_on
    if due is None:
        return GovernanceCheck(key, name, False, f"no date is set (review_on in models/{model.key}.yml)")
    left = (due - today).days
    if left < 0:
        return GovernanceCheck(key, name, False, f"overdue by {-left} days, since {due}", since=due)
    soon = f", in {left} days" if left <= _SOON_DAYS else ""
    return GovernanceCheck(key, name, True, f"due on {due}{soon}")


def _check_features(model: ModelDefinition, there: set[str]) -> Iterator[GovernanceCheck]:
    named = len(model.features)
    for key, name, lacking in (
        ("feature_owner_missing", "owners of the features", [f.name for f in model.features if _is_nobody(f.owner)]),
        (
            "feature_freshness_missing",
            "freshness of the features",
            [f.name for f in model.features if _is_nobody(f.freshness)],
        ),
        (
            "feature_absent",
            "features that predictions have",
            [f.name for f in model.features if f.name not in there],
        ),
    ):
        if not named:
            yield GovernanceCheck(key, name, None, "the model names no features")
        elif lacking:
            yield GovernanceCheck(key, name, False, f"not {_listed(lacking)}", tuple(lacking))
        else:
            yield GovernanceCheck(key, name, True, f"all {named}")


def _check_monitored(workspace: Workspace, model: ModelDefinition, days: FeatureDays) -> GovernanceCheck:
    key, name = "features_unmonitored", "features that a metric watches"
    served = [version for version in days.versions if version in model.versions]
    version = served[0] if served else list(model.versions)[-1]
    coverage = feature_coverage(model, load_metrics(workspace), version=version)
    if coverage.share is None:
        return GovernanceCheck(key, name, None, f"version {version} names no features")
    if coverage.unwatched:
        lacking = f"not {_listed(coverage.unwatched)} of version {version}"
        return GovernanceCheck(key, name, False, lacking, coverage.unwatched)
    return GovernanceCheck(key, name, True, f"all {len(coverage.watched_by)} of version {version}")


def _check_standstill(timed: Sequence[FeatureDefinition], days: FeatureDays) -> Iterator[GovernanceCheck]:
    name = "features that stand still"
    if not timed:
        reason = "no feature of predictions states its freshness as a length of time, such as 1 day"
        yield GovernanceCheck("stale", name, None, reason)
        return
    if not any(days.days[feature.name] for feature in timed):
        yield GovernanceCheck("stale", name, None, "no day has enough requests")
        return
    found = False
    for feature in timed:
        still = days.standstill(feature.name)
        allowed = max(_LEAST_STILL_DAYS, ceil(freshness_days(feature.freshness) or 0) + 1)
        if still is None or still.days < allowed or still.days < _TIMES_LONGER * still.before_days:
            continue
        found = True
        what = "missing" if still.state == "missing" else "one and the same"
        before = f"for at most {still.before_days} days in a row before" if still.before_days else "never before"
        yield GovernanceCheck(
            f"stale.{feature.name}",
            f"input {feature.name}",
            False,
            f"{what} for {still.days} days, {before}; it may be as old as: {feature.freshness}",
            (feature.name,),
            still.since,
            "inputs",
        )
    if not found:
        yield GovernanceCheck("stale", name, True, f"none of {len(timed)} that state their freshness in time")


def _check_lineage(
    source: Source, model: ModelDefinition, days: FeatureDays, window: Window, as_of: datetime
) -> Iterator[GovernanceCheck]:
    undefined = [version for version in days.versions if version not in model.versions]
    key, name = "version_undefined", "versions that served are defined"
    if undefined:
        yield GovernanceCheck(key, name, False, f"not {_listed(undefined)} (models/{model.key}.yml)")
    elif days.versions:
        yield GovernanceCheck(key, name, True, _listed(list(days.versions)))
    else:
        yield GovernanceCheck(key, name, None, f"nothing was served in {window.label}")
    judged = [version for version in days.versions if version in model.versions] or list(model.versions)
    for field, what in (("training_digest", "digest of the training data"), ("commit", "commit")):
        key, name = f"lineage_{field}", f"{what} of each version"
        lacking = [version for version in judged if not getattr(model.versions[version], field)]
        if lacking:
            yield GovernanceCheck(key, name, False, f"not of version {_listed(lacking)}")
        else:
            yield GovernanceCheck(key, name, True, f"of version {_listed(judged)}")
    yield _check_commits(_deployed_commits(source, model.key, until=window.end, as_of=as_of), model)


def _check_commits(deployed: Mapping[str, str], model: ModelDefinition) -> GovernanceCheck:
    key, name = "lineage_deployed", "what was deployed is what is defined"
    stated = {version: defined.commit for version, defined in model.versions.items() if defined.commit}
    both = {version: (stated[version], commit) for version, commit in deployed.items() if version in stated}
    if not both:
        return GovernanceCheck(key, name, None, "no version has a commit both in its definition and in a deployment")
    other = [version for version, (one, two) in both.items() if not (one.startswith(two) or two.startswith(one))]
    if other:
        return GovernanceCheck(key, name, False, f"version {_listed(other)} was deployed from another commit")
    return GovernanceCheck(key, name, True, f"of version {_listed(list(both))}")


def _check_exceptions(workspace: Workspace, today: date) -> GovernanceCheck:
    key, name = "privacy_exception_expired", f"exceptions of {PRIVACY_FILE}"
    exceptions = load_exceptions(workspace)
    expired = [exception for exception in exceptions if exception.expires < today]
    if expired:
        first = min(exception.expires for exception in expired)
        owners = _listed(sorted({exception.owner for exception in expired}))
        found = f"{len(expired)} of {len(exceptions)} expired, the first on {first} (owner: {owners})"
        return GovernanceCheck(key, name, False, found, since=first)
    return GovernanceCheck(key, name, True, f"{len(exceptions)} stand" if exceptions else "there are none")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def _deployed_commits(source: Source, model: str, *, until: datetime, as_of: datetime) -> dict[str, str]:
    """The commit that each version of a model was last deployed from before `until`, as far as deployments say it.

    Raises `ContractError`.
    """
    if "deployments" not in source.tables or "commit" not in source.columns("deployments"):
        return {}
    rows = source.read("deployments", ["commit"], as_of=as_of, end=until)
    rows = rows.filter(rows.model == model, rows.commit.notnull())
    frame = source.execute(rows.order_by("occurred_at", "version", "kind"), reading="deployments")
    return {str(row.version): str(row.commit) for row in frame.itertuples(index=False)}
