from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from toolkit.errors import ParameterError
from toolkit.workspace import secrets
from toolkit.workspace.secrets import Secret, is_secret_reference, read_secret, secret_name

VALUE = "correct horse battery staple"
HOW = "Set the variable for the process that runs the report, or put it into the keyring with 'keyring set toolkit "


class MemoryKeyring(KeyringBackend):
    """A keyring as a desktop has one, in memory."""

    priority = 1

    def __init__(self, held: dict[tuple[str, str], str], *, locked: bool = False) -> None:
        super().__init__()
        self.held, self.locked = held, locked

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password


@pytest.fixture(autouse=True)
def own_keyring() -> Any:
    """A keyring of the test's own, which never asks the machine's."""
    before = keyring.get_keyring()
    own = MemoryKeyring({})
    keyring.set_keyring(own)
    yield own
    keyring.set_keyring(before)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Secret:
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    return read_secret("DB_PASSWORD")


def test_a_secret_is_read_from_the_environment_variable_of_its_name(secret: Secret) -> None:
    assert secret == VALUE
    assert secret.name == "DB_PASSWORD"


def test_a_secret_is_read_from_the_keyring_when_no_variable_has_it(
    own_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.set_password("toolkit", "DB_PASSWORD", "from the keyring")
    assert read_secret("DB_PASSWORD") == "from the keyring"
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    assert read_secret("DB_PASSWORD") == VALUE


def test_a_missing_secret_says_where_it_was_looked_for_and_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORT", VALUE)
    with pytest.raises(ParameterError) as caught:
        read_secret("DB_PASSWORD")
    assert str(caught.value) == (
        "secret 'DB_PASSWORD' is not there: no environment variable DB_PASSWORD is set, and the keyring has nothing "
        f"under toolkit/DB_PASSWORD. Did you mean 'DB_PASSWORT'? {HOW}DB_PASSWORD'"
    )


def test_an_empty_variable_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QQ_EMPTY", "")
    with pytest.raises(ParameterError) as caught:
        read_secret("QQ_EMPTY")
    assert str(caught.value) == (
        "secret 'QQ_EMPTY' is not there: the environment variable QQ_EMPTY is empty, and the keyring has nothing under "
        f"toolkit/QQ_EMPTY. {HOW}QQ_EMPTY'"
    )


def test_a_keyring_that_is_locked_or_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring.set_keyring(MemoryKeyring({}, locked=True))
    with pytest.raises(ParameterError, match=r"is set, and the keyring could not be asked \(KeyringLocked\)\."):
        read_secret("QQ_NOT_THERE")
    monkeypatch.setattr(secrets, "find_spec", lambda _: None)
    with pytest.raises(ParameterError) as caught:
        read_secret("QQ_NOT_THERE")
    assert "and the keyring was not asked (pip install 'improvement-toolkit[keyring]')." in str(caught.value)


@pytest.mark.parametrize(("value", "said"), [("abc", "3 characters"), ("x", "1 character")])
def test_a_secret_too_short_to_be_kept_out_of_a_report_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("SHORT", value)
    with pytest.raises(ParameterError) as caught:
        read_secret("SHORT")
    assert str(caught.value) == (
        f"secret 'SHORT' is too short: the environment variable SHORT holds {said}, and a report can be kept free "
        "only of secrets with at least 4; choose a longer one"
    )
    monkeypatch.delenv("SHORT")
    keyring.set_password("toolkit", "SHORT", value)
    with pytest.raises(ParameterError, match=f"the keyring's toolkit/SHORT holds {said},"):
        read_secret("SHORT")


@pytest.mark.parametrize("reference", ["secret:", "secret:a word!", "secret:1ST", "secret:A-B", "secret: A", "plain"])
def test_a_reference_that_names_no_secret_is_refused_without_being_repeated(reference: str) -> None:
    with pytest.raises(ParameterError) as caught:
        secret_name(reference)
    assert str(caught.value) == (
        "what follows 'secret:' is no name, and is not repeated here in case it is the secret itself; write the name "
        "of an environment variable, of letters, digits and '_', such as 'secret:DB_PASSWORD'"
    )


def test_a_reference_is_told_from_a_value() -> None:
    assert is_secret_reference("secret:A")
    assert is_secret_reference("secret:not a name")  # meant as one, so it is refused and never taken for the value
    assert not any(is_secret_reference(value) for value in ("a secret:A", "Secret:A", "", 3, None, ["secret:A"]))


def test_a_secret_is_never_shown(secret: Secret) -> None:
    from IPython.core.formatters import DisplayFormatter
    from IPython.lib.pretty import pretty

    @dataclass
    class Connection:
        password: str

    shown, _ = DisplayFormatter().format(secret)
    for text in (repr(secret), pretty(secret), pretty([secret]), repr({"a": (secret,)}), repr(Connection(secret))):
        assert "secret:DB_PASSWORD" in text
        assert "horse" not in text
    assert shown == {"text/plain": "secret:DB_PASSWORD"}
    assert f"{secret!r} {[secret]}" == "secret:DB_PASSWORD [secret:DB_PASSWORD]"


def test_a_secret_is_used_as_the_text_it_is(secret: Secret) -> None:
    assert f"postgresql://ada:{secret}@db" == f"postgresql://ada:{VALUE}@db"
    assert (str(secret), secret.encode(), "x" + secret) == (VALUE, VALUE.encode(), f"x{VALUE}")
    assert type(str(secret)) is str


def test_a_pickle_holds_the_name_and_not_the_value(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        held = pickle.dumps({"password": secret}, protocol=protocol)
        assert b"horse" not in held
        read = pickle.loads(held)["password"]
        assert (read, repr(read)) == (VALUE, "secret:DB_PASSWORD")
    monkeypatch.setenv("DB_PASSWORD", "another")
    assert pickle.loads(held)["password"] == "another"


def test_a_copy_is_the_same_secret(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_PASSWORD")
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_the_keyring_is_not_loaded_for_a_secret_of_the_environment() -> None:
    code = "import sys, toolkit.workspace.secrets as s; s.read_secret('S'); print('keyring' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"S": VALUE})
    assert run.stdout == "False\n"
