from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import errors
from toolkit.checks import check_at_least, check_in, nearest
from toolkit.digests import assign_variant, canonical_bytes, digest_bytes, digest_file, document_bytes
from toolkit.errors import ArgumentError, NotReady, ToolkitError, UnknownNameError
from toolkit.windows import Window, format_instant, parse_instant


def leaves(cls):
    below = cls.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [cls]


def test_every_leaf_error_is_also_a_builtin_and_has_a_defined_exit_code():
    for leaf in leaves(ToolkitError):
        assert any(base.__module__ == "builtins" and base is not Exception for base in leaf.__mro__[1:-3]), leaf
        assert leaf.exit_code in {1, 2, 3, 4}


def test_key_errors_print_their_text_not_its_repr():
    assert str(errors.UnknownNameError("it's gone")) == "it's gone"


def test_unknown_name_lists_what_is_allowed():
    with pytest.raises(UnknownNameError) as caught:
        check_in("breir", ["brier", "auc"], noun="metric")
    assert str(caught.value) == "unknown metric 'breir'; allowed: auc, brier. Did you mean 'brier'?"
    with pytest.raises(UnknownNameError, match=r"allowed: none are defined\.$"):
        check_in("x", [], noun="metric")


def test_nearest_ignores_case_and_gives_up_on_strangers():
    assert nearest("EXPERIMENT", ["experiment"]) == "experiment"
    assert nearest("zzz", ["experiment"]) is None


def test_check_at_least_refuses_nan():
    with pytest.raises(ArgumentError):
        check_at_least("n", float("nan"), 0)


instants = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)).flatmap(  # noqa: DTZ001 - naive on purpose: a zone is added, or its lack is refused
    lambda naive: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    )
)


@given(instants)
def test_instants_survive_writing_and_reading(instant):
    assert parse_instant(format_instant(instant)) == instant


@pytest.mark.parametrize("text", ["", "yesterday", "2013-13-01", "2013-05-01T25:00Z", "20130501T"])
def test_what_is_no_instant(text):
    with pytest.raises(ArgumentError, match=r"must be an ISO date or instant in UTC"):
        parse_instant(text)


@given(instants, st.integers(1, 400))
def test_last_days_are_whole_and_end_before(instant, window_days):
    window = Window.last_days(window_days, before=instant)
    assert window.days == window_days
    assert window.end <= instant < window.end + timedelta(days=1)
    assert window.start in window
    assert window.end not in window


def test_empty_and_naive_windows():
    with pytest.raises(ArgumentError, match="empty window: start 2013-05-01T00:00:00Z is not before end"):
        Window.of("2013-05-01", "2013-05-01")
    with pytest.raises(ArgumentError, match="has no time zone"):
        Window(datetime(2013, 1, 1), datetime(2013, 1, 2, tzinfo=UTC))  # noqa: DTZ001 - naive on purpose: a zone is added, or its lack is refused


def test_not_ready_names_the_date():
    window = Window.of("2013-04-01", "2013-05-01")
    window.require_complete(window.end, what="the readout")
    with pytest.raises(NotReady) as caught:
        window.require_complete(datetime(2013, 4, 20, tzinfo=UTC), what="the readout")
    assert str(caught.value) == (
        "the readout needs data up to 2013-05-01T00:00:00Z, and they are complete only up to 2013-04-20T00:00:00Z; "
        "it is ready on 2013-05-01 once that day's data have arrived"
    )
    assert caught.value.ready_on == window.end


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_canonical_bytes_do_not_depend_on_order(value):
    assert canonical_bytes(dict(reversed(value.items()))) == canonical_bytes(value)


def test_floats_are_refused_where_they_would_be_hashed():
    with pytest.raises(ArgumentError) as caught:
        canonical_bytes({"a": [1, {"b": 0.1}]})
    assert str(caught.value) == (
        "value.a[1].b == 0.1: floats have no one canonical text; write the number as a decimal string"
    )
    with pytest.raises(ArgumentError, match="key 1 must be a string"):
        canonical_bytes({1: "a"})


def test_documents_refuse_nan():
    with pytest.raises(ValueError, match="Out of range float values"):
        document_bytes({"a": float("nan")})


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert digest_file(tmp_path / "a") == digest_bytes(b"abc" * 100_000)


@given(st.text(), st.text(), st.integers(0, 1000), st.integers(1, 1000))
def test_assignment_follows_the_published_rule(key, unit_id, first, second):
    bucket = (mmh3.hash(key + unit_id, 0, signed=False) * (first + second)) >> 32
    expected = "a" if bucket < first else "b"
    assert assign_variant(unit_id, {"a": first, "b": second}, key=key) == expected


def test_assignment_shares_are_those_of_the_weights():
    drawn = [assign_variant(f"u{index}", {"a": 1, "b": 3}, key="k") for index in range(20_000)]
    # Four standard errors of a share of 0.25 in 20,000 draws.
    assert drawn.count("a") / len(drawn) == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 20_000) ** 0.5)


def test_assignment_hash_and_version_are_known():
    with pytest.raises(UnknownNameError, match="unknown assignment hash 'flagd'.*flagd-fractional"):
        assign_variant("u", {"a": 1}, key="k", name="flagd")
    with pytest.raises(ArgumentError, match="flagd-fractional has no version 1; known: 2"):
        assign_variant("u", {"a": 1}, key="k", version=1)
    with pytest.raises(ArgumentError, match="must be whole numbers above 0"):
        assign_variant("u", {}, key="k")


def test_facade_names_and_suggestions():
    import toolkit

    for name in toolkit.__all__:
        assert getattr(toolkit, name) is not None
    with pytest.raises(AttributeError, match="unknown name in toolkit 'metric'.*Did you mean 'metrics'"):
        _ = toolkit.metric


def test_import_leaves_the_heavy_libraries_alone():
    code = "import sys, toolkit; print([m for m in ('pandas', 'ibis', 'pydantic', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
