from __future__ import annotations

import base64
import html
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import nbformat.v4 as nbf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ArgumentError
from toolkit.privacy import Redacted, Redactor, machine_places

PLACES = [
    (".", Path("/home/ada/projects/flights")),
    ("<run>", Path("/home/ada/projects/flights/reports/.staging/run1")),
    ("<toolkit>", Path("/srv/toolkit")),
    ("<python>", Path("/home/ada/.venvs/flights")),
    ("<temp>", Path("/tmp")),
    ("~", Path("/home/ada")),
]
SECRET = 'hunter2 & "Söhne"/\\'
REDACTOR = Redactor(PLACES, {"DB_PASSWORD": SECRET})


def redact(text: str) -> str:
    return REDACTOR.redact_text(text)[0]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        # the longest place wins
        ("/home/ada/projects/flights/data/a.parquet", "./data/a.parquet"),
        ("/home/ada/projects/flights", "."),
        ("/home/ada/projects/flights/reports/.staging/run1/x.png", "<run>/x.png"),
        ("/home/ada/projects/other/x", "~/projects/other/x"),
        ("/home/ada/.venvs/flights/lib/python3.11/json/x.py", "<python>/lib/python3.11/json/x.py"),
        ("/srv/toolkit/toolkit/records.py", "<toolkit>/toolkit/records.py"),
        ("/home/ada", "~"),
        # a name that only begins alike is another one
        ("/home/ada/projects/flights2/x", "~/projects/flights2/x"),
        ("/home/ada/projects/flights.bak", "~/projects/flights.bak"),
        ("/home/adam/x", "~/x"),
        ("/home/ada.lovelace/x, /home/ada-2/y", "~/x, ~/y"),
        ("/srv/toolkits/a, /srv/toolkit-2/a", "/srv/toolkits/a, /srv/toolkit-2/a"),
        # what comes before it
        ("-I/srv/toolkit/include PATH=/usr/bin:/srv/toolkit/bin", "-I<toolkit>/include PATH=/usr/bin:<toolkit>/bin"),
        ("'/tmp/a' \"/tmp/b\" (/tmp/c) [/tmp/d]", "'<temp>/a' \"<temp>/b\" (<temp>/c) [<temp>/d]"),
        ("</tmp/e> =/tmp/f,/tmp/g", "<<temp>/e> =<temp>/f,<temp>/g"),
        (r"error\n/tmp/a\t/tmp/b\x00/tmp/c%20/tmp/d", r"error\n<temp>/a\t<temp>/b\x00<temp>/c%20<temp>/d"),
        *((text, text) for text in ("https://example.org/tmp/a", "./tmp/a", "a/tmp/b", "~/tmp/c")),
        # spellings
        ("file:///home/ada/projects/flights/a.csv", "./a.csv"),
        ("file://localhost/home/ada/b.csv", "~/b.csv"),
        ("%2Fhome%2Fada%2Fprojects%2Fflights%2Fa", ".%2Fa"),
        ("%2fhome%2fada%2fprojects%2fflights%2fa", ".%2fa"),
        (r"\/home\/ada\/projects\/flights\/a", r".\/a"),
        ("&#x2F;home&#x2F;ada&#x2F;projects&#x2F;flights", "."),
        ("&#47;srv&#47;toolkit&#47;x", "<toolkit>&#47;x"),
        # as IPython writes it
        ("File ~/projects/flights/notebooks/x.py:3, in f(a)", "File ./notebooks/x.py:3, in f(a)"),
        ("File ~/.venvs/flights/lib/x.py:3", "File <python>/lib/x.py:3"),
        ("File ~/other/x.py:3", "File ~/other/x.py:3"),
        ("File \x1b[32m~/projects/flights/x.py:3\x1b[39m", "File \x1b[32m./x.py:3\x1b[39m"),
        ("\x1b[0;32m/home/ada/\x1b[1mprojects/flights\x1b[0m/x.py", "\x1b[0;32m.\x1b[1m\x1b[0m/x.py"),
        (r"\x1b[0;32m/home/ada/projects/flights/x.py\x1b[0m", r"\x1b[0;32m./x.py\x1b[0m"),
        ("a\x1b[1m/tm\x1b[0mp/x", "a\x1b[1m/tm\x1b[0mp/x"),
        (r"\u001b[32m/tmp/x\u001b[0m", r"\u001b[32m<temp>/x\u001b[0m"),
        ("/tmp/ipykernel_4711/889812.py:1: UserWarning", "<temp>/ipykernel/889812.py:1: UserWarning"),
        # anybody's home
        ("/home/grace/x, /Users/grace/x, /root/x, /export/home/grace/x", "~/x, ~/x, ~/x, ~/x"),
        (r"C:\Users\grace\x, D:\\Users\\grace\\x, c:/Users/grace/x", r"~\x, ~\\x, ~/x"),
        (r"C:\Users\Grace Hopper\x", r"~\x"),
        ("%2Fhome%2Fgrace%2Fx, C%3A%5CUsers%5Cgrace%5Cx", "~%2Fx, ~%5Cx"),
        (r"\/Users\/grace\/x", r"~\/x"),
        ("~ada/x and ~ada", "~/x and ~"),
        # what is no path
        *((text, text) for text in ("root mean squared error of ada", "in-home care", "home/away", "/root of 2")),
        *((text, text) for text in ("https://example.org/home/news", "/home, /Users", "and/or/root/x")),
        *((text, text) for text in ("~adam", "~/x", "~5 %")),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_a_path_becomes_the_place_it_is(text: str, redacted: str) -> None:
    assert redact(text) == redacted
    assert redact(redacted) == redacted


def test_a_path_of_another_alphabet_is_found_in_every_spelling() -> None:
    path = "/srv/Größe & Maß/o'neil data"
    redactor = Redactor([(".", Path(path))])
    spelled = [
        path,
        quote(path),
        quote(path, safe=""),
        quote_plus(path),
        html.escape(path),
        json.dumps(path)[1:-1],
        json.dumps(json.dumps(path))[3:-3],
        json.dumps(path).replace("/", r"\/")[1:-1],
        repr(path)[1:-1],
        repr(path.encode())[2:-1],
        Path(path).as_uri(),
    ]
    assert [redactor.redact_text(f"[{each}/x]")[0] for each in spelled] == ["[./x]"] * len(spelled)


def test_a_link_and_what_it_leads_to_are_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    redactor = Redactor([(".", tmp_path / "link")])
    assert redactor.redact_text(f"{tmp_path}/link/a, {tmp_path.resolve()}/real/a")[0] == "./a, ./a"


@pytest.mark.parametrize(
    "spell",
    [
        str,
        html.escape,
        quote,
        quote_plus,
        lambda value: json.dumps(value)[1:-1],
        lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
        lambda value: json.dumps(json.dumps(value))[3:-3],
        lambda value: repr(value)[1:-1],
        lambda value: repr(value.encode())[2:-1],
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
        "\x1b[1m".join,
    ],
)
def test_a_secret_is_found_in_every_spelling_and_counted(spell: Callable[[str], str]) -> None:
    text, found = REDACTOR.redact_text(f"password=[{spell(SECRET)}]")
    assert text.replace("\x1b[1m", "") in {f"password=[secret:DB_PASSWORD{'=' * count}]" for count in range(3)}
    assert found == Redacted(0, {"DB_PASSWORD": 1})
    assert REDACTOR.redact_text(text) == (text, Redacted())


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
def test_a_secret_is_found_in_the_base64_of_something_longer(before: str) -> None:
    text = base64.b64encode(f"{before}{SECRET} and more".encode()).decode()
    redacted, found = REDACTOR.redact_text(f"Authorization: Basic {text}")
    assert found == Redacted(0, {"DB_PASSWORD": 1})
    assert "secret:DB_PASSWORD" in redacted


def test_each_long_line_of_a_secret_is_one() -> None:
    key = (
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAA\nshort\n-----END PRIVATE KEY-----"
    )
    redactor = Redactor([], {"KEY": key})
    assert redactor.redact_text(key) == ("secret:KEY", Redacted(0, {"KEY": 1}))
    text, found = redactor.redact_text("> MIIEvQIBADANBgkqhkiG9w0\n> -----BEGIN PRIVATE KEY-----\n> short")
    assert (text, found.secrets) == ("> secret:KEY\n> -----BEGIN PRIVATE KEY-----\n> short", {"KEY": 1})


def test_the_name_of_a_secret_is_no_secret() -> None:
    redactor = Redactor([], {"A": "secret", "LONG": "LONG"})
    text = "password = 'secret:A'; secret:LONG; LONG; secret"
    assert redactor.redact_text(text) == (
        "password = 'secret:A'; secret:LONG; secret:LONG; secret:A",
        Redacted(0, {"LONG": 1, "A": 1}),
    )


def test_a_secret_in_a_path_goes_first() -> None:
    redactor = Redactor([(".", Path("/srv/w"))], {"TOKEN": "abcd1234"})
    assert redactor.redact_text("/srv/w/abcd1234/x") == ("./secret:TOKEN/x", Redacted(1, {"TOKEN": 1}))


def test_neither_repr_nor_error_shows_a_secret() -> None:
    assert "hunter2" not in repr(REDACTOR)
    with pytest.raises(ArgumentError) as caught:
        Redactor([], {"SHORT": "xyz"})
    assert str(caught.value) == (
        "secrets: SHORT has 3 characters, must have at least 4: a shorter one cannot be told from ordinary text"
    )


@pytest.mark.parametrize("path", ["/", "relative/x", "."])
def test_a_place_that_is_everywhere_is_refused(path: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Redactor([("<x>", Path(path))])
    assert str(caught.value) == f"places: '<x>' is {path!r}, must be an absolute path below the root"


def full_notebook() -> Any:
    path = "/home/ada/projects/flights"
    outputs = [
        nbf.new_output("stream", name="stdout", text=f"read {path}/a\n/home/a"),
        nbf.new_output("stream", name="stdout", text="da/b\nhunter2 "),
        nbf.new_output("stream", name="stdout", text='& "Söhne"/\\\n'),
        nbf.new_output(
            "error", ename="OSError", evalue=f"[Errno 2] '{path}/b'", traceback=[f"\x1b[1m{path}/c.py\x1b[0m"]
        ),
        nbf.new_output(
            "display_data", data={"text/html": f"<a href='file://{path}/d'>d</a>", "image/png": "/home/ada"}
        ),
        nbf.new_output("display_data", data={"application/json": {path: [{"image": f"{path}/e"}, 3, None]}}),
        nbf.new_output("execute_result", data={"text/plain": "1"}, metadata={"source": f"{path}/f"}),
    ]
    cells = [
        nbf.new_markdown_cell(f"See {path}.", attachments={"a.png": {"image/png": "/home/ada"}}),
        nbf.new_code_cell(f"where = '{path}/g'", outputs=outputs, metadata={"tags": [f"{path}"]}),
    ]
    return nbf.new_notebook(cells=cells, metadata={"papermill": {"input_path": f"{path}/h", "parameters": {"n": 3}}})


def test_a_notebook_is_redacted_in_place_everywhere_but_in_pictures() -> None:
    notebook = full_notebook()
    found = REDACTOR.redact_notebook(notebook)
    assert found == Redacted(12, {"DB_PASSWORD": 1})
    code = notebook.cells[1]
    assert [output.output_type for output in code.outputs] == [
        "stream", "error", "display_data", "display_data", "execute_result"
    ]  # fmt: skip  # its lines group what belongs together
    assert code.outputs[0].text == "read ./a\n~/b\nsecret:DB_PASSWORD\n"
    assert code.outputs[1].evalue == "[Errno 2] './b'"
    assert code.outputs[1].traceback == ["\x1b[1m./c.py\x1b[0m"]
    assert code.outputs[2].data == {"text/html": "<a href='./d'>d</a>", "image/png": "/home/ada"}
    assert code.outputs[3].data == {"application/json": {".": [{"image": "./e"}, 3, None]}}
    assert code.outputs[4].metadata == {"source": "./f"}
    assert (code.source, code.metadata.tags) == ("where = './g'", ["."])
    assert notebook.cells[0].source == "See .."
    assert notebook.cells[0].attachments == {"a.png": {"image/png": "/home/ada"}}
    assert notebook.metadata.papermill == {"input_path": "./h", "parameters": {"n": 3}}
    once = json.dumps(notebook, sort_keys=True)
    assert not REDACTOR.redact_notebook(notebook)
    assert json.dumps(notebook, sort_keys=True) == once


def test_a_document_is_redacted_into_a_new_one() -> None:
    document = {"rows": [{"reason": "no /srv/toolkit/x", "value": 0.5, "n": None}], "/tmp/x": (True, "/home/ada")}
    kept = json.dumps(document)
    redacted, found = REDACTOR.redact_document(document)
    assert redacted == {"rows": [{"reason": "no <toolkit>/x", "value": 0.5, "n": None}], "<temp>/x": (True, "~")}
    assert found == Redacted(3)
    assert json.dumps(document) == kept


def test_counts_add_up_and_nothing_is_false() -> None:
    assert not Redacted()
    assert Redacted(1, {"A": 2}) + Redacted(2, {"A": 1, "B": 1}) == Redacted(3, {"A": 3, "B": 1})
    assert Redacted(1) + Redacted() == Redacted(1)


def test_the_places_of_this_machine_are_found_in_a_real_traceback(tmp_path: Path) -> None:
    said = "print(tempfile.gettempdir(), sys.prefix, json.__file__)"
    code = f"import json, tempfile, sys, pandas\n{said}\npandas.read_csv('x')"
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    run = subprocess.run([sys.executable, tmp_path / "script.py"], check=False, capture_output=True, text=True)
    redactor = Redactor(machine_places(tmp_path, run_folder=tmp_path / "run"))
    text, found = redactor.redact_text(run.stdout + run.stderr)
    assert found.places >= 6
    assert 'File "./script.py", line 3' in text
    assert "<python>/json/__init__.py" in text
    assert "<python>/pandas/io/" in text
    for path in (tmp_path, sys.prefix, sys.base_prefix, tempfile.gettempdir(), Path.home()):
        assert f"{path}/" not in text


def test_the_places_of_this_machine_have_the_run_inside_the_workspace() -> None:
    places = machine_places(Path("/srv/w"), run_folder=Path("/srv/w/reports/.staging/a"))
    redactor = Redactor(places)
    assert redactor.redact_text("/srv/w/reports/.staging/a/x, /srv/w/reports/y")[0] == "<run>/x, ./reports/y"
    assert redactor.redact_text(str(Path(__file__)))[0] == "<toolkit>/tests/privacy/test_redaction.py"
    assert redactor.redact_text(f"{Path.home()}/x")[0] == "~/x"
    assert {label for label, _ in places} == {".", "<run>", "<toolkit>", "<python>", "<temp>", "~"}
    assert "/usr" not in {str(path) for _, path in places}


def test_a_machine_without_a_home_has_the_other_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    redactor = Redactor(machine_places(Path("/srv/w")))
    assert redactor.redact_text("/srv/w/x, /home/ada/y") == ("./x, ~/y", Redacted(2))


PIECES = st.sampled_from([
    "/home/ada", "/projects/flights", "/reports", "/.staging", "/run1", "/srv/toolkit", "/tmp", "/", "~", "~ada", "ada",
    ".", "/Users/grace", "C:\\Users\\", "file://", "\\n", "%2F", "%2Fhome%2Fada", "\x1b[1m", "\\/", " ", "x", "-", "'",
    "&#47;", "secret:", "DB_PASSWORD", "hunter2", SECRET, "<temp>", "<", ">", "root", "/root", "/home", ":",
    "ipykernel_1/",
])  # fmt: skip  # its lines group what belongs together


@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_second_redaction_changes_nothing(text: str) -> None:
    once, _ = REDACTOR.redact_text(text)
    assert REDACTOR.redact_text(once) == (once, Redacted())


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([path for _, path in PLACES[:4]]))
def test_a_deep_path_never_stays_whatever_stands_around_it(before: str, after: str, path: Path) -> None:
    redacted = redact(f"{before}{path}/{after}")
    assert f"{path}/" not in redacted
    assert "/home/ada/" not in redacted or "/home/ada/" in f"{before} /{after}"


@given(st.text("ab:/\\&<'\"%+ é\n", min_size=6, max_size=20), st.text("xyz \n", max_size=30))
def test_no_secret_stays_whatever_it_is(secret: str, around: str) -> None:
    redactor = Redactor([], {"N": secret})
    text = around.join([secret, repr(secret), json.dumps(secret), html.escape(secret), quote(secret, safe="")])
    redacted, found = redactor.redact_text(text)
    assert found.secrets["N"] >= 5
    assert secret not in redacted
    assert redactor.redact_text(redacted) == (redacted, Redacted())


@given(st.text(max_size=200))
def test_text_without_places_and_secrets_stays_as_it_is(text: str) -> None:
    redactor = Redactor([(".", Path("/srv/quite/unlikely"))], {"N": "even less likely"})
    assert redactor.redact_text(text) == (text, Redacted())


def test_a_redactor_can_be_sent_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(Redactor(PLACES)))
    assert again.redact_text("/tmp/x") == ("<temp>/x", Redacted(1))
