"""What `toolkit.toml` says about the report archive: what retention keeps, and where the remote copy lies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from toolkit.workspace.definitions import Definition
from toolkit.workspace.documents import Problem

_NUMBERED = re.compile(r"[^/@]+/[^/@]+@[0-9]+")
_SECRET = re.compile(
    "authorization|connection_string|credential|passw|passphrase|secret|signature|token|"
    "(^|_)(access_?|account_?|api_?|private_?)?key(_?id)?$"
)
_USER_IN_URL = re.compile(r"://[^/?#]*@|[?&](sig|signature|token|.*key)=", re.IGNORECASE)


def _check_pinned(text: str) -> str:
    if not _NUMBERED.fullmatch(text):
        raise ValueError("must name one version, such as 'triage/delay@3'")
    return text


def _check_remote(url: str) -> str:
    if "://" not in url:
        raise ValueError("must be a URL, such as 's3://bucket/prefix' or 'file:///mnt/archive'")
    return url


def is_credential(name: str) -> bool:
    """Whether what goes by this name is a credential.

    >>> is_credential("spark.hadoop.fs.s3a.secret.key"), is_credential("sslmode")
    (True, False)
    """
    return _SECRET.search(name.casefold()) is not None


def find_archive_credentials(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What looks like a credential in the settings of the remote archive; its value is in no message."""
    archive = settings.get("archive")
    if isinstance(archive, Mapping):
        yield from _find_credentials(archive, ["archive"])


def _find_credentials(table: Mapping[str, Any], at: list[str | int]) -> Iterator[Problem]:
    for name, value in table.items():
        here = [*at, name]
        if isinstance(value, Mapping):
            yield from _find_credentials(value, here)
        elif is_credential(name) or (isinstance(value, str) and _USER_IN_URL.search(value)):
            shown = ".".join(map(str, here))
            yield Problem(
                here,
                f"{shown} looks like a credential, and this file is shared; give it through the environment, such as "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile",
            )


class RetentionRules(Definition):
    """What keeps a version; one rule is enough. Without any, every version is kept."""

    keep_last: int | None = Field(
        default=None, ge=1, description="keep so many versions of each subject, the last ones"
    )
    keep_days: int | None = Field(default=None, ge=1, description="keep what was published in so many days")
    keep_one_per: Literal["day", "week", "month", "quarter", "year"] | None = Field(
        default=None, description="keep the last version of each period, by the report's as-of, or else its publication"
    )


class RetentionSettings(RetentionRules):
    """What `toolkit reports prune` keeps. The latest version of each subject is always kept."""

    pinned: list[Annotated[str, AfterValidator(_check_pinned)]] = Field(
        default_factory=list, description="versions that are kept whatever the rules say, such as triage/delay@3"
    )
    keep_failed_days: int | None = Field(
        default=None, ge=1, description="keep the half-run notebooks of failures for so many days; forever without it"
    )
    templates: dict[str, RetentionRules] = Field(
        default_factory=dict, description="template: its own rules, each instead of the one above"
    )

    def rules_for(self, template: str) -> dict[str, int | str]:
        """The rules that hold for a template, by name; empty when nothing is said."""
        own = self.templates.get(template, RetentionRules())
        rules = {name: getattr(own, name) or getattr(self, name) for name in RetentionRules.model_fields}
        return {name: rule for name, rule in rules.items() if rule is not None}


class ArchiveSettings(Definition):
    """Where the archive's remote copy lies."""

    remote: Annotated[str, AfterValidator(_check_remote)] = Field(
        description="URL that 'toolkit reports push' and 'pull' use, such as s3://bucket/prefix"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="options of the fsspec file system, such as profile; never credentials"
    )
