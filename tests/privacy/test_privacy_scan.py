from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat.v4 as nbf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from near_misses import WRITTEN, drawn
from planted_data import CONTEXTS, Planted, plant

from toolkit.privacy import KINDS, Hit, scan_outputs, scan_text, short_digest
from toolkit.privacy.texts import readings, split_colours

CASES = json.loads((Path(__file__).parents[1] / "reference" / "privacy_cases.json").read_text(encoding="utf-8"))


def found(text: str) -> list[tuple[str, str]]:
    return [(hit.kind, hit.value) for hit in scan_text(text)]


@pytest.fixture(scope="module")
def planted() -> list[Planted]:
    return plant(seed=20260101, rounds=110)


def test_planted_data_are_found_whatever_their_spelling_and_context(planted: list[Planted]) -> None:
    missed = [each for each in planted if (each.kind, each.value) not in found(each.text)]
    assert len(planted) == 2200
    assert {each.kind for each in planted} == set(KINDS)
    assert {each.context for each in planted} == set(CONTEXTS)
    assert 1 - len(missed) / len(planted) >= 0.99, missed[:5]
    worst = Counter(each.kind for each in missed)
    assert all(count / (len(planted) / len(KINDS)) <= 0.01 for count in worst.values()), worst


def test_nothing_else_is_found_beside_what_was_planted(planted: list[Planted]) -> None:
    more = [(each, more) for each in planted if (more := set(found(each.text)) - {(each.kind, each.value)})]
    assert more == []


def test_planted_data_are_found_in_a_notebook_that_holds_all_of_them(planted: list[Planted]) -> None:
    cells = []
    for start in range(0, len(planted), 100):
        outputs = [output_of(each, number) for number, each in enumerate(planted[start : start + 100])]
        cells.append(nbf.new_code_cell("", outputs=outputs))
    hits = {(hit.where, hit.kind, hit.value) for hit in scan_outputs(nbf.new_notebook(cells=cells))}
    wanted = [(f"code cell {number // 100 + 1}, output", each.kind, each.value) for number, each in enumerate(planted)]
    assert sum(each in hits for each in wanted) / len(wanted) >= 0.99


def output_of(each: Planted, number: int) -> Any:
    """The planted text as an output of one sort or another, by its number."""
    match number % 5:
        case 0:
            return nbf.new_output("stream", name=f"stream {number}", text=each.text)
        case 1:
            return nbf.new_output("error", ename="ValueError", evalue="no", traceback=["-----", each.text])
        case 2:
            return nbf.new_output(
                "display_data", data={"application/json": {"rows": [{"n": number, "who": each.text}]}}
            )
        case 3:
            return nbf.new_output("execute_result", data={"text/html": each.text, "text/plain": "<table>"})
        case _:
            return nbf.new_output("display_data", data={"text/markdown": each.text})


@pytest.mark.parametrize("text", WRITTEN, ids=lambda text: text[:30])
def test_a_near_miss_is_no_hit(text: str) -> None:
    assert found(text) == []


def test_random_numbers_identifiers_and_tables_are_no_hits() -> None:
    texts = drawn(seed=7, rounds=1100)
    assert [(text, hits) for text in texts if (hits := found(text))] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
def test_published_examples_are_found_and_their_spoilt_twins_are_not(case: dict[str, Any]) -> None:
    assert [value for value in case["found"] if [kind for kind, _ in found(f"x {value} y")] != [case["kind"]]] == []
    assert [value for value in case["not_found"] if found(f"x {value} y")] == []


def test_every_published_iban_fails_with_any_other_check_digits() -> None:
    for iban in CASES[0]["found"]:
        others = [f"{iban[:2]}{check:02d}{iban[4:]}" for check in range(100) if f"{check:02d}" != iban[2:4]]
        assert [each for each in others if ("iban", each) in found(each) and 2 <= int(each[2:4]) <= 98] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｏｒｇ", "jane@example.org"),
        ("j\u200ba\u00adne@exam\u2060ple.org", "jane@example.org"),
        ("jane%40example.org", "jane@example.org"),
        (r"jane\u0040example.org", "jane@example.org"),
        ("jane&commat;example&period;org", "jane@example.org"),
        ("<a href=mailto:jane@example.org?subject=x>Jane</a>", "jane@example.org"),
        ("<a href='mailto:jane%40example.org'>Jane</a>", "jane@example.org"),
        ("<!-- jane@example.org -->", "jane@example.org"),
        ("<script>const who = 'jane@example.org';</script>", "jane@example.org"),
        ("<svg><text>jane@<tspan>example.org</tspan></text></svg>", "jane@example.org"),
        ("<style>.a{}</style>jane@example.org", "jane@example.org"),
        ("<style>.a{} jane@example.org", "jane@example.org"),
        ("Jane <jane@example.org>, 3", "jane@example.org"),
        ("_jane@example.org_ and [jane](mailto:jane@example.org)", "jane@example.org"),
        ("user=jane@example.org;n=3", "jane@example.org"),
        ("jane@example.org.", "jane@example.org"),
        ("\x1b[31mjane\x1b[0m@\x1b[1mexample.org\x1b[0m", "jane@example.org"),
        (r"\x1b[31mjane\x1b[0m@example.org", "jane@example.org"),
        ("josé@example.org jose\u0301@example.org", "jose@example.org"),
    ],
)
def test_an_address_is_found_through_its_disguise(text: str, value: str) -> None:
    assert set(found(text)) in ({("email", value)}, {("email", f"_{value}"), ("email", value)})


def test_what_a_tag_cuts_is_whole_and_what_it_separates_is_apart() -> None:
    assert found("<p>4111<b>1111</b>11111111</p>") == [("card", "4111111111111111")]
    assert found("<span>4111111111111111</span><span>2</span>") == [("card", "4111111111111111")]
    assert found("<td>41111111</td><td>11111111</td>") == []


def test_each_value_is_counted_once_for_each_time_it_stands_there() -> None:
    (hit,) = scan_text("jane@example.org, <b>jane</b>@example.org, JANE@example.org")
    assert hit.count == 3
    assert str(hit) == f"text: e-mail address j…@e….org, 3 times ({hit.digest})"


def test_no_value_is_taken_for_two_kinds() -> None:
    assert found("DE89 3704 0044 0532 0130 00") == [("iban", "DE89370400440532013000")]
    assert found("pay 5105 1051 0510 5100 now") == [("card", "5105105105105100")]
    assert found("+1 (212) 555-0123") == [("phone", "+12125550123")]


def test_a_hit_never_shows_its_value() -> None:
    text = "jane@example.org al@xy.org DE89370400440532013000 4111111111111111 +44 20 7946 0018 203.0.113.7 2001:db8::7"
    hits = scan_text(text)
    assert [hit.masked for hit in hits] == ["j…@e….org", "…@….org", "DE…00", "4…1111", "203.…", "2001:…", "+44…18"]
    for hit in hits:
        assert hit.value not in repr(hit)
        assert hit.value not in str(hit)
        assert hit.value not in str(Hit(**{**vars(hit), "count": 2}))
        assert hit.digest == short_digest(hit.kind, hit.value)


def test_a_short_digest_names_many_values_at_once() -> None:
    """A phone number cannot be found again from its digest: some other number has the same."""
    digests = Counter(short_digest("phone", f"+4930{number:08d}") for number in range(40_000))
    assert max(digests.values()) > 1
    assert len(digests) > 39_900


def notebook(*outputs: Any, source: str = "", tags: tuple[str, ...] = ()) -> Any:
    cells = [
        nbf.new_markdown_cell("ask jane@example.org"),
        nbf.new_code_cell("# jane@example.org"),
        nbf.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)}),
    ]
    return nbf.new_notebook(cells=cells)


def test_outputs_of_every_sort_are_read() -> None:
    def wheres(*outputs: Any) -> list[str]:
        return [hit.where for hit in scan_outputs(notebook(*outputs)) if hit.value == "jane@example.org"]

    value, here = "jane@example.org", ["code cell 2, output"]
    assert wheres() == []
    assert wheres(nbf.new_output("stream", name="stderr", text=f"a {value}")) == here
    assert wheres(nbf.new_output("error", ename="KeyError", evalue=repr(value), traceback=[])) == here
    assert wheres(nbf.new_output("error", ename="E", evalue="", traceback=["a", f"\x1b[1m{value}\x1b[0m"])) == here
    for media_type in ("text/plain", "text/html", "text/latex", "image/svg+xml", "application/javascript"):
        assert wheres(nbf.new_output("display_data", data={media_type: f"<i>{value}</i>"})) == here
    for media_type in ("application/json", "application/vnd.vegalite.v5+json"):
        assert wheres(nbf.new_output("display_data", data={media_type: {"a": [{"b": value}, 3]}})) == here
        assert wheres(nbf.new_output("display_data", data={media_type: {value: None}})) == here
    assert wheres(nbf.new_output("display_data", data={"application/json": ["jane@exa", "mple.org"]})) == []
    for media_type in ("image/png", "application/pdf"):
        assert wheres(nbf.new_output("display_data", data={media_type: value})) == []


def test_a_value_printed_in_pieces_is_found() -> None:
    pieces = [
        nbf.new_output("stream", name="stdout", text="jane@exa"),
        nbf.new_output("stream", name="stderr", text="…"),
        nbf.new_output("stream", name="stdout", text="mple.org\n"),
    ]
    assert [hit.value for hit in scan_outputs(notebook(*pieces))] == ["jane@example.org"]


def test_lines_as_a_file_keeps_them_and_data_that_nbformat_would_refuse_are_read() -> None:
    held = json.loads(json.dumps(notebook(nbf.new_output("stream", name="stdout", text="?"))))
    held["cells"][2]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": ["jane@exa", "mple.org\n"]},
        {"output_type": "display_data", "data": {"text/html": ["<b>ada@exa", "mple.org</b>"]}},
        {"output_type": "display_data", "data": {"application/x-own": {"who": ["bob@example.org"]}}},
    ]
    found = {hit.value for hit in scan_outputs(held)}
    assert found == {"jane@example.org", "ada@example.org", "bob@example.org"}


def test_injected_parameters_widgets_and_rows_are_read_and_other_sources_are_not() -> None:
    held = notebook(source='owner = "ada@example.org"', tags=("injected-parameters",))
    held.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {"a": {"value": "b@example.org"}}}
    }
    rows = [
        {"record": "plan", "value": 4111111111111111, "reason": ""},
        {"record": "plan", "value": None, "reason": "asked by c@example.org", "more": {"by": ["d@example.org"]}},
    ]
    assert [(hit.where, hit.value) for hit in scan_outputs(held, {"rows": rows})] == [
        ("injected parameters", "ada@example.org"),
        ("state of the widgets", "b@example.org"),
        ("results.json row 2 reason", "c@example.org"),
        ("results.json row 2 more", "d@example.org"),
    ]


def test_a_notebook_without_outputs_has_nothing() -> None:
    assert scan_outputs(nbf.new_notebook()) == ()
    assert scan_outputs(notebook(), {"rows": []}) == ()


ADVERSARIES = [
    "a", "1", "0", "@", "+", "(", "<", "&", ".", ":", "é", "+49 ", "a@", "a@a.", "a@a.aa ", "@a.", "0171 ", "00 49 ",
    "(01) ", "01 ", "DE89 ", "4111 ", "2001:", "1.", "10.0.0.1 ", "9-", "tel ", "<a", "<style", "<b>", "&#64;", "\x1b[",
    r"\u00", "base64,", "+49(", "1 (", "a.b@c-", "<a href='", "data:x;base64,A",
]  # fmt: skip  # its lines group what belongs together


@pytest.mark.parametrize("unit", ADVERSARIES)
def test_a_large_text_of_anything_comes_to_an_end(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert len(scan_text(f"{text} \n<p>jane@example.org</p>")) <= 2


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text_can_be_scanned(text: str) -> None:
    for hit in scan_text(text):
        assert hit.count >= 1
        assert hit.value not in str(hit)


@given(st.text("ab[;m0\x1b1\\xe", max_size=80))
def test_colours_can_be_put_back_where_they_were(text: str) -> None:
    plain, colours = split_colours(text)
    for at, colour in reversed(colours):
        plain = plain[:at] + colour + plain[at:]
    assert plain == text


def test_a_plain_text_has_one_reading_and_a_tagged_one_up_to_three() -> None:
    assert readings("p < 0.05 and 3 > 2") == ("p < 0.05 and 3 > 2", "", "")
    assert readings("<td>1</td>") == ("\n1\n", "", "<td>\n</td>")
    assert readings("<b>1</b>") == ("1", "\n1\n", "<b>\n</b>")
