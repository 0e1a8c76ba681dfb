from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from git_trial import BOB, Trial, function

from toolkit.debt import DebtItem, hotspots, mine
from toolkit.debt.complexity import Complexity, count_complexity, counter, reason_not_to_read
from toolkit.debt.repository import read_log
from toolkit.errors import ArgumentError
from toolkit.workspace import Workspace, open_workspace

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parents[1] / "reference" / "debt_cases.json").read_text())
}


def workspace(root: Path, repository: str | None) -> Workspace:
    root.mkdir(exist_ok=True)
    named = "" if repository is None else f'\n[repository]\npath = "{repository}"\n'
    (root / "toolkit.toml").write_text(f'schema_version = 2\nname = "w"\n\n[tables]\n{named}')
    return open_workspace(root)


def item(key: str, *paths: str, **given: Any) -> DebtItem:
    facts = {
        "title": key,
        "kind": "code",
        "owner": "Ada",
        "team": "flow",
        "description": "d",
        "opened_on": "2013-01-01",
    }
    return DebtItem(key=key, paths=paths, **facts | given)


@pytest.fixture
def mined(trial: Trial, tmp_path: Path) -> Workspace:
    """Two files of equal score, one simple file that changes most, one text."""
    trial.write("src/hard.py", function("hard", 5))
    trial.write("src/deep/busy.py", function("busy", 2))
    trial.write("notes.md", "# Notes\n")
    trial.commit()
    trial.write("src/deep/busy.py", function("busy", 2) + "x = 1\n")
    trial.commit(author=BOB)
    return workspace(tmp_path / "w", "../trial")


def test_the_order_is_score_then_changes_then_name(mined: Workspace) -> None:
    found = hotspots(mined, window_days=365)
    assert [(file.path, file.changes, file.complexity, file.score) for file in found.files] == [
        ("src/deep/busy.py", 2, 3, 6),
        ("src/hard.py", 1, 6, 6),
        ("notes.md", 1, None, None),
    ]


def test_the_whole_text(mined: Workspace, trial: Trial) -> None:
    found = hotspots(mined, window_days=365)
    assert found.text == (
        f"In the 365 days before the commit {trial.commits[-1][:12]} of 2013-01-02T00:26:40Z, the newest looked at, "
        "the repository '../trial' has 2 commits and 0 merges by 2 authors: 4 changes of 3 files, 20 lines added and 0 "
        "deleted. These days are the repository's own, not those of the data. 0 of the files are gone; of 1 that are "
        f"there no complexity is counted. Complexity: cyclomatic, summed over a file's functions, by {counter()}. Most "
        "changes × complexity: src/deep/busy.py (2 × 3); src/hard.py (1 × 6)."
    )
    assert mine(trial.root).text.startswith(f"In all its history up to the commit {trial.commits[-1][:12]} of ")


def test_rows_tell_what_was_counted_and_with_what(mined: Workspace) -> None:
    rows = {(row.key, row.statistic): row for row in hotspots(mined, window_days=365).to_rows()}
    assert rows["../trial", "changes"].value == 4
    assert rows["../trial", "changes"].window == "2012-01-03T00:26:40Z … 2013-01-02T00:26:40Z"
    assert (rows["src/hard.py", "complexity"].value, rows["src/hard.py", "complexity"].method) == (6, counter())
    notes = rows["notes.md", "score"]
    assert (notes.value, notes.status, notes.reason) == (None, "absent", "lizard reads no .md files")


def test_files_carry_the_open_items_that_name_them(mined: Workspace) -> None:
    items = [
        item("in-src", "src/*.py"),
        item("all-python", "**/*.py"),
        item("folder", "src/deep/"),
        item("one", "src/de?p/busy.py"),
        item("lived-with", "**", status="accepted"),
        item("odd", "src/hard.p"),
    ]
    found = hotspots(mined, window_days=365, items={each.key: each for each in items})
    assert {file.path: file.items for file in found.files} == {
        "src/deep/busy.py": ("all-python", "folder", "one"),
        "src/hard.py": ("in-src", "all-python"),
        "notes.md": (),
    }
    assert found.to_table()[0]["debt_items"] == "all-python, folder, one"
    assert [row.value for row in found.to_rows() if row.statistic == "debt_item"] == [
        "all-python", "folder", "one", "in-src", "all-python",
    ]  # fmt: skip  # its lines group what belongs together


def test_the_figure_says_the_products(mined: Workspace) -> None:
    found = hotspots(mined, window_days=365)
    assert found.plot().alt == "Changes × complexity, the highest: src/deep/busy.py 2 × 3; src/hard.py 1 × 6"
    assert found.plot().png == hotspots(mined, window_days=365).plot().png


def test_names_are_drawn_as_they_are(trial: Trial) -> None:
    trial.write("$a$\n_ü.py", function("a", 1))
    trial.commit()
    (picture,) = mine(trial.root).to_pictures()
    assert picture.png.startswith(b"\x89PNG")


def test_a_workspace_without_a_repository(tmp_path: Path) -> None:
    found = hotspots(workspace(tmp_path / "w", None), window_days=30)
    assert found.text == 'Absent: toolkit.toml names no repository; add [repository] with path = "…".'
    assert found.to_pictures() == ()
    assert "there is no history" in found.plot().alt


def test_a_repository_that_is_not_there(tmp_path: Path) -> None:
    assert hotspots(workspace(tmp_path / "w", "../nowhere"), window_days=30).reason == "there is no folder '../nowhere'"


def test_a_window_of_no_days(mined: Workspace) -> None:
    with pytest.raises(ArgumentError) as caught:
        hotspots(mined, window_days=0)
    assert str(caught.value) == "window_days == 0, must be a number of at least 1"


def test_a_commit_that_changed_nothing_readable(trial: Trial) -> None:
    trial.write("notes.md", "# Notes\n")
    trial.commit()
    found = mine(trial.root)
    assert found.text.endswith("No changed file has a complexity.")
    assert found.to_table() == []


@pytest.mark.parametrize("case", ["maat-scenario-authors", "maat-scenario-entity-churn"])
def test_counts_of_the_reference_history(trial: Trial, case: str) -> None:
    """The log of the case made into a repository: files get the lines that it says were added and deleted."""
    held: dict[str, list[str]] = {}
    log = sorted(CASES[case]["inputs"]["log"], key=lambda revision: revision["rev"])
    touched = {path: sum(deleted for rev in log for name, _, deleted in rev["files"] if name == path)
               for rev in log for path, _, _ in rev["files"]}  # fmt: skip  # its lines group what belongs together
    for path, lines in touched.items():
        held[path] = [f"{path} {n}" for n in range(lines)]
        trial.write(path.lstrip("/"), "".join(f"{line}\n" for line in held[path]))
    base = trial.commit()
    for revision in log:
        for path, added, deleted in revision["files"]:
            held[path] = held[path][deleted:] + [f"{path} {revision['rev']}.{n}" for n in range(added)]
            trial.write(path.lstrip("/"), "".join(f"{line}\n" for line in held[path]))
        trial.commit(author=(revision["author"], f"{revision['author']}@example.org"))
    files = {file.path: file for file in mine(trial.root).files}
    before = {file.path: file for file in mine(trial.root, until=base).files}
    for path, *counts in CASES[case]["expected"]["rows"]:
        file, start = files[path.lstrip("/")], before[path.lstrip("/")]
        if case == "maat-scenario-authors":
            assert [file.authors - start.authors, file.changes - start.changes] == counts
        else:
            assert [file.added - start.added, file.deleted, file.changes - start.changes] == counts


def test_a_binary_file_has_no_lines() -> None:
    case = CASES["maat-binary"]
    added, deleted, name = (part.encode() for part in case["inputs"]["numstat"])
    head = b"\x011\x01\x01a@example.org\n:000000 100644 0 1 A"
    (commit,) = read_log(iter([head, name, b"\t".join([added, deleted, name])]))
    (touch,) = commit.touches
    assert (touch.added or 0, touch.deleted or 0, len([commit])) == tuple(case["expected"].values())
    assert touch.added is None


@pytest.mark.parametrize(
    ("name", "source", "complexity"),
    [
        ("a.py", function("f", 4), 5),
        ("a.py", function("f", 4) + function("g", 0), 6),
        ("a.py", "if x and y:\n    z = 1\n", 0),
        ("a.py", "def f(:\n", 0),
        ("a.py", "def f(x):\n    return [y for y in x if y and y > 1]\n", 4),
        ("a.js", "function f(a) { if (a && a.b) { return 1; } return 0; }", 3),
        ("a.c", "int f(int a) { while (a) { a--; } return a; }", 2),
        ("new\nline.py", function("f", 1), 2),
        ("a.py", "", 0),
    ],
)
def test_complexity_of_small_sources(name: str, source: str, complexity: int) -> None:
    assert reason_not_to_read(name, len(source)) == ""
    assert count_complexity(name, source.encode()) == Complexity(complexity)


def test_what_is_not_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason_not_to_read("LICENSE", 1) == "a file without ending"
    assert reason_not_to_read("a.lock", 1) == "lizard reads no .lock files"
    assert count_complexity("a.py", b"\0\1") == Complexity(None, "binary")
    import lizard

    def stumble(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(lizard.analyze_file, "analyze_source_code", stumble)
    assert count_complexity("a.py", b"x") == Complexity(None, "lizard failed on it: RecursionError")


def test_the_counter_leaves_the_module_path_alone() -> None:
    before = list(sys.path)
    count_complexity("a.py", b"x = 1\n")
    assert sys.path == before
