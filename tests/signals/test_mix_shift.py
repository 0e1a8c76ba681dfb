from __future__ import annotations

import numpy as np
import pytest
from served_months import START, look_at

from toolkit.records import to_document
from toolkit.signals import mix_shift

CURRENT_DAYS = 28
FIRST_CURRENT = (np.datetime64("2013-09-02") - np.datetime64(START.date())).astype(int)


def carrier_c_is_slow(requests):
    return requests.assign(latency_ms=requests["latency_ms"] + 20.0 * (requests["carrier"] == "C"))


def more_of_the_slow_one(requests):
    """From the current window on half of the others' requests come from the slow carrier."""
    slow = carrier_c_is_slow(requests)
    moved = (slow["day"] >= FIRST_CURRENT) & (slow["carrier"] != "C") & (np.arange(len(slow)) % 2 == 0)
    return slow.assign(carrier=slow["carrier"].mask(moved, "C"), latency_ms=slow["latency_ms"] + 20.0 * moved)


def all_slower(requests):
    slow = carrier_c_is_slow(requests)
    return slow.assign(latency_ms=slow["latency_ms"] + 6.0 * (slow["day"] >= FIRST_CURRENT))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return look_at(tmp_path_factory.mktemp("mixed"), more_of_the_slow_one)


def split_of(found, key):
    return next(split for split in found.splits if split.key == key)


def test_other_requests_are_told_from_requests_that_went_differently(mixed, tmp_path):
    by_mix, by_within = mix_shift(mixed.observed), mix_shift(look_at(tmp_path, all_slower).observed)
    first, second = split_of(by_mix, "latency"), split_of(by_within, "latency")
    assert first.parts.mix.value == pytest.approx(20 / 3, abs=1)
    assert abs(first.parts.within.value) < 0.5
    assert second.parts.within.value == pytest.approx(6, abs=0.5)
    assert abs(second.parts.mix.value) < 0.5
    assert not second.evident
    assert by_within.signals == ()


def test_the_mix_is_a_signal_with_its_column(mixed):
    found = mix_shift(mixed.observed)
    (signal,) = found.signals
    assert (signal.kind, signal.metric, signal.verdict, signal.family) == ("mix", "latency", "worse", "inputs")
    assert signal.key == "mix:latency"
    assert signal.columns == ("carrier",)
    assert signal.times_threshold == pytest.approx(signal.change.value)
    assert "by the mix of carrier (most: C, " in signal.text
    assert (str(signal.first_day), str(signal.last_day)) == ("2013-09-02", "2013-09-29")


def test_parts_add_up_and_are_those_of_pandas(mixed):
    split = split_of(mix_shift(mixed.observed), "latency")
    rows = mixed.predictions
    day = rows["occurred_at"].dt.strftime("%Y-%m-%d")
    before, after = rows[day < "2013-04-01"], rows[(day >= "2013-09-02") & (day <= "2013-09-29")]
    share = [part["carrier"].value_counts(normalize=True).sort_index() for part in (before, after)]
    mean = [part.groupby("carrier")["latency_ms"].mean() for part in (before, after)]
    mix = ((share[1] - share[0]) * (mean[0] + mean[1]) / 2).sum()
    assert split.parts.mix.value == pytest.approx(mix, abs=1e-9)
    assert split.parts.mix.value + split.parts.within.value == pytest.approx(split.parts.total.value, abs=1e-12)
    assert split.parts.total.value == pytest.approx(after["latency_ms"].mean() - before["latency_ms"].mean(), abs=1e-9)


def test_nothing_is_signalled_when_nothing_changed(tmp_path):
    found = mix_shift(look_at(tmp_path, carrier_c_is_slow).observed)
    assert found.signals == ()
    assert found.text == (
        "6 splits of changes by segmentation. In none did the mix move a metric by its practical threshold: what "
        "changed, changed within."
    )


def test_what_is_no_mean_of_requests_is_listed_with_its_reason(mixed):
    found = mix_shift(mixed.observed)
    assert found.absent == (("auc", "AUC", "it is no mean of requests"),)
    assert [row.reason for row in found.to_rows() if row.status == "absent"] == ["it is no mean of requests"]


def test_without_segments_nothing_is_split_and_it_is_said(tmp_path):
    found = mix_shift(look_at(tmp_path, lambda requests: requests.assign(carrier="A")).observed)
    assert found.splits == ()
    assert "Latency: the model has no segment column of more than one value" in found.text
    assert found.plot().alt == "no change could be split"


def test_results_are_documents_and_pictures_the_same_every_time(mixed):
    found, again = mix_shift(mixed.observed), mix_shift(mixed.observed)
    assert to_document({"mix": found}) == to_document({"mix": again})
    assert found.plot() == again.plot()
    assert found.plot().alt.startswith("Mix and within, in practical thresholds: Latency by carrier +")
    assert found.to_table()[0]["most_by"] == "C"
