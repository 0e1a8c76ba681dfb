"""`toolkit.toml`: what the workspace is, where its data lie, and what a run may cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from toolkit.checks import unknown_name_message
from toolkit.workspace.archiving import ArchiveSettings, RetentionSettings, find_archive_credentials, is_credential
from toolkit.workspace.definitions import Definition
from toolkit.workspace.documents import Problem
from toolkit.workspace.secrets import is_secret_reference

Option = str | bool | int | float


class SourceSettings(Definition):
    """Where tables lie that are not files beside the workspace, and how one comes in."""

    url: str = Field(
        min_length=1,
        description="what is connected to: postgres://reader@host:5432/database, duckdb://warehouse.duckdb, "
        "pyspark://, s3://bucket/folder, or another URL that Ibis knows; a password never stands in it",
    )
    password: str | None = Field(
        default=None, description="secret:NAME, read from the environment or the keyring when the source is opened"
    )
    options: dict[str, Option] = Field(
        default_factory=dict, description="further options of the connection, by the names that its driver has for them"
    )


class TableSettings(Definition):
    """Where one table of the data contracts lies, and what in it is which column of the contract."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="files (Parquet, CSV or JSON lines): one, a pattern, or a folder, from the workspace's folder",
    )
    source: str | None = Field(default=None, description="the source that it lies in, from [sources]")
    table: str | None = Field(default=None, min_length=1, description="its name there, such as ml.predictions")
    columns: dict[str, str] = Field(default_factory=dict, description="contract column: own column")
    expressions: dict[str, str] = Field(
        default_factory=dict, description="contract column: an expression over own columns, in the SQL of DuckDB"
    )
    max_quarantined_share: float = Field(
        default=0.01, ge=0, le=1, description="more rows than this share that break the contract are an error"
    )

    @property
    def place(self) -> str:
        """Where it lies, in a word or two."""
        where = str(self.path or self.table)
        return where if self.source is None else f"{where} in source {self.source}"


class RepositorySettings(Definition):
    """The git repository whose history is evidence of debt."""

    path: str = Field(min_length=1, description="the git repository that debt reviews mine, relative to the workspace")


class LimitSettings(Definition):
    """What one run may cost; what is left out has no limit, but for what it may put out."""

    cell_s: float | None = Field(default=None, gt=0, description="seconds that one cell may run")
    run_s: float | None = Field(default=None, gt=0, description="seconds that a whole run may take")
    memory_mib: float | None = Field(default=None, gt=0, description="MiB that a kernel may allocate (Linux)")
    output_mib: float | None = Field(default=None, gt=0, description="MiB that the cells of a run may put out; 32")


class Settings(Definition):
    """`toolkit.toml`: what the workspace is, and where its tables lie."""

    schema_version: Literal[2] = Field(description="the version of the workspace's form; 'toolkit upgrade' raises it")
    name: str = Field(min_length=1, description="the workspace's name")
    engine: Literal["duckdb"] = Field(default="duckdb", description="what reads the files beside the workspace")
    sources: dict[str, SourceSettings] = Field(
        default_factory=dict, description="where tables lie that are not files beside the workspace, by name"
    )
    tables: dict[str, TableSettings] = Field(description="where each table of the data contracts lies")
    kernel: Literal["auto", "warm", "cold"] = Field(
        default="auto",
        description="how kernels start: forked from a warm process, from nothing, or (auto) warm in batches and 'due'",
    )
    limits: LimitSettings = Field(default=LimitSettings(), description="what one run may cost")
    repository: RepositorySettings | None = Field(default=None, description="the code that debt reviews look at")
    retention: RetentionSettings | None = Field(default=None, description="which published versions are kept")
    archive: ArchiveSettings | None = Field(default=None, description="where the archive's remote copy lies")


def find_problems(settings: Settings) -> Iterator[Problem]:
    """What is wrong with settings that by themselves are valid: a table without a place, a source that is not there."""
    for name, table in settings.tables.items():
        at = ["tables", name]
        if (table.path is None) == (table.table is None):
            yield Problem(
                at,
                f"tables.{name} must have either a path (files) or a source and a table (a database)"
                + ("" if table.path is None else "; it has both a path and a table"),
            )
        if table.table is not None and table.source is None:
            yield Problem(
                [*at, "table"],
                f'tables.{name}.table is {table.table!r}, and no source says where that is; add source = "NAME" and '
                "[sources.NAME]",
            )
        if table.source is not None and table.source not in settings.sources:
            message = unknown_name_message(table.source, settings.sources, noun="source")
            yield Problem([*at, "source"], f"tables.{name}.source: {message}")
        for column in sorted(set(table.columns) & set(table.expressions)):
            yield Problem(
                [*at, "expressions", column],
                f"tables.{name}: {column} has both an own column and an expression; keep one of them",
            )


def find_credentials(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What looks like a credential in the settings; its value is in no message."""
    yield from find_archive_credentials(settings)
    sources = settings.get("sources")
    for name, source in sources.items() if isinstance(sources, Mapping) else ():
        if isinstance(source, Mapping):
            yield from _find_credentials(source, ["sources", name])


def _find_credentials(source: Mapping[str, Any], at: list[str | int]) -> Iterator[Problem]:
    shown = ".".join(map(str, at))
    how = 'write password = "secret:NAME", and put it into the environment variable or the keyring under that NAME'
    if has_password(str(source.get("url", ""))):
        yield Problem([*at, "url"], f"{shown}.url holds a credential, and this file is shared; {how}")
    password = source.get("password")
    if password is not None and not is_secret_reference(password):
        yield Problem([*at, "password"], f"{shown}.password is no 'secret:NAME', and this file is shared; {how}")
    options = source.get("options")
    for option, value in options.items() if isinstance(options, Mapping) else ():
        if is_credential(option) and not is_secret_reference(value):
            yield Problem(
                [*at, "options", option],
                f"{shown}.options.{option} looks like a credential, and this file is shared; "
                "write 'secret:NAME' for its value, and put it into the environment or the keyring under that NAME",
            )


def has_password(url: str) -> bool:
    """Whether a URL holds a password, or something else that looks like a credential.

    >>> has_password("postgres://reader@host:5432/db"), has_password("postgres://reader:hunter22@host/db")
    (False, True)
    """
    from urllib.parse import parse_qsl, urlsplit

    try:
        parts = urlsplit(url)
        return parts.password is not None or any(is_credential(name) for name, _ in parse_qsl(parts.query))
    except ValueError:  # such as an address in brackets that is none
        return "@" in url
