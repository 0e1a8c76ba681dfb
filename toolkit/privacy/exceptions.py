"""`privacy.yml`: which personal data may be published all the same, why, on whose word, and until when.

What is found and not excused blocks a report. An exception names its value by a short digest, by a pattern, or as it
is; a digest tells nothing about anybody, for ever in git.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import translate
from typing import Literal

from pydantic import Field, field_validator

from toolkit.errors import Blocked
from toolkit.privacy.scan import KINDS, Hit, short_digest
from toolkit.workspace import Day, Definition, Workspace

PRIVACY_FILE = "privacy.yml"

_DIGEST = re.compile(r"sha256:[0-9a-f]{6}")
_LEAST_LITERAL = 3
_SHOWN = 8
_SUGGESTED_DAYS = 90


class PrivacyException(Definition):
    """One value, or the values of one pattern, that may be published until a day."""

    kind: Literal["email", "phone", "iban", "card", "ip"] = Field(description="the kind of personal data")
    value: str = Field(
        min_length=1,
        description="which: the sha256:… that the refusal names, a pattern such as *@example.org, or the value itself",
    )
    template: str | None = Field(
        default=None, description="the one template whose reports may hold it; all if left out"
    )
    reason: str = Field(min_length=10, description="why it may be published, in 10 characters or more")
    owner: str = Field(min_length=1, description="who answers for that")
    expires: Day = Field(description="the last day on which it may be published, as 2030-01-31")

    @field_validator("value")
    @classmethod
    def _is_narrow(cls, value: str) -> str:
        if value.startswith("sha256:") and not _DIGEST.fullmatch(value):
            raise ValueError("is no digest; one is sha256: and 6 characters of 0-9 and a-f")
        if _is_pattern(value) and sum(character.isalnum() for character in value) < _LEAST_LITERAL:
            raise ValueError(
                f"would excuse nearly everything; write at least {_LEAST_LITERAL} letters or digits of what it is to "
                "match, such as *@example.org"
            )
        return value

    @property
    def shown(self) -> str:
        """The value as a message or a manifest may name it: a person's own address is not among them."""
        if _DIGEST.fullmatch(self.value) or _is_pattern(self.value):
            return self.value
        return short_digest(self.kind, self._normal)

    @property
    def _normal(self) -> str:
        """The value as a scan would give it."""
        found = [match.value for match in KINDS[self.kind].find(self.value)]
        return found[0] if len(found) == 1 else self.value

    def covers(self, hit: Hit, *, template: str) -> bool:
        """Whether it speaks of this value in reports of this template; until when is another question."""
        if hit.kind != self.kind or self.template not in {None, template}:
            return False
        if _DIGEST.fullmatch(self.value):
            return hit.digest == self.value
        if _is_pattern(self.value):
            literal = self.value.casefold().replace("[", "[[]")  # only * and ? are special here
            return re.fullmatch(translate(literal), hit.value.casefold()) is not None
        return hit.value == self._normal


class PrivacyFile(Definition):
    """`privacy.yml`: the exceptions that stand, and how small a group may be."""

    exceptions: tuple[PrivacyException, ...] = Field(default=(), description="what may be published all the same")
    smallest_cell: int = Field(
        default=5, ge=1, description="a group of fewer users than this is suppressed where texts and ratings are shown"
    )


def load_privacy(workspace: Workspace) -> PrivacyFile:
    """`privacy.yml`; what stands where there is no such file. Raises `DefinitionError`."""
    if not (workspace.root / PRIVACY_FILE).is_file():
        return PrivacyFile()
    return workspace.load(PRIVACY_FILE, PrivacyFile)


def load_exceptions(workspace: Workspace) -> tuple[PrivacyException, ...]:
    """The exceptions of `privacy.yml`, () when there is no such file. Raises `DefinitionError`."""
    return load_privacy(workspace).exceptions


@dataclass(frozen=True)
class Judgement:
    """What a scan found, held against the exceptions.

    Attributes
    ----------
    standing: what blocks publication.
    excused: what an exception lets through, each with it.
    expired: what of `standing` an exception let through until it expired, each with it.
    """

    standing: tuple[Hit, ...]
    excused: tuple[tuple[Hit, PrivacyException], ...]
    expired: tuple[tuple[Hit, PrivacyException], ...]

    @property
    def passed(self) -> bool:
        """Whether the report may be published."""
        return not self.standing

    def to_document(self) -> dict[str, object]:
        """What a manifest says of it: the counts by kind, and each exception that was used; no value."""
        used = {
            exception: sum(hit.count for hit, by in self.excused if by == exception) for _, exception in self.excused
        }
        return {
            "found": count_kinds(self.standing),
            "excused": [
                {
                    "kind": exception.kind,
                    "value": exception.shown,
                    "count": count,
                    "reason": exception.reason,
                    "owner": exception.owner,
                    "expires": exception.expires.isoformat(),
                }
                for exception, count in used.items()
            ],
        }


def judge(hits: Iterable[Hit], exceptions: Sequence[PrivacyException], *, template: str, on: date) -> Judgement:
    """Hold what was found against the exceptions, on a day: one stands through the day on which it expires."""
    standing, excused, expired = [], [], []
    for hit in hits:
        covering = [exception for exception in exceptions if exception.covers(hit, template=template)]
        valid = [exception for exception in covering if on <= exception.expires]
        if valid:
            excused.append((hit, valid[0]))
            continue
        standing.append(hit)
        if covering:
            expired.append((hit, max(covering, key=lambda each: each.expires)))
    return Judgement(tuple(standing), tuple(excused), tuple(expired))


def count_kinds(hits: Iterable[Hit]) -> dict[str, int]:
    """How many different values of each kind there are."""
    return dict(Counter(kind for kind, _ in {(hit.kind, hit.value): None for hit in hits}))


def refuse_personal_data(judgement: Judgement, *, template: str, kept: str, on: date) -> Blocked:
    """The refusal of a report that holds personal data; it names no value.

    Parameters
    ----------
    kept: where the report lies that was not published, as the reader finds it.
    on: the day of the refusal.
    """
    found = _count_in_words(judgement.standing)
    lines = [f"the report holds what looks like personal data: {found}. It is not published; it lies in {kept}"]
    lines += _listed([f"  {hit}" for hit in judgement.standing])
    lines += _listed(
        list(
            dict.fromkeys(
                f"  The exception for {exception.shown} in {PRIVACY_FILE} expired on {exception.expires}."
                for _, exception in judgement.expired
            )
        )
    )
    lines += [
        "Take them out of the notebook, or say in privacy.yml why they may be published; fill in reason and owner:",
        *_exceptions_to_paste(judgement.standing, template, on + timedelta(days=_SUGGESTED_DAYS)),
    ]
    return Blocked("\n".join(lines))


def refuse_secrets(secrets: Iterable[str], *, kept: str) -> Blocked:
    """The refusal of a report in whose outputs the values of secrets stood; they are redacted in what is kept."""
    names = ", ".join(sorted(secrets))
    return Blocked(
        f"the report printed a secret: {names}. It is not published; it lies in {kept}, where its value is replaced by "
        "'secret:' and its name. Take out of the notebook what prints it"
    )


def _is_pattern(value: str) -> bool:
    return "*" in value or "?" in value


def _count_in_words(hits: Iterable[Hit]) -> str:
    counts = count_kinds(hits)
    return ", ".join(f"{count} {KINDS[kind].one if count == 1 else KINDS[kind].many}" for kind, count in counts.items())


def _listed(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"  … and {more} more"]


def _exceptions_to_paste(hits: Iterable[Hit], template: str, expires: date) -> list[str]:
    values = list({(hit.kind, hit.digest): hit.masked for hit in hits}.items())
    lines = ["  exceptions:"]
    for (kind, digest), masked in values[:_SHOWN]:
        lines += [
            f"    - kind: {kind}",
            f"      value: {digest}    # {masked}",
            f"      template: {template}",
            '      reason: ""',
            '      owner: ""',
            f"      expires: {expires}",
        ]
    return lines
