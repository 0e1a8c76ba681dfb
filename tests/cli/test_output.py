from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime

import pytest

from toolkit.cli.output import complain, print_document, print_facts, print_table, progress
from toolkit.errors import Blocked, NotReady


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_in_a_pipe_keeps_each_row_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "what"], [["a", "x" * 300], ["[b]", "y"]])
    assert capsys.readouterr().out.splitlines() == ["name  what", "a     " + "x" * 300, "[b]   y"]


def test_a_document_is_sorted_and_refuses_what_is_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_document({"b": "ü", "a": [1, None]})
    assert capsys.readouterr().out == '{\n "a": [\n  1,\n  null\n ],\n "b": "ü"\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        print_document({"a": float("nan")})


def test_facts_leave_out_what_is_empty_and_keep_zero_and_false(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"a": None, "b": "", "c": 0, "d": False, "e": {"f": [1, 2]}, "g": [{"h": 1, "i": ["x", "y"]}], "j": {}})
    expected = ["c: 0", "d: False", "e:", "  f: 1, 2", "g:", "  - h: 1; i: x, y"]
    assert capsys.readouterr().out.splitlines() == expected


def test_progress_in_a_log_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        tell("reading [3 of 4]")
    assert capsys.readouterr() == ("", "==> reading [3 of 4]\n")


def test_progress_in_a_terminal_is_a_moving_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress() as tell:
        tell("reading [3 of 4]")
    assert "==>" not in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("ready_on", [None, datetime(2013, 5, 1, tzinfo=UTC)])
def test_a_refusal_says_its_kind_and_when_to_come_back(
    capsys: pytest.CaptureFixture[str], ready_on: datetime | None
) -> None:
    complain(NotReady("later", ready_on=ready_on), as_json=True)
    out, err = capsys.readouterr()
    when = {"ready_on": "2013-05-01T00:00:00Z"} if ready_on else {}
    assert json.loads(out) == {"error": {"type": "NotReady", "message": "later", "exit_code": 3} | when}
    assert err == "refused (NotReady): later\n"


def test_without_json_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    complain(Blocked("no"), as_json=False)
    assert capsys.readouterr() == ("", "refused (Blocked): no\n")
