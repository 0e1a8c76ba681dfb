"""A larger trial with a past, segments, a covariate, feedback and deployments, and 23 ways in which it goes wrong.

Each fault is one that real experiments have had, from the taxonomy of assignment, execution, log processing, analysis
and interference; it changes the events and nothing else, and names the cause that should be found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import mmh3
import numpy as np
import pandas as pd
from experiment_trial import END, PLAN, START, Trial, make_trial

from toolkit.digests import assign_variant
from toolkit.workspace import Workspace, open_workspace

HALVES = {"control": 50, "treatment": 50}
DAY = pd.Timedelta(days=1)
LOST_DAY = START + 6 * DAY
TABLES = """
[tables.feedback]
path = "data/feedback.parquet"

[tables.deployments]
path = "data/deployments.parquet"
"""
WATCHED_PLAN = PLAN.replace(
    "sample_ratio_alpha: 0.001\n",
    "sample_ratio_alpha: 0.001\nsegments: [platform]\ncovariates:\n  - {column: distance}\n",
)


@dataclass(frozen=True)
class WatchedTrial(Trial):
    """A trial with the tables beside it."""

    feedback: pd.DataFrame = field(default_factory=pd.DataFrame)
    deployments: pd.DataFrame = field(default_factory=pd.DataFrame)

    def write(self, root: Path) -> Workspace:
        """Lay the workspace into `root`."""
        (root / "data").mkdir(parents=True, exist_ok=True)
        for name in ("feedback", "deployments"):
            getattr(self, name).to_parquet(root / "data" / f"{name}.parquet", index=False)
        super().write(root)
        settings = root / "toolkit.toml"
        settings.write_text(settings.read_text() + TABLES)
        return open_workspace(root)

    def without(self, table: str, rows: Any) -> WatchedTrial:
        """The trial without some rows of a table."""
        frame = getattr(self, table)
        return replace(self, **{table: frame[~rows].reset_index(drop=True)})

    def changed(self, table: str, rows: Any, **columns: Any) -> WatchedTrial:
        """The trial with other values in some rows of a table."""
        frame = getattr(self, table).copy()
        for name, values in columns.items():
            frame.loc[rows, name] = values
        return replace(self, **{table: frame})

    @property
    def variant_of(self) -> pd.Series:
        """The variant of each exposed unit."""
        return self.exposures.drop_duplicates("unit_id").set_index("unit_id")["variant"]


def make_watched_trial(*, units: int = 6000, seed: int = 7) -> WatchedTrial:
    """A healthy trial: units of three platforms that were there before, and come back up to five times."""
    trial = make_trial(units=units, most_requests=5, gain=0.1, seed=seed)
    rng = np.random.default_rng(seed + 1)
    names = trial.predictions["unit_id"].unique()
    about = pd.DataFrame(
        {
            "unit_id": names,
            "platform": rng.choice(["web", "ios", "android"], len(names), p=[0.5, 0.3, 0.2]),
            "distance": rng.gamma(3, 100, len(names)),
        }
    )
    predictions = trial.predictions.merge(about, on="unit_id")
    past = _past(predictions, rng)
    outcomes = pd.DataFrame(
        {
            "request_id": past["request_id"],
            "observed_at": past["occurred_at"] + pd.Timedelta(hours=3),
            "label": (rng.random(len(past)) < past["score"]).astype("int8"),
        }
    )
    told = rng.choice(names, len(names) // 50, replace=False)
    feedback = pd.DataFrame(
        {
            "feedback_id": [f"f{index:04d}" for index in range(len(told))],
            "occurred_at": START + 14 * DAY - pd.to_timedelta(rng.integers(1, 600, len(told)), unit="m"),
            "unit_id": told,
            "category": rng.choice(["wrong", "slow"], len(told)),
        }
    )
    deployments = pd.DataFrame(
        {"occurred_at": [LOST_DAY + pd.Timedelta(hours=9)], "model": ["eta"], "version": ["2"], "kind": ["deploy"]}
    )
    return WatchedTrial(
        _instants(pd.concat([predictions, past], ignore_index=True)),
        _instants(pd.concat([trial.outcomes, outcomes], ignore_index=True)),
        _instants(trial.exposures),
        WATCHED_PLAN,
        _instants(feedback),
        _instants(deployments),
    )


def _past(predictions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Requests of two thirds of the units in the four weeks before, served by version 1."""
    base = predictions[predictions["version"] == "1"]
    base = base[base["unit_id"].isin(rng.choice(base["unit_id"].unique(), 2 * base["unit_id"].nunique() // 3, False))]
    before = pd.to_timedelta(rng.integers(1, 28 * 24 * 60, len(base)), unit="m")
    return base.assign(request_id="p" + base["request_id"], occurred_at=START - before, served=True, error=False)


def _instants(frame: pd.DataFrame) -> pd.DataFrame:
    named = [name for name in ("occurred_at", "observed_at", "exposed_at") if name in frame]
    return frame.assign(**{name: frame[name].astype("datetime64[us, UTC]") for name in named})


def _chosen(names: pd.Series, share: float, *, key: str) -> pd.Series:
    """A share of units that hangs on nothing else, the same in every run."""
    return names.map(lambda name: mmh3.hash(key + name, 0, signed=False) / 2**32) < share


def _served_to(trial: WatchedTrial, variant: str) -> pd.Series:
    """The served requests, in the window or later, of the units of a variant."""
    rows = trial.predictions
    return rows["served"] & (rows["occurred_at"] >= START) & (rows["unit_id"].map(trial.variant_of) == variant)


def _exposed_to(trial: WatchedTrial, variant: str) -> pd.Series:
    return trial.exposures["variant"] == variant


def _reassigned(trial: WatchedTrial, assign: Callable[[str, pd.Timestamp], str]) -> WatchedTrial:
    """Other variants by unit and its first exposure, and the versions that follow from them."""
    seen = trial.exposures
    variants = [assign(unit, at) for unit, at in zip(seen["unit_id"], seen["exposed_at"], strict=True)]
    exposures = seen.assign(variant=variants)
    version = pd.Series(variants, seen["unit_id"]).map({"control": "1", "treatment": "2"})
    rows = trial.predictions
    own = rows["unit_id"].map(version)
    inside = (rows["occurred_at"] >= START) & own.notna()
    served = rows["served"].where(~inside, rows["version"] == own)
    return replace(trial, exposures=exposures, predictions=rows.assign(served=served))


def _bucket(unit: str, key: str = "eta-v2") -> float:
    return mmh3.hash(key + unit, 0, signed=False) / 2**32


# --- Assignment ---


def biased_hash(trial: WatchedTrial) -> WatchedTrial:
    """A home-made hash, whose buckets are not even."""
    return _reassigned(trial, lambda unit, _: ("control", "treatment")[_bucket(unit, "other") > 0.54])


def other_weights(trial: WatchedTrial) -> WatchedTrial:
    """The flag has 56 : 44 where the plan says 50 : 50."""
    return _reassigned(trial, lambda unit, _: assign_variant(unit, {"control": 56, "treatment": 44}, key="eta-v2"))


def other_key(trial: WatchedTrial) -> WatchedTrial:
    """The flag hashes with the key of another experiment."""
    return _reassigned(trial, lambda unit, _: assign_variant(unit, HALVES, key="eta-v1"))


def ramp_up(trial: WatchedTrial) -> WatchedTrial:
    """The weights are 80 : 20 until the sixth day."""
    early = {"control": 80, "treatment": 20}
    return _reassigned(trial, lambda unit, at: assign_variant(unit, HALVES if at >= LOST_DAY else early, key="eta-v2"))


def segment_unassigned(trial: WatchedTrial) -> WatchedTrial:
    """Android clients do not know the flag and show the control."""
    platform = trial.predictions.drop_duplicates("unit_id").set_index("unit_id")["platform"]
    known = trial.variant_of
    return _reassigned(trial, lambda unit, _: "control" if platform[unit] == "android" else known[unit])


def carry_over(trial: WatchedTrial) -> WatchedTrial:
    """An earlier experiment with the same assignment made version 1 worse for those who are now in the treatment."""
    rows = trial.predictions
    hurt = (rows["occurred_at"] < START) & (rows["unit_id"].map(trial.variant_of) == "treatment")
    return trial.changed("predictions", hurt, latency_ms=rows["latency_ms"] + 4)


# --- Exposure and execution ---


def slow_redirect(trial: WatchedTrial) -> WatchedTrial:
    """12 % of those who are sent to the treatment leave before anything is logged."""
    gone = _exposed_to(trial, "treatment") & _chosen(trial.exposures["unit_id"], 0.12, key="slow")
    units = trial.exposures.loc[gone, "unit_id"]
    inside = trial.predictions["unit_id"].isin(units) & (trial.predictions["occurred_at"] >= START)
    return trial.without("exposures", gone).without("predictions", inside)


def crash(trial: WatchedTrial) -> WatchedTrial:
    """The treatment crashes for one unit in twelve, and for as many more it answers with errors."""
    ours = _served_to(trial, "treatment")
    units = trial.predictions["unit_id"]
    failing = trial.changed("predictions", ours & _chosen(units, 0.08, key="failing"), error=True)
    return failing.without(
        "predictions", ours & _chosen(units, 0.08, key="crash") & ~_chosen(units, 0.08, key="failing")
    )


def late_logging(trial: WatchedTrial) -> WatchedTrial:
    """Exposures to the treatment are logged when the page is closed, some minutes later."""
    late = _exposed_to(trial, "treatment") & _chosen(trial.exposures["unit_id"], 0.6, key="late")
    after = trial.exposures["exposed_at"] + pd.to_timedelta(np.arange(len(late)) % 50 + 3, unit="m")
    return trial.changed("exposures", late, exposed_at=after)


def outcome_triggered(trial: WatchedTrial) -> WatchedTrial:
    """Exposure to the treatment is logged with the outcome, and only where it was a yes."""
    rows = trial.predictions[trial.predictions["served"] & (trial.predictions["occurred_at"] >= START)]
    first = (
        rows.sort_values("occurred_at").drop_duplicates("unit_id").merge(trial.outcomes, on="request_id", how="left")
    )
    first = first.set_index("unit_id")
    ours = _exposed_to(trial, "treatment")
    units = trial.exposures["unit_id"]
    later = trial.changed("exposures", ours, exposed_at=units.map(first["observed_at"]))
    return later.without("exposures", ours & (units.map(first["label"]) != 1))


def both_logged(trial: WatchedTrial) -> WatchedTrial:
    """The page logs an exposure for each variant that it holds, for 6 % of units."""
    twice = trial.exposures[_chosen(trial.exposures["unit_id"], 0.06, key="both")]
    other = twice.assign(variant=twice["variant"].map({"control": "treatment", "treatment": "control"}))
    return replace(trial, exposures=pd.concat([trial.exposures, other], ignore_index=True))


def cached_variant(trial: WatchedTrial) -> WatchedTrial:
    """A cache hands 8 % of units another unit's variant on their second visit."""
    units = _chosen(trial.exposures["unit_id"], 0.08, key="cache")
    rows = trial.predictions[trial.predictions["served"] & (trial.predictions["occurred_at"] >= START)]
    second = rows.sort_values("occurred_at").groupby("unit_id").nth(1)
    at = second.set_index("unit_id")["occurred_at"]
    again = trial.exposures[units & trial.exposures["unit_id"].isin(at[at < END].index)]
    again = again.assign(
        variant=again["variant"].map({"control": "treatment", "treatment": "control"}),
        exposed_at=again["unit_id"].map(at),
    )
    requests = second.loc[second["unit_id"].isin(again["unit_id"]), "request_id"]
    swapped = trial.predictions["request_id"].isin(requests)
    served = trial.predictions["served"]
    return replace(
        trial.changed("predictions", swapped, served=~served),
        exposures=pd.concat([trial.exposures, again], ignore_index=True),
    )


def wrong_route(trial: WatchedTrial) -> WatchedTrial:
    """From a deployment on, one request in ten of the treatment is answered by version 1."""
    rows = trial.predictions
    ours = (rows["unit_id"].map(trial.variant_of) == "treatment") & (rows["occurred_at"] >= LOST_DAY)
    swapped = ours & _chosen(rows["request_id"], 0.1, key="route")
    return trial.changed("predictions", swapped, served=~rows["served"])


def changed_ids(trial: WatchedTrial) -> WatchedTrial:
    """The treatment's page loses its cookie: for a fifth of its units every request is a unit of its own."""
    churned = trial.exposures["unit_id"].where(_chosen(trial.exposures["unit_id"], 0.2, key="churn"))
    churned = set(churned[_exposed_to(trial, "treatment")].dropna())
    rows = trial.predictions
    theirs = rows["unit_id"].isin(churned) & (rows["occurred_at"] >= START) & rows["served"]
    predictions = rows.assign(unit_id=rows["unit_id"].where(~theirs, "n" + rows["request_id"]))
    new = predictions[theirs & (predictions["occurred_at"] < END)]
    exposures = new[["unit_id"]].assign(experiment="eta-v2", variant="treatment", exposed_at=new["occurred_at"])
    kept = trial.exposures[~trial.exposures["unit_id"].isin(churned)]
    return replace(trial, predictions=predictions, exposures=pd.concat([kept, exposures], ignore_index=True))


# --- Log processing ---


def lost_day(trial: WatchedTrial) -> WatchedTrial:
    """A day's log of the treatment's requests is lost."""
    rows = trial.predictions
    day = (rows["occurred_at"] >= LOST_DAY) & (rows["occurred_at"] < LOST_DAY + DAY)
    return trial.without("predictions", _served_to(trial, "treatment") & day)


def logged_twice(trial: WatchedTrial) -> WatchedTrial:
    """A retry writes three in ten of the treatment's requests again, under a new id."""
    again = trial.predictions[
        _served_to(trial, "treatment") & _chosen(trial.predictions["request_id"], 0.3, key="twice")
    ]
    labels = trial.outcomes[trial.outcomes["request_id"].isin(again["request_id"])]
    return replace(
        trial,
        predictions=pd.concat(
            [trial.predictions, again.assign(request_id="d" + again["request_id"])], ignore_index=True
        ),
        outcomes=pd.concat([trial.outcomes, labels.assign(request_id="d" + labels["request_id"])], ignore_index=True),
    )


def clock_shift(trial: WatchedTrial) -> WatchedTrial:
    """The treatment's exposures are logged in local time, two hours ahead."""
    at = trial.exposures["exposed_at"] + pd.Timedelta(hours=2)
    return trial.changed("exposures", _exposed_to(trial, "treatment"), exposed_at=at)


def null_column(trial: WatchedTrial) -> WatchedTrial:
    """After a deployment the treatment does not log its latency for two requests in five."""
    rows = trial.predictions
    later = rows["occurred_at"] >= LOST_DAY
    lost = _served_to(trial, "treatment") & later & _chosen(rows["request_id"], 0.4, key="null")
    return trial.changed("predictions", lost, latency_ms=np.nan)


def filtered_bots(trial: WatchedTrial) -> WatchedTrial:
    """A bot filter in the treatment's pipeline throws the busiest units out."""
    rows = trial.predictions
    inside = rows[rows["served"] & (rows["occurred_at"] >= START) & (rows["occurred_at"] < END)]
    busy = inside.groupby("unit_id").size()
    busy = set(busy[busy >= 4].index) & set(trial.exposures.loc[_exposed_to(trial, "treatment"), "unit_id"])
    theirs = rows["unit_id"].isin(busy) & (rows["occurred_at"] >= START)
    return trial.without("exposures", trial.exposures["unit_id"].isin(busy)).without("predictions", theirs)


def lost_exposures(trial: WatchedTrial) -> WatchedTrial:
    """The treatment's exposure events are dropped for a tenth of its units; their requests are there."""
    gone = _exposed_to(trial, "treatment") & _chosen(trial.exposures["unit_id"], 0.1, key="dropped")
    return trial.without("exposures", gone)


# --- Analysis ---


def label_join_loss(trial: WatchedTrial) -> WatchedTrial:
    """The treatment's request ids are written in another form, so that a twentieth of labels finds no request."""
    rows = trial.predictions
    ours = rows.loc[_served_to(trial, "treatment"), "request_id"]
    lost = trial.outcomes["request_id"].isin(ours) & _chosen(trial.outcomes["request_id"], 0.05, key="join")
    return trial.without("outcomes", lost)


def covariate_missing(trial: WatchedTrial) -> WatchedTrial:
    """The treatment's client does not send the distance for a quarter of its units."""
    rows = trial.predictions
    lost = _served_to(trial, "treatment") & _chosen(rows["unit_id"], 0.25, key="distance")
    return trial.changed("predictions", lost, distance=np.nan)


# --- Interference ---


def interaction(trial: WatchedTrial) -> WatchedTrial:
    """Another experiment on the same units takes the treatment's gain away, and more, in its own treatment."""
    seen = trial.exposures
    other = seen.assign(
        experiment="banner", variant=[assign_variant(unit, HALVES, key="banner") for unit in seen["unit_id"]]
    )
    hit = other.set_index("unit_id")["variant"] == "treatment"
    rows = trial.predictions
    worse = _served_to(trial, "treatment") & rows["unit_id"].map(hit).fillna(False).astype(bool)
    labels = rows["request_id"].map(trial.outcomes.set_index("request_id")["label"])
    score = rows["score"].where(labels.isna(), 0.5 * rows["score"] + 0.5 * (1 - labels))
    return replace(
        trial.changed("predictions", worse, score=score), exposures=pd.concat([seen, other], ignore_index=True)
    )


class Fault(NamedTuple):
    """A way to go wrong, its stage, and the causes that name it."""

    inject: Callable[[WatchedTrial], WatchedTrial]
    stage: str
    causes: tuple[str, ...]


FAULTS = {
    "biased hash": Fault(biased_hash, "assignment", ("biased_hash",)),
    "other weights": Fault(other_weights, "assignment", ("other_weights",)),
    "other key": Fault(other_key, "assignment", ("other_key",)),
    "ramp-up midway": Fault(ramp_up, "assignment", ("ramp_up",)),
    "segment not assigned": Fault(segment_unassigned, "assignment", ("segment_unassigned",)),
    "carry-over": Fault(carry_over, "assignment", ("carry_over",)),
    "slow redirect": Fault(slow_redirect, "execution", ("lost_before_logging",)),
    "crash in treatment": Fault(crash, "execution", ("crash",)),
    "exposure logged late": Fault(late_logging, "execution", ("late_logging",)),
    "exposure by outcome": Fault(outcome_triggered, "execution", ("outcome_triggered",)),
    "both variants logged": Fault(both_logged, "execution", ("both_logged",)),
    "cached variant": Fault(cached_variant, "execution", ("cached_variant",)),
    "wrong version served": Fault(wrong_route, "execution", ("wrong_route",)),
    "unit ids change": Fault(changed_ids, "execution", ("changed_ids",)),
    "lost day": Fault(lost_day, "log processing", ("lost_day",)),
    "logged twice": Fault(logged_twice, "log processing", ("logged_twice",)),
    "clock in another zone": Fault(clock_shift, "log processing", ("clock_shift",)),
    "null column": Fault(null_column, "log processing", ("null_column",)),
    "filtered bots": Fault(filtered_bots, "log processing", ("filtered_units",)),
    "lost exposures": Fault(lost_exposures, "log processing", ("lost_exposures",)),
    "labels lost in the join": Fault(label_join_loss, "analysis", ("label_join_loss",)),
    "covariate missing": Fault(covariate_missing, "analysis", ("covariate_missing",)),
    "other experiment": Fault(interaction, "interference", ("interaction",)),
}
"""By name; every one with the cause that must be among the first three."""
