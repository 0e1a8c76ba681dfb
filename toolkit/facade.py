"""Packages whose names are imported when they are first used, so that one can come through them for next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def facade(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for a package.

    Parameters
    ----------
    modules: each name to the module that it is imported from; a name may be that of its module, the room itself.

    What it gives raises `AttributeError` with the nearest name.

    >>> find, _ = facade("toolkit.windows", {"Window": "toolkit.windows"})
    >>> find("Window").__name__
    'Window'
    >>> find("Windo")
    Traceback (most recent call last):
        ...
    AttributeError: unknown name in toolkit.windows 'Windo'; allowed: Window. Did you mean 'Window'?
    """

    def find(name: str) -> Any:
        if name not in modules:
            from toolkit.checks import unknown_name_message

            raise AttributeError(unknown_name_message(name, modules, noun=f"name in {package}"))
        module = import_module(modules[name])
        return module if modules[name] == f"{package}.{name}" else getattr(module, name)

    return find, lambda: sorted(modules)
