"""What people call the columns of the contracts: names that say it, and names that may mean it."""

from __future__ import annotations

from typing import NamedTuple

from toolkit.data.values import words_of


class Names(NamedTuple):
    """Names of one contract column: those that mean it and nothing else, and those that may mean it."""

    clear: str
    likely: str = ""


_REQUESTS = Names(
    "request_id prediction_id event_id inference_id req_id transaction_id uuid guid",
    "id key request case_id order_id loan_id application_id session_id row_id record_id index",
)

NAMES: dict[str, dict[str, Names]] = {
    "predictions": {
        "request_id": _REQUESTS,
        "occurred_at": Names(
            "occurred_at timestamp ts event_time event_timestamp request_time requested_at prediction_time "
            "predicted_at prediction_timestamp scored_at score_time created_at decided_at",
            "time datetime date day created at when prediction_date event_date score_date",
        ),
        "score": Names(
            "score probability proba prob y_pred_proba y_proba y_score pred_proba predicted_probability "
            "prediction_probability prediction_score model_score probability_1 proba_1 p_1",
            "p prediction pred y_pred y_hat yhat predicted confidence risk risk_score likelihood",
        ),
        "unit_id": Names(
            "unit_id user_id customer_id account_id client_id member_id subscriber_id patient_id visitor_id device_id",
            "user customer account client member subscriber patient visitor device uid customer_number",
        ),
        "model": Names("model model_name model_key", "model_id"),
        "version": Names("version model_version", "model_release release"),
        "cluster_id": Names("cluster_id", "cluster"),
        "prediction": Names("prediction"),
        "decision": Names("decision", "predicted_label predicted_class flagged decided approved"),
        "threshold": Names("threshold decision_threshold", "cutoff cut_off"),
        "latency_ms": Names(
            "latency_ms duration_ms response_time_ms response_ms elapsed_ms inference_ms inference_time_ms",
            "latency latency_s latency_seconds latency_us response_time duration duration_s elapsed elapsed_s",
        ),
        "error": Names("error is_error has_error", "failed failure is_failed errored"),
        "error_text": Names("error_text error_message"),
        "cost": Names("cost"),
        "served": Names("served is_served", "shown"),
    },
    "outcomes": {
        "request_id": _REQUESTS,
        "observed_at": Names(
            "observed_at labelled_at labeled_at label_time label_timestamp label_date label_at outcome_at outcome_time "
            "outcome_date outcome_timestamp actual_at observed_on labelled_on labeled_on label_on",
            "timestamp ts time datetime date day created_at updated_at resolved_at closed_at known_at completed_at",
        ),
        "label": Names(
            "label target actual outcome ground_truth true_label y_true truth",
            "y class result actuals observed response converted conversion clicked churned churn defaulted default "
            "fraud is_fraud positive",
        ),
    },
}
"""By table and contract column; of another table only the contract's own names are known."""

WORDS = {("predictions", "score"): {"probability", "proba", "prob", "score", "likelihood"}}
"""Words that say in a longer name what it is, such as late_probability."""

FACTORS = {"us": 0.001, "s": 1000.0, "sec": 1000.0, "seconds": 1000.0}
"""By the last word of a column's name: what its values are multiplied by to be milliseconds."""


def how_named(table: str, column: str, own: str) -> int | None:
    """How well an own column's name says that it is this contract column.

    0 the very name, 1 clear, 2 likely, 3 a word in it says so, None not at all.

    >>> how_named("predictions", "score", "yPredProba"), how_named("predictions", "score", "amount")
    (1, None)
    """
    given = "".join(words_of(own))
    if given == _folded(column):
        return 0
    names = NAMES.get(table, {}).get(column, Names(""))
    for tier, known in ((1, names.clear), (2, names.likely)):
        if given in map(_folded, known.split()):
            return tier
    return 3 if WORDS.get((table, column), set()) & set(words_of(own)) else None


def _folded(name: str) -> str:
    return name.replace("_", "")
