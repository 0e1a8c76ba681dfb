"""Secrets: a parameter says `secret:NAME`, and the value is read where it is used, and nowhere else.

One rule says where: the environment variable of that very name, else the machine's keyring (service `toolkit`, user
name NAME), if the package `keyring` is installed. Nothing here logs a value or writes one down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Self

from toolkit.checks import nearest
from toolkit.errors import ParameterError

SCHEME = "secret:"
KEYRING_SERVICE = "toolkit"
SHORTEST_SECRET = 4
"""Characters: what is shorter cannot be told from ordinary text, so it could not be kept out of a report."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret(str):
    """The value of a secret: a text like any other that is never shown.

    Whatever shows an object, a notebook's cell, a traceback's variables or a debugger, shows `secret:NAME`; so does a
    list or a dataclass that holds it. Whatever uses it as text gets the value: `str(secret)`, `f"{secret}"` and `print`
    too, because libraries ask that way. A report that prints one is caught by its runner (`toolkit.privacy`).

    A pickle holds the name only; where it is loaded, the value is read there.

    >>> password = Secret("hunter22", name="DB_PASSWORD")
    >>> password, [password], len(password)
    (secret:DB_PASSWORD, [secret:DB_PASSWORD], 8)
    """

    __slots__ = ("name",)

    name: str

    def __new__(cls, value: str, *, name: str) -> Self:
        """A secret of this value and name; `read_secret` is how one is had."""
        secret = super().__new__(cls, value)
        secret.name = name
        return secret

    def __repr__(self) -> str:
        return f"{SCHEME}{self.name}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self)}

    def __reduce__(self) -> tuple[Callable[[str], Secret], tuple[str]]:
        return read_secret, (self.name,)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def is_secret_reference(value: object) -> bool:
    """Whether a parameter's value names a secret instead of being one.

    >>> is_secret_reference("secret:DB_PASSWORD"), is_secret_reference("hunter22")
    (True, False)
    """
    return isinstance(value, str) and value.startswith(SCHEME)


def secret_name(reference: str) -> str:
    """The NAME in `secret:NAME`. Raises `ParameterError` when it is no name of an environment variable.

    >>> secret_name("secret:DB_PASSWORD")
    'DB_PASSWORD'
    """
    name = reference.removeprefix(SCHEME)
    if not is_secret_reference(reference) or not _NAME.fullmatch(name):
        raise ParameterError(
            "what follows 'secret:' is no name, and is not repeated here in case it is the secret itself; write the "
            "name of an environment variable, of letters, digits and '_', such as 'secret:DB_PASSWORD'"
        )
    return name


def read_secret(name: str) -> Secret:
    """The secret of this name, from the environment, else from the keyring.

    Raises `ParameterError`, which says where it was looked for and how to put it there, and for one that is shorter
    than `SHORTEST_SECRET`.
    """
    secret_name(f"{SCHEME}{name}")
    value = os.environ.get(name)
    source, looked = f"the environment variable {name}", f"no environment variable {name} is set"
    if value == "":
        looked = f"the environment variable {name} is empty"
    if not value:
        value, asked = _ask_keyring(name)
        source, looked = f"the keyring's {KEYRING_SERVICE}/{name}", f"{looked}, and {asked}"
    if not value:
        close = nearest(name, [each for each in os.environ if each != name])
        hint = f" Did you mean {close!r}?" if close else ""
        raise ParameterError(
            f"secret {name!r} is not there: {looked}.{hint} Set the variable for the process that runs the report, or "
            f"put it into the keyring with 'keyring set {KEYRING_SERVICE} {name}'"
        )
    if len(value) < SHORTEST_SECRET:
        raise ParameterError(
            f"secret {name!r} is too short: {source} holds {len(value)} "
            f"character{'' if len(value) == 1 else 's'}, and a report can be kept free only of secrets with at least "
            f"{SHORTEST_SECRET}; choose a longer one"
        )
    return Secret(value, name=name)


def _ask_keyring(name: str) -> tuple[str | None, str]:
    """What the keyring has under this name, and what to say of it when that is nothing."""
    if find_spec("keyring") is None:
        return None, "the keyring was not asked (pip install 'improvement-toolkit[keyring]')"
    import keyring
    from keyring.errors import KeyringError

    try:
        value = keyring.get_password(KEYRING_SERVICE, name)
    except KeyringError as err:  # none on this machine, or it is locked
        return None, f"the keyring could not be asked ({type(err).__name__})"
    return value, f"the keyring has nothing under {KEYRING_SERVICE}/{name}"
