from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from served_months import START, look_at

from toolkit.records import to_document
from toolkit.signals import harmful_shift

JULY = (pd.Timestamp("2013-07-01", tz="UTC") - START).days


def worse_from_july(requests):
    return requests.assign(chance=np.clip(requests["chance"] + 0.5 * (requests["day"] >= JULY), 0, 1))


def worse_in_july(requests):
    during = requests["day"].between(JULY, JULY + 30)
    return requests.assign(chance=np.clip(requests["chance"] + 0.6 * during, 0, 1))


@pytest.fixture(scope="module")
def harmed(tmp_path_factory):
    looked = look_at(tmp_path_factory.mktemp("harmed"), worse_from_july)
    return looked, harmful_shift(looked.source, looked.observed)


def test_a_risk_that_rose_is_an_alarm_with_its_day_and_size(harmed):
    looked, found = harmed
    (signal,) = found.signals
    assert (signal.kind, signal.metric, signal.key) == ("harmful_shift", "brier", "harmful_shift:brier")
    assert abs((found.first_day - date(2013, 7, 1)).days) <= 7
    assert found.first_day <= found.alarm_day <= date(2013, 8, 15)
    assert signal.first_day == found.first_day
    labelled = looked.observed.cells.total("labelled", "current") / looked.observed.weeks
    assert signal.excess_loss_per_week.value == pytest.approx(signal.change.value * labelled)
    assert signal.p_adjusted <= 0.05
    assert found.text.endswith("It lasts.")


def test_the_looks_are_the_days_since_the_reference(harmed):
    _, found = harmed
    assert (found.days[0].day, found.days[-1].day) == (date(2013, 4, 1), date(2013, 9, 29))
    assert len(found.reference_days) == 31
    assert found.tolerance == 0.005


def test_nothing_is_signalled_when_nothing_changed(tmp_path):
    looked = look_at(tmp_path)
    found = harmful_shift(looked.source, looked.observed)
    assert found.signals == ()
    assert found.alarm_day is None
    assert found.text.startswith("In 182 daily looks at the Brier score of version 1 there is no evidence")


def test_what_has_recovered_is_told_and_is_no_signal(tmp_path):
    looked = look_at(tmp_path, worse_in_july)
    found = harmful_shift(looked.source, looked.observed)
    assert found.alarm_day is not None
    assert found.signals == ()
    assert found.text.endswith("It does not last: the current window is back.")


def test_without_labels_it_is_absent_and_said(tmp_path):
    looked = look_at(tmp_path, lambda requests: requests.assign(error=True))
    found = harmful_shift(looked.source, looked.observed)
    assert found.signals == ()
    assert found.text == ("The test for a harmful shift is absent: a bound needs 14 reference days, given: 0.")
    assert found.plot().alt == "no day since the reference period has a loss that can be tested"
    assert found.to_table() == [
        {"test": "harmful shift", "result": "absent: a bound needs 14 reference days, given: 0"}
    ]
    for row in found.to_rows():
        assert (row.value is None) == (row.status == "absent"), row
        assert bool(row.reason) >= (row.status == "absent"), row


def test_results_are_documents_and_pictures_the_same_every_time(harmed):
    looked, found = harmed
    again = harmful_shift(looked.source, looked.observed)
    assert to_document({"shift": found}) == to_document({"shift": again})
    assert found.plot() == again.plot()
    assert f"alarm on {found.alarm_day}" in found.plot().alt
