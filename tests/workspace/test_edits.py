from __future__ import annotations

import io
import os
import stat
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from toolkit.errors import DefinitionError, WorkspaceError
from toolkit.triage.teams import TeamsFile
from toolkit.workspace import edit_yaml
from toolkit.workspace.creation import SKELETON
from toolkit.workspace.edits import write_files

EXAMPLE = SKELETON.parents[1] / "examples" / "flights_workspace"
FILES = sorted([*SKELETON.rglob("*.yml"), *SKELETON.rglob("*.yml.example"), *EXAMPLE.rglob("*.yml")])


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went and the lines that came."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    went: list[str] = []
    came: list[str] = []
    for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            went += old[start:end]
            came += new[new_start:new_end]
    return went, came


def edited(tmp_path: Path, text: str, change: Any) -> str:
    path = tmp_path / "file.yml"
    path.write_bytes(text.encode())
    edit_yaml(path, change)
    assert [each.name for each in tmp_path.iterdir()] == ["file.yml"]
    return path.read_bytes().decode()


TEAMS = """\
# Who works on what.

teams:
    flow:                     # the first of them
        name:   "Flow"
        owner: 'Ada'
        capacity_days: 5      # an assumption


        period_days: 14
        models: [ small,large ]   # both
        # nobody has estimated the others
        estimates:
            calibration: {effort_days: {low: 2, likely: 3, high: 5}}
    ebb:
        name: Ebb, whose name is so long that a writer of YAML would like to fold it over two lines, which may not be
        owner: "Bob"
        capacity_days: 1e1
        period_days: 7
        models:
        -   small
        - large  # the other
"""


def test_a_change_of_a_value_changes_its_line_and_keeps_the_comment(tmp_path: Path) -> None:
    after = edited(tmp_path, TEAMS, lambda data: data["teams"]["flow"].update(capacity_days=8))
    assert after == TEAMS.replace("        capacity_days: 5      # an", "        capacity_days: 8      # an")


def test_other_changes_stay_where_they_are_too(tmp_path: Path) -> None:
    after = edited(tmp_path, TEAMS, lambda data: data["teams"]["ebb"].update(owner="Eve"))
    assert lines_changed(TEAMS, after) == (['        owner: "Bob"\n'], ['        owner: "Eve"\n'])
    after = edited(tmp_path, TEAMS, lambda data: data["teams"]["ebb"].pop("period_days"))
    assert lines_changed(TEAMS, after) == (["        period_days: 7\n"], [])


def test_what_cannot_be_carried_over_is_written_anew_with_its_comments(tmp_path: Path) -> None:
    after = edited(tmp_path, TEAMS, lambda data: data["teams"]["ebb"]["models"].append("third"))
    data = YAML(typ="safe").load(after)
    assert data["teams"]["ebb"]["models"] == ["small", "large", "third"]
    for comment in ("# Who works on what.", "# the first of them", "# an assumption", "# both", "# the other"):
        assert after.count(comment) == 1
    assert "# nobody has estimated the others" in after


def test_a_change_that_changes_nothing_leaves_the_very_file(tmp_path: Path) -> None:
    path = tmp_path / "file.yml"
    path.write_text(TEAMS)
    before = path.stat()
    edit_yaml(path, lambda data: data["teams"]["flow"].update(capacity_days=5))
    assert path.read_text() == TEAMS
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_line_ends_of_windows_and_dates_stay(tmp_path: Path) -> None:
    text = "# days\r\nfirst: 2013-06-01   # no quotes\r\nlast: '2013-07-01'\r\nkey: a\r\n"
    assert edited(tmp_path, text, lambda data: data.update(key="b")) == text.replace("key: a", "key: b")


def test_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    assert edited(tmp_path, "a: 1   # one\nb: 2", lambda data: data.update(a=3)) == "a: 3   # one\nb: 2"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_new_key_at_the_end_of_any_shipped_file_leaves_every_line(tmp_path: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    went, came = lines_changed(text, edited(tmp_path, text, lambda data: data.update(a_new_key="its value")))
    assert went == []
    assert came == ["a_new_key: its value\n"]


def test_changes_deep_inside_the_shipped_files(tmp_path: Path) -> None:
    text = (EXAMPLE / "experiments" / "delay-v2.yml").read_text(encoding="utf-8")
    after = edited(tmp_path, text, lambda data: data["guardrails"][0].update(margin=6))
    (went,), (came,) = lines_changed(text, after)
    assert came.split("#")[0].rstrip() == went.split("#")[0].rstrip().replace("5", "6")
    assert came.split("#")[1] == went.split("#")[1]
    text = (EXAMPLE / "models" / "delay.yml").read_text(encoding="utf-8")
    after = edited(tmp_path, text, lambda data: data["features"][2].update(owner="routes"))
    assert lines_changed(text, after) == (["    owner: schedules\n"], ["    owner: routes\n"])
    after = edited(tmp_path, text, lambda data: data["versions"]["1"]["features"].append("visibility"))
    assert lines_changed(text, after) == ([], ["      - visibility\n"])


keys = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon"])
scalars = st.one_of(
    st.integers(-99, 99).map(str), st.sampled_from(["yes", '"quoted"', "'single'", "a word", "~", "1.50", "2013-06-01"])
)
comments = st.sampled_from(["", "  # why", " # ü", "      # far away"])


@st.composite
def mappings(draw: st.DrawFn) -> tuple[str, str]:
    """A file of one line per key, with comments and blank lines, and one of its keys."""
    names = draw(st.lists(keys, min_size=1, unique=True))
    text = draw(st.sampled_from(["", "# top\n", "---\n", "\n\n"]))
    for name in names:
        gap = draw(st.sampled_from([" ", "   "]))
        text += f"{name}:{gap}{draw(scalars)}{draw(comments)}\n" + draw(st.sampled_from(["", "\n", "# between\n"]))
    return text, draw(st.sampled_from(names))


@given(mappings(), st.integers(1000, 9999))
def test_a_new_value_touches_only_the_line_of_its_key(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str, str], value: int
) -> None:
    text, key = case
    after = edited(tmp_path_factory.mktemp("edit"), text, lambda data: data.update({key: value}))
    expected = dict(YAML(typ="safe").load(io.StringIO(text))) | {key: value}
    assert dict(YAML(typ="safe").load(io.StringIO(after))) == expected
    (went,), (came,) = lines_changed(text, after)
    assert went.startswith(f"{key}:")
    assert came.startswith(f"{key}: {value}")
    assert went.partition("#")[1:] == came.partition("#")[1:] or "#" not in went


@given(mappings())
def test_a_removed_key_takes_no_other_key_with_it(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str, str]
) -> None:
    text, key = case
    after = edited(tmp_path_factory.mktemp("edit"), text, lambda data: data.pop(key))
    expected = dict(YAML(typ="safe").load(text))
    del expected[key]
    assert dict(YAML(typ="safe").load(after) or {}) == expected
    kept = [line for line in text.splitlines() if ":" in line and not line.startswith(f"{key}:")]
    assert [line for line in after.splitlines() if ":" in line] == kept


def test_a_file_that_is_not_valid_is_refused_and_so_is_a_change_that_would_make_it_so(tmp_path: Path) -> None:
    path = tmp_path / "teams.yml"
    path.write_text("teams: [\n")
    with pytest.raises(DefinitionError, match=r"^teams\.yml:2: not valid YAML: "):
        edit_yaml(path, lambda _: None)
    path.write_text(TEAMS.replace("period_days: 14", "period_dais: 14"))
    with pytest.raises(DefinitionError, match=r"teams\.yml:10: unknown key 'teams\.flow\.period_dais'"):
        edit_yaml(path, lambda _: None, model=TeamsFile)
    path.write_text(TEAMS)
    with pytest.raises(DefinitionError) as caught:
        edit_yaml(path, lambda data: data["teams"]["ebb"].update(period_days=0), model=TeamsFile, shown="w/teams.yml")
    assert str(caught.value) == "w/teams.yml:19: teams.ebb.period_days is 0: input should be greater than 0"
    assert path.read_text() == TEAMS
    assert list(tmp_path.iterdir()) == [path]


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "teams.yml"
    path.write_text(TEAMS)
    with pytest.raises(KeyError, match="flood"):
        edit_yaml(path, lambda data: data["teams"]["flood"].clear())
    assert path.read_text() == TEAMS


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    file, link = tmp_path / "there.yml", tmp_path / "here.yml"
    file.write_text("a: 1\n")
    file.chmod(0o640)
    link.symlink_to(file)
    edit_yaml(link, lambda data: data.update(a=2))
    assert link.is_symlink()
    assert file.read_text() == "a: 2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def tree(root: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


def test_files_are_written_where_they_differ_and_folders_made(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("same")
    files = {tmp_path / "same": b"same", tmp_path / "deep" / "er" / "new": b"new"}
    assert write_files(files) == [tmp_path / "deep" / "er" / "new"]
    assert tree(tmp_path) == {"same": b"same", "deep": None, "deep/er": None, "deep/er/new": b"new"}
    assert write_files(files) == []


def test_when_one_file_cannot_be_written_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "blocked").write_text("a file where a folder must be")
    before = tree(tmp_path)
    files = {tmp_path / "old": b"2", tmp_path / "new" / "file": b"3", tmp_path / "blocked" / "file": b"4"}
    with pytest.raises(WorkspaceError) as caught:
        write_files(files)
    place = tmp_path / "blocked" / "file"
    assert str(caught.value) in {
        f"{place} cannot be written: Not a directory; nothing was changed",
        f"{place} cannot be written: File exists; nothing was changed",
    }
    assert tree(tmp_path) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", range(4))
def test_whatever_step_fails_all_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, call: int
) -> None:
    """Two files are written beside their places (calls 0 and 1) and then moved there (2 and 3)."""
    (tmp_path / "old").write_text("old")
    before = tree(tmp_path)
    calls = iter(range(100))
    sync, replace = os.fsync, Path.replace

    def fail(*given: Any) -> None:
        if next(calls) == call:
            raise error

    monkeypatch.setattr(os, "fsync", lambda number: (fail(), sync(number)))
    monkeypatch.setattr(Path, "replace", lambda self, other: (fail(), replace(self, other)))
    with pytest.raises((WorkspaceError, KeyboardInterrupt)) as caught:
        write_files({tmp_path / "old": b"2", tmp_path / "deep" / "new": b"3"})
    assert tree(tmp_path) == before
    if isinstance(error, OSError):
        place = tmp_path / ("old" if call in {0, 2} else "deep/new")
        assert str(caught.value) == f"{place} cannot be written: No space left on device; nothing was changed"
