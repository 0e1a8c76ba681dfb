from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from toolkit.cli.findings import Finding, inspect_definitions
from toolkit.errors import Blocked, DefinitionError
from toolkit.privacy import (
    Hit,
    PrivacyException,
    count_kinds,
    judge,
    load_exceptions,
    refuse_personal_data,
    refuse_secrets,
    scan_text,
    short_digest,
)
from toolkit.workspace import JOURNAL, Workspace, open_workspace
from toolkit.workspace.creation import SKELETON
from toolkit.workspace.documents import parse_yaml

DAY = date(2026, 1, 31)
FILE = """\
exceptions:
  - kind: email
    value: "*@example.org"
    reason: Addresses of our own demo.
    owner: Ada
    expires: 2026-01-31
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "toolkit.toml").write_text('schema_version = 2\nname = "w"\n[tables]\n', encoding="utf-8")
    return open_workspace(tmp_path)


def write(workspace: Workspace, text: str) -> None:
    (workspace.root / "privacy.yml").write_text(text, encoding="utf-8")


def exception(**changes: Any) -> PrivacyException:
    given = {"kind": "email", "value": "*@example.org", "reason": "It is our own demo.", "owner": "Ada"}
    return PrivacyException(**{**given, "expires": "2026-01-31", **changes})


def hit(text: str) -> Hit:
    (found,) = scan_text(text)
    return found


def test_without_a_file_there_is_no_exception(workspace: Workspace) -> None:
    assert load_exceptions(workspace) == ()
    assert JOURNAL.definitions.keys() == {"toolkit.toml"}


def test_the_file_is_read_and_noted(workspace: Workspace) -> None:
    write(workspace, FILE)
    (found,) = load_exceptions(workspace)
    assert (found.kind, found.value, found.template, found.expires) == ("email", "*@example.org", None, DAY)
    assert "privacy.yml" in JOURNAL.definitions


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: email",
            "kind: e-mail",
            "privacy.yml:2: exceptions.0.kind is 'e-mail'; allowed: email, phone, iban, card, ip. "
            "Did you mean 'email'?",
        ),
        (
            "owner: Ada",
            "ower: Ada",
            "privacy.yml:2: key 'exceptions.0.owner' is missing\n"
            "privacy.yml:5: unknown key 'exceptions.0.ower'; "
            "allowed: expires, kind, owner, reason, template, value. Did you mean 'owner'?",
        ),
        (
            "Addresses of our own demo.",
            "ours",
            "privacy.yml:4: exceptions.0.reason is 'ours': string should have at least 10 characters",
        ),
        (
            "2026-01-31",
            "next year",
            "privacy.yml:6: exceptions.0.expires is 'next year': must be a day, such as 2030-01-31",
        ),
        (
            '"*@example.org"',
            '"*@*"',
            "privacy.yml:3: exceptions.0.value is '*@*': would excuse nearly everything; "
            "write at least 3 letters or digits of what it is to match, such as *@example.org",
        ),
        ("    expires: 2026-01-31\n", "", "privacy.yml:2: key 'exceptions.0.expires' is missing"),
    ],
)
def test_a_wrong_file_says_where(workspace: Workspace, old: str, new: str, message: str) -> None:
    write(workspace, FILE.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        load_exceptions(workspace)
    assert str(caught.value) == message


def test_doctor_looks_at_the_file(workspace: Workspace) -> None:
    def found() -> list[Finding]:
        return [finding for finding in inspect_definitions(workspace) if finding.name == "privacy.yml"]

    assert found() == []
    write(workspace, FILE)
    assert found() == [Finding("privacy.yml", "ok", "valid")]
    write(workspace, "exceptions: all\n")
    assert [(finding.state, finding.fix) for finding in found()] == [("wrong", "correct the file")]


def test_the_example_of_a_new_workspace_is_valid(workspace: Workspace) -> None:
    write(workspace, (SKELETON / "privacy.yml.example").read_text(encoding="utf-8"))
    assert [each.covers(hit("a.b@example.org"), template="triage") for each in load_exceptions(workspace)] == [True]


@pytest.mark.parametrize("value", ["*", "*@*.*", "**", "?@?", "+4*"])
def test_a_pattern_that_would_excuse_nearly_everything_is_refused(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        exception(value=value)
    assert (
        "would excuse nearly everything; write at least 3 letters or digits of what it is to match, "
        "such as *@example.org"
    ) in str(caught.value)


@pytest.mark.parametrize("value", ["sha256:", "sha256:12345", "sha256:12345G", "sha256:" + "a" * 64])
def test_a_digest_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="is no digest; one is sha256: and 6 characters of 0-9 and a-f"):
        exception(value=value)


@pytest.mark.parametrize(
    ("kind", "value", "text", "covers"),
    [
        ("email", "*@example.org", "Ada@Example.org", True),
        ("email", "*@EXAMPLE.org", "ada@example.org", True),
        ("email", "*@example.org", "ada@example.org.uk", False),
        ("email", "*@example.org", "ada@mail.example.org", False),
        ("email", "ada@example.org", "ADA@example.org", True),
        ("email", "ada@example.org", "lada@example.org", False),
        ("email", "a?a@example.org", "ada@example.org", True),
        ("email", "[ab]da*@example.org", "ada@example.org", False),
        ("email", short_digest("email", "ada@example.org"), "Ada@example.org", True),
        ("email", short_digest("phone", "ada@example.org"), "ada@example.org", False),
        ("phone", "+44 20 7946 0018", "+44 (0)20 7946 0018", True),
        ("phone", "+44207946*", "+44 20 7946 0018", True),
        ("phone", "*@example.org", "ada@example.org", False),
        ("iban", "DE89 3704 0044 0532 0130 00", "de89370400440532013000", True),
        ("card", "4111-1111-1111-1111", "4111 1111 1111 1111", True),
        ("ip", "2001:0db8:0:0::7", "2001:DB8::7", True),
        ("ip", "10.1.2.*", "10.1.2.77", True),
        ("ip", "10.1.2.*", "10.1.22.7", False),
    ],
)
def test_an_exception_covers_what_it_names_however_that_is_spelled(
    kind: str, value: str, text: str, covers: bool
) -> None:
    assert exception(kind=kind, value=value).covers(hit(text), template="triage") is covers


def test_an_exception_for_one_template_is_none_for_another() -> None:
    own = exception(template="triage")
    assert own.covers(hit("ada@example.org"), template="triage")
    assert not own.covers(hit("ada@example.org"), template="retrospective")


def test_an_exception_stands_through_its_last_day() -> None:
    found = [hit("ada@example.org")]
    assert judge(found, [exception()], template="triage", on=DAY).passed
    late = judge(found, [exception()], template="triage", on=date(2026, 2, 1))
    assert (late.passed, late.excused, late.standing) == (False, (), tuple(found))
    assert late.expired == ((found[0], exception()),)


def test_another_exception_may_stand_when_one_has_expired() -> None:
    late, longer = date(2026, 2, 1), exception(expires="2027-01-01")
    judged = judge([hit("ada@example.org")], [exception(), longer], template="triage", on=late)
    assert judged.passed
    assert judged.expired == ()
    assert [by for _, by in judged.excused] == [longer]


def test_what_nothing_covers_stands() -> None:
    hits = scan_text("ada@example.org, bob@example.com and 203.0.113.7")
    judged = judge(hits, [exception()], template="triage", on=DAY)
    assert [each.value for each in judged.standing] == ["bob@example.com", "203.0.113.7"]
    assert count_kinds(hits) == {"email": 2, "ip": 1}


def test_a_manifest_learns_which_exceptions_were_used_and_no_value() -> None:
    hits = scan_text("ada@example.org ada@example.org bob@example.org 4111111111111111")
    exact = exception(kind="card", value="4111 1111 1111 1111", template="triage")
    assert judge(hits, [exception(), exact], template="triage", on=DAY).to_document() == {
        "found": {},
        "excused": [
            {
                "kind": "email",
                "value": "*@example.org",
                "count": 3,
                "reason": "It is our own demo.",
                "owner": "Ada",
                "expires": "2026-01-31",
            },
            {
                "kind": "card",
                "value": short_digest("card", "4111111111111111"),
                "count": 1,
                "reason": "It is our own demo.",
                "owner": "Ada",
                "expires": "2026-01-31",
            },
        ],
    }
    assert judge(hits, [], template="triage", on=DAY).to_document() == {"found": {"email": 2, "card": 1}, "excused": []}


def test_a_refusal_says_what_where_and_what_to_write() -> None:
    hits = scan_text("jane@example.org jane@example.org 203.0.113.7 ada@example.com", where="code cell 4, output")
    old = exception(value="jane@example.org", expires="2025-12-31")
    judged = judge(hits, [old], template="triage", on=DAY)
    refused = refuse_personal_data(judged, template="triage", kept="reports/quarantine/triage/delay/x", on=DAY)
    assert isinstance(refused, Blocked)
    assert refused.exit_code == 3
    assert (
        str(refused)
        == """\
the report holds what looks like personal data: 2 e-mail addresses, 1 IP address. It is not published; it lies in \
reports/quarantine/triage/delay/x
  code cell 4, output: e-mail address j…@e….org, 2 times (sha256:460342)
  code cell 4, output: e-mail address a…@e….com (sha256:9b62a3)
  code cell 4, output: IP address 203.… (sha256:68368b)
  The exception for sha256:460342 in privacy.yml expired on 2025-12-31.
Take them out of the notebook, or say in privacy.yml why they may be published; fill in reason and owner:
  exceptions:
    - kind: email
      value: sha256:460342    # j…@e….org
      template: triage
      reason: ""
      owner: ""
      expires: 2026-05-01
    - kind: email
      value: sha256:9b62a3    # a…@e….com
      template: triage
      reason: ""
      owner: ""
      expires: 2026-05-01
    - kind: ip
      value: sha256:68368b    # 203.…
      template: triage
      reason: ""
      owner: ""
      expires: 2026-05-01"""
    )


def test_what_a_refusal_suggests_works_once_reason_and_owner_are_filled_in(workspace: Workspace) -> None:
    hits = scan_text("jane@example.org DE89370400440532013000 4111111111111111 +442079460018 2001:db8::7")
    judged = judge(hits, [], template="triage", on=DAY)
    text = str(refuse_personal_data(judged, template="triage", kept="x", on=DAY))
    pasted = text[text.index("  exceptions:") :]
    write(workspace, pasted)
    with pytest.raises(DefinitionError, match="reason is '': string should have at least 10 characters"):
        load_exceptions(workspace)
    write(workspace, pasted.replace('reason: ""', "reason: They are examples.").replace('owner: ""', "owner: Ada"))
    assert judge(hits, load_exceptions(workspace), template="triage", on=date(2026, 5, 1)).passed
    assert not judge(hits, load_exceptions(workspace), template="triage", on=date(2026, 5, 2)).passed


def test_a_refusal_of_very_many_stays_readable() -> None:
    hits = scan_text(" ".join(f"reader{number}@example.org" for number in range(500)))
    text = str(refuse_personal_data(judge(hits, [], template="t", on=DAY), template="t", kept="x", on=DAY))
    assert text.splitlines()[0] == (
        "the report holds what looks like personal data: 500 e-mail addresses. It is not published; it lies in x"
    )
    assert "  … and 492 more" in text.splitlines()
    assert len(text.splitlines()) < 70
    assert "reader" not in text
    assert len(parse_yaml(text[text.index("  exceptions:") :], path=Path("p"), shown="p").data["exceptions"]) == 8


def test_a_refusal_for_a_secret_names_it_only() -> None:
    assert str(refuse_secrets({"DB_PASSWORD": 2, "API_KEY": 1}, kept="reports/quarantine/x")) == (
        "the report printed a secret: API_KEY, DB_PASSWORD. It is not published; it lies in reports/quarantine/x, "
        "where its value is replaced by 'secret:' and its name. Take out of the notebook what prints it"
    )
