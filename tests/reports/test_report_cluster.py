"""Batches on a real Dask cluster: the same reports, and a killed worker loses nothing."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from dask_cluster import Cluster, cluster

from toolkit.archive import list_reports, verify_all
from toolkit.errors import MissingExtraError, UsageError
from toolkit.reports.batch import plan_batch, run_batch
from toolkit.reports.cluster import open_cluster
from toolkit.workspace import Workspace, open_workspace

CELLS = (
    "city: str = ''  # any\npause_s: float = 0.0  # of thinking",
    "import time\ntime.sleep(pause_s)",
)


@pytest.fixture
def shared(tmp_path: Path) -> Workspace:
    """A workspace that this process and the workers share."""
    root = tmp_path / "shared"
    (root / "templates").mkdir(parents=True)
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "shared"\n\n[tables]\n')
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["toolkit"] = {"subject": "{city}", "reads": []}
    (root / "templates" / "thinks.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    return open_workspace(root)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as found:
        yield found


def test_without_dask_it_says_what_to_install(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = "--dask needs Dask's distributed, which is not installed: pip install 'improvement-toolkit[dask]'"
    with pytest.raises(MissingExtraError, match=f"^{re.escape(message)}$"), open_cluster("tcp://127.0.0.1:1", shared):
        pass


@pytest.mark.slow
def test_where_no_scheduler_answers_it_says_so(shared: Workspace) -> None:
    with (
        pytest.raises(UsageError, match=r"^--dask tcp://127.0.0.1:9: no scheduler answers \(.*\); start one with"),
        open_cluster("tcp://127.0.0.1:9", shared),
    ):
        pass


@pytest.mark.slow
def test_workers_that_do_not_see_the_workspace_are_named(two: Cluster, tmp_path: Path) -> None:
    elsewhere = Workspace(tmp_path / "nowhere", None)  # type: ignore[arg-type]  # only its folder is asked for
    with pytest.raises(UsageError) as caught, open_cluster(two.address, elsewhere):
        pass
    assert (
        str(caught.value).count("does not see the workspace; it must lie on a file system that all workers share") == 2
    )


@pytest.mark.slow
def test_a_cluster_makes_the_reports(two: Cluster, shared: Workspace) -> None:
    batch = plan_batch(shared, "thinks", {}, {"city": ["oslo", "rome", "bergen", "kiel"]})
    told: list[tuple[int, str, str]] = []
    with open_cluster(two.address, shared) as crew:
        assert crew.workers == 2
        outcomes = run_batch(shared, batch, crew, watch=lambda *each: told.append(each))
    assert [outcomes[number].state for number in (1, 2, 3, 4)] == ["published"] * 4
    assert sorted(state for _, state, _ in told) == ["published"] * 4
    assert len(list_reports(shared)) == 4
    assert verify_all(shared) == ()


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(two: Cluster, shared: Workspace) -> None:
    batch = plan_batch(shared, "thinks", {"pause_s": 1.0}, {"city": [f"city{number}" for number in range(8)]})
    killed: list[int] = []

    def watch(number: int, state: str, text: str) -> None:
        if state == "published" and not killed:
            victim = two.workers[0].pid
            killed.append(victim)
            os.killpg(victim, signal.SIGKILL)

    with open_cluster(two.address, shared) as crew:
        outcomes = run_batch(shared, batch, crew, watch=watch)
    assert killed
    assert {outcome.state for outcome in outcomes.values()} <= {"published", "done"}
    assert len(outcomes) == 8
    assert sorted(str(each) for each in list_reports(shared)) == sorted(f"thinks/city{number}@1" for number in range(8))
    assert verify_all(shared) == ()
