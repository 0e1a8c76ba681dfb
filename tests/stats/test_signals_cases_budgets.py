"""The cases of error budgets, latency quantiles and the maturity of labels."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import pytest
from signal_cases import Inputs, case_of, check_case, keyed

from toolkit import stats
from toolkit.examples.flights_source import source_folder


@cache
def flights() -> pd.DataFrame:
    """The flights of 2013 as they are published."""
    wanted = ["year", "month", "day", "carrier", "dep_time", "arr_delay"]
    raw = pd.read_csv(source_folder() / "flights.csv.zip", usecols=wanted)
    return raw.assign(day=pd.to_datetime(raw[["year", "month", "day"]]).dt.strftime("%Y-%m-%d"))


def time_to_exhaustion(inputs: Inputs) -> float | None:
    found = stats.time_to_exhaustion(
        period_h=inputs["period_h"], burn=inputs["burn"], consumed_share=inputs["consumed_share"]
    )
    return found.hours


def multiwindow_decision(inputs: Inputs) -> Inputs:
    return stats.judge_burns(inputs["burn"])._asdict()


def slo_series(inputs: Inputs) -> Inputs:
    days = flights().groupby("day")["dep_time"].agg(n="size", departed="count")
    days["bad"] = days["n"] - days["departed"]
    allowed = 1 - inputs["slo"]
    burns = {
        day: stats.burn_rate(int(row.bad), int(row.n), allowed_share=allowed).value for day, row in days.iterrows()
    }
    worst = (days["bad"] / days["n"]).nlargest(5)
    return {
        "overall_error_rate": stats.proportion(int(days["bad"].sum()), int(days["n"].sum())).value,
        "days_burn_gt_1": sum(burn > 1 for burn in burns.values()),
        "worst_days": {day: burns[day] * allowed for day in worst.index},
    }


def latency_quantile(inputs: Inputs) -> Inputs:
    assert inputs["interpolation"] == "linear"
    rows = flights().dropna(subset=[inputs["column"]])
    return {
        carrier: stats.quantile(of[inputs["column"]], pd.factorize(of["day"])[0], inputs["q"]).value
        for carrier, of in rows.groupby(inputs["by"])
    }


def label_maturity(inputs: Inputs) -> Inputs:
    ages, arrived = inputs["age_days"], inputs["label_arrived"]
    curve = stats.maturity_curve(ages, arrived, [1 - each for each in arrived])
    return {
        "times": [step.delay for step in curve.steps],
        "share_still_unlabelled": [1 - step.share.value for step in curve.steps],
    }


FUNCTIONS = {
    "time_to_exhaustion_h": time_to_exhaustion,
    "multiwindow_decision": multiwindow_decision,
    "slo_series": slo_series,
    "latency_quantile": latency_quantile,
    "label_maturity_km": label_maturity,
}


@pytest.mark.parametrize("case", keyed(FUNCTIONS))
def test_equals_the_reference(case: dict[str, Any]) -> None:
    check_case(case, FUNCTIONS)


def test_the_decision_is_of_the_rules_that_the_case_names() -> None:
    said = case_of("slo-06-mwmb")["source"]
    page, slower, ticket = stats.BURN_RULES
    assert f"(1h&5m>{page.burn:g}) or (6h&30m>{slower.burn:g}); ticket (3d&6h>{ticket.burn:g})" in said
