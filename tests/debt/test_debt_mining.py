"""Totals and per-file counts against independent counts by git itself."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_trial import ADA, BOB, DAY, START, Trial, function, make_trial

from toolkit.debt import Hotspots, mine
from toolkit.debt.repository import HistoryError, open_repository, read_log, split
from toolkit.workspace import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
ODD = [
    "with space.py",
    'quo"te.py',
    "new\nline.py",
    "tab\tname.py",
    "ünïcode.py",
    "-dash.py",
    "a => b.py",
    "{x => y}.py",
    ":c.py",
]


def totals(found: Hotspots) -> dict[str, int]:
    assert found.reason == ""
    return {
        "commits": found.commits,
        "merges": found.merges,
        "changes": found.changes,
        "added": found.added,
        "deleted": found.deleted,
    }


def count_by_git(root: Path, *arguments: str) -> dict[str, int]:
    """The totals out of the plain text of `git log --numstat`, which quotes odd names, so that a line is a file."""

    def git(*more: str) -> str:
        command = ["git", "-C", str(root), "-c", "core.quotePath=true", "log", *more, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    lines = [line.split("\t") for line in git("--no-merges", "-M", "--numstat", "--format=").splitlines() if line]
    return {
        "commits": len(git("--no-merges", "--format=%H").split()),
        "merges": len(git("--merges", "--format=%H").split()),
        "changes": len(lines),
        "added": sum(int(added) for added, _, _ in lines if added != "-"),
        "deleted": sum(int(deleted) for _, deleted, _ in lines if deleted != "-"),
    }


def follow(root: Path, path: str, *arguments: str) -> tuple[int, int, int]:
    """Changes and lines of one file by `git log --follow`."""
    command = ["git", "-C", str(root), "log", "--follow", "-M", "--no-merges", "--numstat", "--format=", *arguments]
    output = subprocess.run([*command, "--", path], check=True, capture_output=True, text=True).stdout
    lines = [line.split("\t") for line in output.splitlines() if line]
    added, deleted = (sum(int(line[n]) for line in lines if line[n] != "-") for n in (0, 1))
    return len(lines), added, deleted


def changes(found: Hotspots) -> dict[str, int]:
    return {file.path: file.changes for file in found.files}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """Renames (one after the other, swapped, over a deleted file), merges, deletions, binary files and odd names."""
    trial = make_trial(tmp_path_factory.mktemp("trial") / "everything")
    trial.write("old.py", function("f", 12))
    trial.write("left.py", function("left", 9))
    trial.write("right.py", "".join(f"right_{n} = {n}\n" for n in range(20)))
    trial.write("gone.py", function("gone", 3))
    trial.write("image.png", b"\x89PNG\0" + bytes(range(256)))
    for number, name in enumerate(ODD):
        trial.write(name, function(f"odd_{number}", number) + f"# {number}\n" * 9)
    trial.commit()
    trial.write("old.py", function("f", 13))
    trial.write("image.png", b"\x89PNG\0" + bytes(range(255, -1, -1)))
    trial.commit(author=BOB)
    trial.git("mv", "old.py", "middle.py")
    trial.commit()
    trial.git("checkout", "--quiet", "-b", "side")
    trial.write("side.py", "".join(f"side = {n}\n" for n in range(20)))  # `--follow` would find a copy of what is alike
    trial.commit(author=BOB)
    trial.write("left.py", function("left", 10))
    trial.commit(author=BOB)
    trial.git("checkout", "--quiet", "main")
    trial.git("mv", "middle.py", "new name.py")
    trial.write("new name.py", function("f", 15))
    trial.commit()
    trial.merge("side")
    trial.git("rm", "--quiet", "gone.py")
    trial.commit()
    trial.git("mv", "left.py", "swap.tmp")
    trial.git("mv", "right.py", "left.py")
    trial.git("mv", "swap.tmp", "right.py")
    trial.commit()
    for name in ODD:
        trial.write(name, function("again", 4))
    trial.write(b"\xff.py", "x = 1\n")
    (trial.root / "link.py").symlink_to("left.py")
    trial.commit()
    trial.git("mv", "--", "-dash.py", "--dashes.py")
    trial.commit()
    return trial


def test_totals_are_git_logs(everything: Trial) -> None:
    found = mine(everything.root)
    assert totals(found) == count_by_git(everything.root)
    assert (found.merges, found.authors) == (1, 2)
    assert found.commit == everything.git("rev-parse", "HEAD").strip()


@pytest.mark.slow
def test_totals_of_this_repository_are_git_logs() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    found = mine(ROOT)
    if "shallow" in found.reason:
        pytest.skip("a shallow clone, which is refused")
    assert totals(found) == count_by_git(ROOT)
    tracked = subprocess.run(
        ["git", "ls-tree", "-r", "-z", "--name-only", "HEAD"], cwd=ROOT, check=True, capture_output=True
    )
    assert {file.path for file in found.files if file.present} == set(tracked.stdout.decode().split("\0")) - {""}


def test_each_file_has_the_changes_of_all_its_names(everything: Trial) -> None:
    found = {file.path: file for file in mine(everything.root).files}
    for path in ("new name.py", "left.py", "right.py", "side.py", "--dashes.py", *ODD):
        if path == "-dash.py":
            assert path not in found
            continue
        file = found[path]
        assert (file.changes, file.added, file.deleted) == follow(everything.root, f":(literal){path}"), path
    assert (found["new name.py"].changes, found["new name.py"].authors) == (4, 2)
    assert (found["right.py"].changes, found["left.py"].changes) == (2, 3)  # to git a swap is two rewrites


@pytest.mark.slow
def test_each_file_of_this_repository_that_kept_its_name() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    found = mine(ROOT)
    if "shallow" in found.reason:
        pytest.skip("a shallow clone, which is refused")
    log = subprocess.run(
        ["git", "log", "--no-merges", "-M", "--name-status", "-z", "--format="],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    parts = iter(part.lstrip("\n") for part in log.split("\0"))
    touched: Counter[str] = Counter()
    renamed: set[str] = set()
    for part in parts:
        if part.startswith(("R", "C")):
            renamed |= {next(parts), new := next(parts)}
            touched[new] += 1
        elif part:
            touched[next(parts)] += 1
    kept = {path: count for path, count in changes(found).items() if path not in renamed}
    assert kept == {path: touched[path] for path in kept}
    assert len(kept) > 100


def test_what_is_gone_is_counted_and_has_no_complexity(everything: Trial) -> None:
    gone = next(file for file in mine(everything.root).files if file.path == "gone.py")
    assert (gone.present, gone.changes, gone.complexity, gone.score, gone.reason) == (
        False,
        2,
        None,
        None,
        "the file is gone",
    )


def test_complexity_is_of_the_commit_and_not_of_the_work_tree(everything: Trial) -> None:
    before = mine(everything.root)
    found = {file.path: file for file in before.files}
    assert (found["new name.py"].complexity, found["new name.py"].score) == (16, 64)
    everything.write("new name.py", "x = 1\n")
    everything.write(".gitattributes", "*.py binary\n*.png diff\n")
    (everything.root / "right.py").unlink()
    everything.git("config", "diff.renames", "false")
    everything.git("config", "log.showRoot", "false")
    try:
        after = mine(everything.root)
    finally:
        everything.git("config", "--unset", "diff.renames")
        everything.git("config", "--unset", "log.showRoot")
        everything.git("reset", "--quiet", "--hard")
        everything.git("clean", "--quiet", "--force")
    assert after == before


def test_what_has_no_complexity_says_why(everything: Trial) -> None:
    everything_else = {
        file.path: file for file in mine(everything.root).files if file.complexity is None and file.present
    }
    assert {path: file.reason for path, file in everything_else.items()} == {
        "image.png": "lizard reads no .png files",
        "link.py": "a symbolic link",
    }
    assert everything_else["image.png"].binary_changes == 2
    assert (everything_else["image.png"].added, everything_else["image.png"].changes) == (0, 2)


def test_a_name_that_is_not_text_is_shown_by_its_bytes(everything: Trial) -> None:
    assert changes(mine(everything.root))["\\xff.py"] == 1


def test_a_window_counts_back_from_the_commit(everything: Trial) -> None:
    found = mine(everything.root, window_days=3)
    head = datetime.fromtimestamp(START + (everything.days - 1) * DAY, UTC)
    assert found.committed_at == head
    since = f"--since=@{int(head.timestamp()) - 3 * DAY}"
    assert totals(found) == count_by_git(everything.root, since)
    assert found.commits == 4
    assert (
        found.window
        == f"{datetime.fromtimestamp(head.timestamp() - 3 * DAY, UTC):%Y-%m-%dT%H:%M:%SZ} … {head:%Y-%m-%dT%H:%M:%SZ}"
    )


def test_an_older_commit_gives_what_it_gave_then(everything: Trial) -> None:
    found = mine(everything.root, until=everything.commits[2])
    assert totals(found) == count_by_git(everything.root, everything.commits[2])
    assert "middle.py" in changes(found)
    assert found == mine(everything.root, until=f"{everything.commits[2][:12]}")


def test_a_file_over_the_name_of_one_that_was_deleted_is_another(trial: Trial) -> None:
    trial.write("a.py", function("a", 8))
    trial.write("b.py", "".join(f"b_{n} = {n}\n" for n in range(30)))
    trial.commit()
    trial.write("b.py", "b = 2\n")
    trial.commit()
    trial.git("rm", "--quiet", "b.py")
    trial.commit()
    trial.git("mv", "a.py", "b.py")
    trial.commit()
    found = mine(trial.root)
    assert [(file.changes, file.present) for file in found.files if file.path == "b.py"] == [(2, True), (3, False)]
    assert follow(trial.root, "b.py")[0] == 2


def test_a_change_on_a_branch_beside_the_rename_counts_for_the_new_name(trial: Trial) -> None:
    trial.write("a.py", function("a", 8))
    trial.commit()
    trial.git("checkout", "--quiet", "-b", "side")
    trial.write("a.py", function("a", 9))
    trial.commit(author=BOB)
    trial.git("checkout", "--quiet", "main")
    trial.git("mv", "a.py", "b.py")
    trial.commit()
    trial.merge("side")
    found = mine(trial.root)
    assert [(file.path, file.changes, file.authors, file.complexity) for file in found.files] == [("b.py", 3, 2, 10)]


def test_a_name_that_was_given_to_a_new_file_is_not_the_renamed_one(trial: Trial) -> None:
    trial.write("a.py", function("a", 8))
    trial.commit()
    trial.git("mv", "a.py", "b.py")
    trial.commit()
    trial.write("a.py", "x = 1\n")
    trial.commit()
    trial.git("rm", "--quiet", "a.py")
    trial.commit()
    assert changes(mine(trial.root)) == {"b.py": 2, "a.py": 2}


def test_a_file_that_was_deleted_and_made_again_is_one(trial: Trial) -> None:
    for content in ("x = 1\n", None, "x = 2\n"):
        if content is None:
            (trial.root / "a.py").unlink()
        else:
            trial.write("a.py", content)
        trial.commit()
    assert changes(mine(trial.root)) == {"a.py": 3}


def test_authors_are_counted_by_the_mailmap_and_named_nowhere(trial: Trial) -> None:
    trial.write("a.py", "x = 1\n")
    trial.commit(author=ADA)
    trial.write("a.py", "x = 2\n")
    trial.commit(author=("Ada", "ADA@old.example"))
    trial.write("a.py", "x = 3\n")
    trial.commit(author=BOB)
    assert (mine(trial.root).authors, mine(trial.root).files[0].authors) == (3, 3)
    trial.write(".mailmap", "Ada <ada@example.org> <ada@old.example>\n")
    trial.commit(author=BOB)
    (trial.root / ".mailmap").unlink()
    found = mine(trial.root)
    assert found.authors == 2
    shown = f"{found.to_rows()}{found.text}{found._repr_html_()}{found.files}"
    assert not re.search(r"Ada|Bob|example\.org", shown)


def test_a_submodule_and_a_large_file_are_not_read(trial: Trial) -> None:
    trial.write("large.py", "x = 1\n" * 200_000)
    trial.commit()
    trial.git("update-index", "--add", "--cacheinfo", f"160000,{trial.commits[0]},module.py")
    trial.git("commit", "--quiet", "--message", "module")
    reasons = {file.path: file.reason for file in mine(trial.root).files}
    assert reasons == {"large.py": "larger than 1,000,000 bytes", "module.py": "a submodule"}


def test_a_bare_repository_is_mined(everything: Trial, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", "--bare", str(everything.root), str(tmp_path / "bare")], check=True)
    assert mine(tmp_path / "bare", shown="x") == mine(everything.root, shown="x")


def test_a_variable_that_names_another_repository_is_not_heard(
    everything: Trial, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.commit()
    expected = mine(everything.root)
    monkeypatch.setenv("GIT_DIR", str(trial.root / ".git"))
    assert mine(everything.root) == expected


def refusal(root: Path, **options: str) -> str:
    found = mine(root, shown="code", **options)
    assert found.files == ()
    assert JOURNAL.repositories == {}
    (row,) = found.to_rows()
    assert (row.key, row.value, row.status, row.reason) == ("code", None, "absent", found.reason)
    assert found.text == f"Absent: {found.reason}."
    assert "absent: " in found._repr_html_()
    return found.reason


def test_refusals_say_what_is_missing(
    everything: Trial, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(tmp_path / "nowhere") == "there is no folder 'code'"
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert refusal(tmp_path / "plain") == "'code' is not a git repository"
    assert refusal(trial.root) == "'code' has no commit yet"
    assert refusal(everything.root, until="v9") == "'code' has no commit 'v9'"
    (trial.root / "inside").mkdir()
    assert refusal(trial.root / "inside") == (
        "'code' lies inside a git repository; name its top folder, '../' from there"
    )
    clone = ["git", "clone", "--quiet", "--depth=1", everything.root.as_uri(), str(tmp_path / "shallow")]
    subprocess.run(clone, check=True)
    assert refusal(tmp_path / "shallow") == (
        "'code' is a shallow clone, so older commits are missing; 'git fetch --unshallow' there brings them"
    )
    everything.git("config", "remote.origin.partialclonefilter", "blob:none")
    try:
        assert refusal(everything.root) == (
            "'code' is a partial clone, so the contents of older files are missing; clone it without --filter"
        )
    finally:
        everything.git("config", "--unset", "remote.origin.partialclonefilter")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(everything.root) == "git is not installed; install it, and the history can be read"


def test_a_broken_repository_is_a_refusal(trial: Trial) -> None:
    trial.write("a.py", "x = 1\n")
    trial.commit()
    blob = trial.git("rev-parse", "HEAD:a.py").strip()
    (trial.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert refusal(trial.root) == "git's log breaks off at 'a.py'; 'git fsck' says what is broken"


def test_the_commit_is_noted(everything: Trial) -> None:
    found = mine(everything.root, shown="../code")
    assert JOURNAL.to_dict()["repositories"] == [{"path": "../code", "commit": found.commit}]


def test_the_log_is_read_in_pieces_that_end_anywhere(everything: Trial) -> None:
    class OneByOne:
        def __init__(self, content: bytes) -> None:
            self.content = iter(content)

        def read(self, _: int) -> bytes:
            return bytes(byte for _, byte in zip(range(1), self.content, strict=False))

    repository = open_repository(everything.root, until="HEAD", shown="x")
    whole = list(repository.log(None))
    output = subprocess.run(
        repository._command(*_log_arguments(), repository.commit), check=True, capture_output=True
    ).stdout
    assert list(read_log(split(OneByOne(output)))) == whole
    assert [len(commit.touches) for commit in whole if commit.merges] == [0]


def _log_arguments() -> Sequence[str]:
    from toolkit.debt import repository

    return repository._LOG


def test_a_missing_blob_is_named(everything: Trial) -> None:
    repository = open_repository(everything.root, until="HEAD", shown="x")
    with pytest.raises(HistoryError) as caught:
        list(repository.contents(iter([b"0" * 40])))
    assert str(caught.value) == f"the repository lacks the blob {'0' * 40}; 'git fsck' says what is broken"


def test_what_git_says_of_a_missing_tree_is_the_reason(trial: Trial) -> None:
    trial.write("a.py", "x = 1\n")
    trial.commit()
    tree = trial.git("rev-parse", "HEAD^{tree}").strip()
    (trial.root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    assert refusal(trial.root).startswith("git failed: fatal: ")
