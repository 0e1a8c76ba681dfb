from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pinned_reports import git

from toolkit import __version__
from toolkit.reports import runner
from toolkit.reports.manifest import describe_environment, describe_toolkit, find_commit, list_files
from toolkit.workspace import open_workspace

if TYPE_CHECKING:
    import pytest


def test_a_commit_is_found_with_whether_files_differ_from_it(tmp_path: Path) -> None:
    assert find_commit(tmp_path) == {
        "commit": None,
        "reason": "not in a git repository, or one without a commit",
    }
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("demo/\n")
    (tmp_path / "demo").mkdir()
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert find_commit(tmp_path) == {"commit": commit, "modified": False}
    assert find_commit(tmp_path / "demo")["commit"] is None  # ignored there: that commit does not hold it
    (tmp_path / ".gitignore").write_text("demo/\nmore/\n")
    assert find_commit(tmp_path) == {"commit": commit, "modified": True}


def test_without_git_the_loss_is_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_commit(tmp_path) == {"commit": None, "reason": "git is not installed"}
    assert describe_toolkit()["version"] == __version__


def test_the_environment_is_one_digest_of_what_is_installed() -> None:
    environment = describe_environment()
    assert environment.keys() == {"python", "implementation", "platform", "packages_digest"}
    describe_environment.cache_clear()
    assert describe_environment() == environment


def test_every_file_but_one_is_listed_by_path(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("b", "figures/a", "manifest.json"):
        (tmp_path / name).write_bytes(b"x")
    listed = list_files(tmp_path, but="manifest.json")
    assert [(each["path"], each["bytes"]) for each in listed] == [("b", 1), ("figures/a", 1)]
    assert listed[0]["digest"].startswith("sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")


def test_an_empty_as_of_is_the_last_day_complete_in_the_data(tmp_path: Path) -> None:
    import duckdb

    (tmp_path / "toolkit.toml").write_text(
        'schema_version = 2\nname = "tiny"\n\n[tables.predictions]\npath = "predictions.parquet"\n'
    )
    duckdb.sql(
        "select 'r1' as request_id, 'eta' as model, '1' as version, timestamptz '2013-05-01 09:30+00' as occurred_at, "
        "'u1' as unit_id, 0.5 as score, true as served"
    ).write_parquet(str(tmp_path / "predictions.parquet"))
    assert runner.find_as_of(open_workspace(tmp_path)) == datetime(2013, 5, 1, tzinfo=UTC)
