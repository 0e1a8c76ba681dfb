"""No case of part `signals` is left over: each is answered by an area's functions or listed here with the reason."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from signal_cases import CASES, COMPARED, Function

TESTS = Path(__file__).parents[1]

NOT_OURS = {
    # Optional cases of methods that the toolkit does not have, by kind, and why.
    "energy_distance": "beside Wasserstein's distance it says nothing that an analyst would act on",
    "mmd2_unbiased": "a test on rows, which aggregates do not carry",
    "pca_reconstruction": "needs rows; a changed correlation is found where it costs loss, in segments of two columns",
    "pca_reconstruction_dataset": "as pca_reconstruction; and a peer's data set",
    "cbpe_dataset": "a peer's data set, which does not come with the toolkit",
    "page_hinkley": "an online detector of one series; the toolkit has dated change points and anytime-valid tests",
}


def areas() -> dict[str, dict[str, Function]]:
    found = {}
    for path in sorted(TESTS.glob("*/test_signals_cases_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.stem] = module.FUNCTIONS
    return found


def test_every_case_is_answered_or_listed() -> None:
    answered = {kind for functions in areas().values() for kind in functions}
    left = {
        case["id"]: case["kind"]
        for case in CASES
        if case["role"] in COMPARED and case["kind"] not in answered and case["kind"] not in NOT_OURS
    }
    assert left == {}


def test_what_must_be_ours_is_not_listed_as_anothers() -> None:
    assert not {case["kind"] for case in CASES if case["role"] in {"ours", "peer-wrong"}} & set(NOT_OURS)
    assert set(NOT_OURS) <= {case["kind"] for case in CASES}


def test_two_areas_do_not_answer_one_kind() -> None:
    kinds = [kind for functions in areas().values() for kind in functions]
    assert len(kinds) == len(set(kinds))


def test_every_case_has_a_source_and_a_role() -> None:
    assert all(case["source"] for case in CASES)
    assert {case["role"] for case in CASES} <= {*COMPARED, "status", "context"}
