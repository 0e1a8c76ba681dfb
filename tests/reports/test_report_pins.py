"""What a manifest pins, and a workspace laid again from it with git's help."""

from __future__ import annotations

from pathlib import Path

import pytest
from pinned_reports import SETTINGS, git, needs_git

from toolkit.digests import digest_bytes
from toolkit.reports.pins import PinError, Pins, find_in_history, lay_workspace, read_pins
from toolkit.reports.rerun import _choose_kernel, _restore_template
from toolkit.reports.templates import read_template
from toolkit.workspace import open_workspace


def test_a_manifest_that_pins_too_little():
    with pytest.raises(PinError) as err:
        read_pins({"schema_version": 0, "template": {"name": "sums", "origin": "workspace", "digest": "sha256:"}})
    assert err.value.reasons == ("its manifest, of schema 0, does not pin all that a run needs: 'parameters'",)


def test_a_template_that_this_toolkit_does_not_run(tmp_path):
    pins = Pins("sums", "workspace", "sha256:", {}, {}, 0, "sha256:", None, None)
    with pytest.raises(PinError) as refused:
        _restore_template(tmp_path, pins, b"{}")
    assert refused.value.reasons == (
        "this toolkit does not take the template any more: templates/sums.ipynb: not a notebook of format 4 (no list "
        "of cells); open it in JupyterLab and save it again",
    )
    with pytest.raises(PinError) as missing:
        _choose_kernel(read_template(Path(__file__).parent / "notebooks" / "other_language.ipynb"))
    assert missing.value.reasons[0].startswith("templates/other_language.ipynb: needs the kernel ")


@needs_git
def test_history_is_searched_when_the_commit_is_not_known(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch=first")
    (tmp_path / "below").mkdir()
    path, found = tmp_path / "below" / "a.yml", {}
    for text in ("one", "two", "three"):
        path.write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", text)
        found[text] = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "switch", "--quiet", "--create", "second", found["one"])
    blob = git(tmp_path, "rev-parse", f"{found['two']}:below/a.yml")[:12]
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"two"), None) == (b"two", f"git blob {blob}")
    commit = found["three"]
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"three"), commit) == (
        b"three",
        f"git commit {commit[:12]}",
    )
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"four"), commit) is None
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"two"), "0" * 40) == (b"two", f"git blob {blob}")
    assert find_in_history(tmp_path / "gone", "a.yml", digest_bytes(b"two"), None) is None


def test_a_laid_workspace_reads_like_the_real_one_but_for_what_is_pinned(tmp_path):
    root = tmp_path / "a" / "b" / "real"
    for name, text in {
        "toolkit.toml": SETTINGS.replace("../outside", "../../far/outside"),
        "metrics.yml": "new",
        "models/one.yml": "new",
        "models/two.yml": "two",
        "models/later.yml": "later",
        "data/deep/values.txt": "1",
        "../../far/outside/values.txt": "2",
        "../beside.txt": "3",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    files = {"metrics.yml": b"old", "models/one.yml": b"old", "ideas/gone.yml": b"gone"}
    laid = lay_workspace(open_workspace(root), tmp_path / "staging", files, {"models/later.yml"})

    def read(name):
        return (laid / name).read_text()

    assert open_workspace(laid).keys("models") == ["one", "two"]
    assert [read(name) for name in files] == ["old", "old", "gone"]
    assert (read("models/two.yml"), read("data/deep/values.txt")) == ("two", "1")
    assert (read("../../far/outside/values.txt"), read("../beside.txt")) == ("2", "3")
    assert laid.resolve() == laid
    assert (root / "metrics.yml").read_text() == "new"
    assert not Path(root / "ideas").exists()


@pytest.mark.parametrize("pinned", [{}, {"toolkit.toml": SETTINGS.encode()}])
def test_a_workspace_reaches_as_far_as_its_pinned_settings(tmp_path, pinned):
    root = tmp_path / "a" / "real"
    root.mkdir(parents=True)
    (root / "toolkit.toml").write_text(SETTINGS.replace("../outside", "data"))
    (root.parent / "beside.txt").write_text("3")
    laid = lay_workspace(open_workspace(root), tmp_path / "staging", {"metrics.yml": b"old", **pinned}, set())
    assert (laid / "metrics.yml").read_text() == "old"
    assert (laid / ".." / "beside.txt").exists() == bool(pinned)
