"""Where the remote archive lies: a store that overwrites nothing, and settings without credentials."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fsspec.spec import AbstractFileSystem
from remote_archives import make

from toolkit.archive.remote import pull_reports, push_reports
from toolkit.archive.remote_store import Store, check_exclusive, open_store
from toolkit.errors import ArchiveError, DefinitionError, MissingExtraError


def test_the_server_answers_that_a_key_is_taken(bucket: str, tmp_path: Path) -> None:
    with open_store(make(tmp_path / "ours", bucket, subjects=0)) as store:
        assert [store.create("reports/a", b"1"), store.create("reports/a", b"2")] == [True, False]
        assert store.get(["reports/a", "reports/b"]) == {"reports/a": b"1"}


def test_a_store_that_overwrites_is_not_used(bucket: str, tmp_path: Path) -> None:
    with open_store(make(tmp_path / "ours", bucket, subjects=0)) as store:
        put = type(store.files).pipe_file

        class Careless:
            """A server that takes no notice of the condition."""

            def __getattr__(self, name: str) -> Any:
                return getattr(store.files, name)

            def pipe_file(self, path: str, data: bytes, mode: str) -> None:
                put(store.files, path, data)

        with pytest.raises(ArchiveError) as raised:
            check_exclusive(Store(store.url, Careless(), store.root))
    assert str(raised.value) == (
        f"{store.url} cannot create a file without overwriting one that is there, so two archives could overwrite each "
        "other's reports; nothing was pushed. Use a store with conditional writes, such as S3, or a folder (file://)"
    )


def test_a_library_that_only_asks_first_is_not_used() -> None:
    """What fsspec does for a library without a way of its own: look, then write."""
    with pytest.raises(ArchiveError, match="^ftp://x cannot create a file without overwriting one that is there"):
        check_exclusive(Store("ftp://x", AbstractFileSystem(), ""))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "",
            "toolkit.toml has no [archive], so there is no remote archive; say there where it lies, such as "
            'remote = "s3://bucket/prefix"',
        ),
        ('[archive]\nremote = "s4://b"\n', "toolkit.toml:6: unknown protocol 's4'; allowed: "),
        (
            '[archive]\nremote = "bucket/prefix"\n',
            "toolkit.toml:6: archive.remote is 'bucket/prefix': must be a URL, such as 's3://bucket/prefix' or "
            "'file:///mnt/archive'",
        ),
    ],
)
def test_a_remote_archive_that_is_not_there_is_explained(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        push_reports(make(tmp_path / "ours", settings, subjects=0))
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    "options",
    ['[archive.options]\nsecret = "hunter2"', '[archive.options.client_kwargs]\naws_access_key_id = "hunter2"'],
)
def test_a_credential_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, options: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        make(tmp_path / "ours", f'[archive]\nremote = "s3://bucket"\n{options}\n', subjects=0)
    key = "archive.options.secret" if "secret =" in options else "archive.options.client_kwargs.aws_access_key_id"
    assert str(raised.value) == (
        f"toolkit.toml:8: {key} looks like a credential, and this file is shared; give it through the environment, "
        "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile"
    )


@pytest.mark.parametrize("url", ["s3://ada:hunter2@bucket/x", "https://host/x?sig=hunter2"])
def test_a_credential_in_the_url_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(DefinitionError, match="archive.remote looks like a credential") as raised:
        make(tmp_path / "ours", f'[archive]\nremote = "{url}"\n', subjects=0)
    assert "hunter2" not in str(raised.value)


@pytest.mark.slow  # the library tries several times
def test_a_server_that_is_gone_is_explained(tmp_path: Path, server: str) -> None:
    remote = '[archive]\nremote = "s3://bucket"\n[archive.options]\nendpoint_url = "http://127.0.0.1:9"\n'
    with pytest.raises(ArchiveError) as raised:
        pull_reports(make(tmp_path / "ours", remote, subjects=0))
    assert str(raised.value).startswith("the remote archive s3://bucket failed (EndpointConnectionError: ")
    assert str(raised.value).endswith(
        "; what was transferred before stays. See that it is there and that the environment has its credentials, then "
        "run the command again"
    )


def test_a_library_that_is_not_installed_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make(tmp_path / "ours", '[archive]\nremote = "s3://bucket"\n', subjects=0)
    for module in ("s3fs", "fsspec.core"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            patch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
            with pytest.raises(MissingExtraError) as raised:
                push_reports(workspace)
            assert str(raised.value) == (
                "the remote archive s3://bucket needs a library that is not installed; for S3 and for folders that is "
                "the extra 's3': pip install 'improvement-toolkit[s3]'"
            )
