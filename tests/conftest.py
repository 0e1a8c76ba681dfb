"""A small workspace whose every number can be recomputed with pandas, and one whose truth is planted."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from untraced import leave_ibis_untraced

from toolkit.workspace import JOURNAL, Workspace, open_workspace

settings.register_profile("patient", settings.default, deadline=None)  # no test is about time
settings.load_profile("patient")

REFERENCE_START, CURRENT_START, END = (
    pd.Timestamp(day, tz="UTC") for day in ("2013-03-01", "2013-04-01", "2013-05-01")
)

SETTINGS = """\
schema_version = 2
name = "small"

[tables.predictions]
path = "data/predictions.parquet"

[tables.outcomes]
path = "data/outcomes.parquet"
"""

MODEL = """\
key: small
name: Small model
description: A model for tests.
owner: Ada
label: {name: late, description: It was late., maturity_days: 1}
decision_threshold: 0.5
loss: brier
segments: [carrier]
versions:
  "1":
    description: The only version.
    features: []
    trained: {start: "2013-01-01", end: "2013-03-01"}
    reference: {start: "2013-03-01", end: "2013-04-01"}
"""

_METRICS = {
    "brier": ("Brier score", "kind: brier, direction: decrease, practical_threshold: 0.005, role: loss"),
    "log_loss": ("Log loss", "kind: log_loss, direction: decrease, practical_threshold: 0.01, role: loss"),
    "auc": ("AUC", "kind: auc, direction: increase, practical_threshold: 0.01, role: quality"),
    "calibration": (
        "Calibration",
        "kind: calibration, unit: share, direction: toward_zero, practical_threshold: 0.02, role: quality",
    ),
    "latency": (
        "Latency",
        "kind: mean, column: latency_ms, unit: ms, direction: decrease, practical_threshold: 1, role: operation",
    ),
    "error_rate": (
        "Error rate",
        "kind: proportion, column: error, unit: share, direction: decrease, practical_threshold: 0.01, role: operation",
    ),
    "temperature": (
        "Temperature",
        "kind: mean, column: temp_f, direction: none, practical_threshold: 1, role: input",
    ),
}
METRICS = "metrics:\n" + "".join(
    f"  {key}: {{name: {name}, description: d, owner: Ada, {rest}}}\n" for key, (name, rest) in _METRICS.items()
)

TEAMS = """\
teams:
  flow:
    name: Flow
    owner: Ada
    capacity_days: 5
    period_days: 14
    models: [small]
    estimates:
      calibration: {effort_days: {low: 2, likely: 3, high: 5}}
"""


@dataclass(frozen=True)
class SmallWorkspace:
    """The workspace and the very frames that its Parquet files hold."""

    workspace: Workspace
    predictions: pd.DataFrame
    outcomes: pd.DataFrame

    @property
    def labelled(self) -> pd.DataFrame:
        """One row per prediction with a label."""
        return self.predictions.merge(self.outcomes, on="request_id")


def write_workspace(
    root: Path, predictions: pd.DataFrame, outcomes: pd.DataFrame, *, max_quarantined_share: float | None = None
) -> SmallWorkspace:
    """Lay a workspace of two tables into `root`."""
    for folder in ("data", "models"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    predictions.to_parquet(root / "data" / "predictions.parquet", index=False)
    outcomes.to_parquet(root / "data" / "outcomes.parquet", index=False)
    for path, text in (
        ("toolkit.toml", limit_quarantine(SETTINGS, max_quarantined_share)),
        ("metrics.yml", METRICS),
        ("models/small.yml", MODEL),
        ("teams.yml", TEAMS),
    ):
        (root / path).write_text(text)
    return SmallWorkspace(open_workspace(root), predictions, outcomes)


def limit_quarantine(settings: str, share: float | None) -> str:
    """Settings in which each table says what share of its rows may be left out."""
    return (
        settings if share is None else settings.replace('.parquet"\n', f'.parquet"\nmax_quarantined_share = {share}\n')
    )


def make_events(
    *, requests: int = 3000, seed: int = 7, gap: float = 0.0, heat: float = 0.0, bad_carrier: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two months of requests; from April on `gap` more positives, `heat` more degrees, one carrier upside down."""
    rng = np.random.default_rng(seed)
    minutes = int((END - REFERENCE_START).total_seconds() // 60)
    occurred_at = REFERENCE_START + pd.to_timedelta(np.sort(rng.integers(0, minutes, requests)), unit="m")
    current = np.asarray(occurred_at >= CURRENT_START)
    score = np.round(rng.beta(2, 5, requests), 3).clip(0.01, 0.99)
    carrier = rng.choice(["A", "B", "C"], requests)
    chance = np.clip(score + gap * current, 0, 1)
    if bad_carrier:
        chance = np.where(current & (carrier == bad_carrier), 1 - chance, chance)
    error = rng.random(requests) < 0.03
    predictions = pd.DataFrame(
        {
            "request_id": [f"r{index:05d}" for index in range(requests)],
            "model": "small",
            "version": "1",
            "occurred_at": occurred_at.astype("datetime64[us, UTC]"),
            "unit_id": [f"u{index:05d}" for index in range(requests)],
            "score": score,
            "latency_ms": rng.gamma(4, 3, requests),
            "error": error,
            "served": current,
            "carrier": carrier,
            "temp_f": rng.normal(50, 5, requests) + heat * current,
        }
    )
    outcomes = pd.DataFrame(
        {
            "request_id": predictions["request_id"],
            "observed_at": predictions["occurred_at"] + pd.Timedelta(hours=3),
            "label": (rng.random(requests) < chance).astype("int8"),
        }
    )[~error].reset_index(drop=True)
    return predictions, outcomes


@pytest.fixture(scope="session", autouse=True)
def _untraced_libraries() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if sys.gettrace() is not None:  # coverage is measured
            leave_ibis_untraced(patch)
        yield


@pytest.fixture
def hearing_ctrl_c() -> Iterator[None]:
    """What a shell has started in the background does not hear Ctrl-C, and hands that on to what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def events() -> tuple[pd.DataFrame, pd.DataFrame]:
    return make_events()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkspace:
    """The workspace without planted changes."""
    return write_workspace(tmp_path_factory.mktemp("small"), *make_events())


_BUILD_PATIENCE_S = 600


@pytest.fixture(scope="session")
def flights_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example workspace, built once for all test processes of a run; to be read only (see `flights_workspace`).

    What was said while it was built lies beside it, in `flights-done`.
    """
    from toolkit.examples import build_flights

    base = tmp_path_factory.getbasetemp()
    if base.name.startswith("popen-"):  # a worker of pytest-xdist: the run's own folder is one above
        base = base.parent
    root, claim, done = base / "flights", base / "flights-claim", base / "flights-done"
    try:
        claim.mkdir()
    except FileExistsError:
        waited = time.monotonic() + _BUILD_PATIENCE_S
        while not done.exists():
            assert time.monotonic() < waited, "the process that builds the example did not finish"
            time.sleep(0.2)
        return root
    root.mkdir()
    said: list[str] = []
    build_flights(root, progress=said.append)
    done.write_text("\n".join(said))
    return root


def copy_flights(root: Path, folder: Path) -> Workspace:
    """A workspace of its own over the same data."""
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns("data", "reports", "ledger"))
    (folder / "data").symlink_to(root / "data")
    return open_workspace(folder)


@pytest.fixture
def flights_workspace(flights_root: Path, tmp_path: Path) -> Workspace:
    """The example workspace with an archive and a ledger of the test's own."""
    return copy_flights(flights_root, tmp_path / "flights")


@pytest.fixture(autouse=True)
def _fresh_journal() -> None:
    JOURNAL.definitions.clear()
    JOURNAL.reads.clear()
    JOURNAL.quarantines.clear()
    JOURNAL.repositories.clear()
