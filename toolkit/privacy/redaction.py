"""Redaction: what is this machine's, and what is secret, goes out of a report before anybody reads it.

Paths become labels: the workspace `.`, the home directory `~`, the Python that ran `<python>`. A secret's value becomes
`secret:NAME`, and is counted by itself: a report that printed one is not to be published even with the value gone.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.privacy.scan import is_picture
from toolkit.privacy.spellings import spell_below, spell_path, spell_secret
from toolkit.privacy.texts import split_colours
from toolkit.workspace.secrets import SHORTEST_SECRET

HOME = "~"
_SLASH = r"(?:/|\\{1,2}/|%2[Ff]|&\#x2[Ff];|&\#47;)"
_NAME = r"(?![.~])[^\s/\\<>\"'`:;,|?*()\[\]{}%&=$]+"
_HOMES = {
    "home": rf"(?P<h>{_SLASH})(?:export(?P=h))?home(?P=h){_NAME}",
    "Users": rf"(?P<u>{_SLASH})Users(?P=u){_NAME}"
    rf"|[A-Za-z](?::|%3[Aa])(?:\\{{1,4}}|/|%5[Cc])Users(?:\\{{1,4}}|/|%5[Cc])"
    rf"(?:[^\\/:*?\"<>|\r\n%]{{1,64}}(?=\\)|{_NAME})",
    "root": rf"(?P<r>{_SLASH})root(?=(?P=r))",
}
"""Home directories of anybody, on any system, by a word that each holds."""

_MOST_PASSES = 4
_PATH_SIGN = re.compile(r"[/\\%&~]")
_WORD = re.compile(r"[A-Za-z]{2,}")
_ESCAPE = re.compile(r"(?:\\(?:[abfnrtv0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})|%[0-9a-fA-F]{2})\Z")
_KERNEL = re.compile(r"ipykernel_[0-9]+(?=[/\\])")
"""Part of the name of the file that a traceback or a warning gives to a cell: the number of the kernel's process."""


class Redacted(NamedTuple):
    """What was replaced: `places`, how many paths; `secrets`, how often each one, by name."""

    places: int = 0
    secrets: Mapping[str, int] = {}

    def __add__(self, other: object) -> Redacted:
        if not isinstance(other, Redacted):
            return NotImplemented
        if not other:
            return self
        return Redacted(self.places + other.places, dict(Counter(self.secrets) + Counter(other.secrets)))

    def __bool__(self) -> bool:
        return bool(self.places or self.secrets)


@dataclass(frozen=True)
class Redactor:
    """Replaces paths of this machine by labels, and values of secrets by `secret:NAME`.

    Parameters
    ----------
    places: pairs of label and path; the longest path wins. Home directories of anybody become `~` without being named.
    secrets: name to value.

    Raises `ArgumentError` for a path that is not absolute or is the root of the file system, and for a secret too short
    to be told from ordinary text.

    >>> redactor = Redactor([(".", Path("/srv/w")), ("~", Path("/home/ada"))], {"DB_PASSWORD": "hunter22"})
    >>> redactor.redact_text("/srv/w/a.csv, file:///home/ada/b.csv, ~ada, /home/bob, aHVudGVyMjI=")
    ('./a.csv, ~/b.csv, ~, ~, secret:DB_PASSWORD=', Redacted(places=4, secrets={'DB_PASSWORD': 1}))
    """

    places: Iterable[tuple[str, Path]]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", tuple(self.places))
        for label, path in self.places:
            if not Path(path).is_absolute() or len(Path(path).parts) < 2:
                raise ArgumentError(f"places: {label!r} is {str(path)!r}, must be an absolute path below the root")
        for name, value in self.secrets.items():
            if len(value) < SHORTEST_SECRET:
                raise ArgumentError(
                    f"secrets: {name} has {len(value)} characters, must have at least {SHORTEST_SECRET}: a shorter one "
                    "cannot be told from ordinary text"
                )

    def redact_text(self, text: str) -> tuple[str, Redacted]:
        """The text without them, and what was replaced. Done again, it changes nothing."""
        done = Redacted()
        for _ in range(_MOST_PASSES):  # `%2Fhome%2Fada/w` is `~/w` after the first, and that may be a place too
            text, secrets = self._replace_secrets(text)
            text, places = self._replace_places(text)
            if not places and not secrets:
                break
            done += Redacted(places, secrets)
        if "ipykernel_" in text:
            text = _KERNEL.sub("ipykernel", text)
        return text, done

    def _replace_secrets(self, text: str) -> tuple[str, dict[str, int]]:
        if not self.secrets:
            return text, {}
        plain, colours = split_colours(text)
        spelled = tuple(each for each in self._names if each in plain)
        if not spelled:
            return text, {}
        counts: Counter[str] = Counter()
        labels = tuple(f"secret:{name}" for name in self.secrets)

        def name(found: re.Match[str]) -> str:
            if found["label"]:  # a label that is there already, perhaps with the value in it
                return found[0]
            counts[self._names[found[0]]] += 1
            return f"secret:{self._names[found[0]]}"

        return _replace(plain, colours, _secret_pattern(labels, spelled), name), dict(counts)

    def _replace_places(self, text: str) -> tuple[str, int]:
        if _PATH_SIGN.search(text) is None:  # most texts of a document are names and numbers
            return text, 0
        plain, colours = split_colours(text)
        spelled = tuple(
            each
            for word, spellings in self._spelled_with.items()
            if word in plain
            for each in spellings
            if each in plain
        )
        homes = tuple(word for word in _HOMES if word in plain)
        if not spelled and not homes:
            return text, 0
        places = 0

        def label(found: re.Match[str]) -> str | None:
            nonlocal places
            path, start = found["path"], found.start()
            is_deep = path is not None and path not in self._short
            if not is_deep and (plain.endswith(self._guards, 0, start) or not _is_fresh(plain, start)):
                return None
            places += 1
            return HOME if path is None else self._labels[path]

        return _replace(plain, colours, _place_pattern(spelled, homes), label), places

    def redact_document(self, value: Any) -> tuple[Any, Redacted]:
        """A JSON value without them, keys included, and what was replaced; the value given stays as it is."""
        found: list[Redacted] = []
        new = self._redact_copy(value, {}, found)
        return new, sum(found, Redacted())

    def _redact_copy(self, value: Any, known: dict[str, tuple[str, Redacted]], found: list[Redacted]) -> Any:
        """A copy; `known` are texts that came before, as keys and units of rows do again and again."""
        if isinstance(value, str):
            if value not in known:
                known[value] = self.redact_text(value)
            text, replaced = known[value]
            if replaced:
                found.append(replaced)
            return text
        if isinstance(value, Mapping):
            return {
                self._redact_copy(key, known, found): self._redact_copy(each, known, found)
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            copies = [self._redact_copy(each, known, found) for each in value]
            return copies if isinstance(value, list) else tuple(copies)
        return value

    def redact_notebook(self, notebook: Any) -> Redacted:
        """Take them out of a notebook in place: sources, outputs, errors, metadata; pictures are left alone.

        Printed text that arrived in several pieces, one after the other, is made one first, as Jupyter shows it.
        """
        for cell in notebook["cells"]:
            if "outputs" in cell:
                cell["outputs"] = _join_streams(cell["outputs"])
        return self._redact_in_place(notebook)

    def _redact_in_place(self, held: Any) -> Redacted:
        done = Redacted()
        for key, value in list(held.items() if isinstance(held, dict) else enumerate(held)):
            if isinstance(key, str) and is_picture(key):
                continue
            if isinstance(value, str):
                new, found = self.redact_text(value)
                if found or new != value:
                    held[key] = new
                    done += found
            elif isinstance(value, dict | list):
                done += self._redact_in_place(value)
        return done + self._redact_keys(held) if isinstance(held, dict) else done

    def _redact_keys(self, held: dict[Any, Any]) -> Redacted:
        names = {key: self.redact_text(key) for key in held if isinstance(key, str)}
        done = sum((found for _, found in names.values()), Redacted())
        if done:
            items = [(names[key][0] if key in names else key, value) for key, value in held.items()]
            held.clear()
            held.update(items)
        return done

    @cached_property
    def _names(self) -> dict[str, str]:
        """Each spelling of each secret, and its name."""
        return {spelled: name for name, value in self.secrets.items() for spelled in spell_secret(str(value))}

    @cached_property
    def _labels(self) -> dict[str, str]:
        """Each spelling of each place, and its label, longest first; where two places share one, the first has it."""
        homes = {form for label, path in self.places if label == HOME for form in _forms(path)}
        labels: dict[str, str] = {f"~{home.rpartition('/')[2]}": HOME for home in homes}
        for label, path in self.places:
            for form in _forms(path):
                below = {f"~{form.removeprefix(home)}" for home in homes if form.startswith(f"{home}/")}
                for spelled in spell_path(form) | {f"~{each}" for one in below for each in spell_below(one[1:])}:
                    labels.setdefault(spelled, label)
        return dict(sorted(labels.items(), key=lambda item: (-len(item[0]), item)))

    @cached_property
    def _spelled_with(self) -> dict[str, tuple[str, ...]]:
        """The spellings by a word that each of them holds: most texts hold none of the words, which is soon seen."""
        found: dict[str, list[str]] = {}
        for spelled in self._labels:
            found.setdefault(max(_WORD.findall(spelled), key=len, default=""), []).append(spelled)
        return {word: tuple(spellings) for word, spellings in found.items()}

    @cached_property
    def _short(self) -> frozenset[str]:
        """Spellings of one part (`/tmp`, `~ada`): such a one is also the end of many longer paths."""
        return frozenset(each for each in self._labels if len(re.findall(_SLASH, each.removeprefix("file://"))) < 2)

    @cached_property
    def _guards(self) -> tuple[str, ...]:
        """The labels after which no short path begins: what follows one lies in the place that it names."""
        return tuple({label for label, _ in self.places if len(label) > 1})


def machine_places(workspace_root: Path, *, run_folder: Path | None = None) -> list[tuple[str, Path]]:
    """The places of this machine that a report's texts may name, for a `Redactor`: label and path.

    `.` is the workspace, `<run>` the folder in which the report is made, `~` the home directory, `<python>` the
    interpreter with what is installed for it, `<toolkit>` this package's checkout, `<temp>` the temporary files.
    """
    checkout = Path(__file__).resolve().parents[2]
    pythons = [sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]
    shared = {Path("/"), Path("/usr"), Path("/usr/local"), Path("/opt")}  # a Python may live in them, with much else
    places = [
        (".", workspace_root),
        *([("<run>", run_folder)] if run_folder else []),
        *([("<toolkit>", checkout)] if (checkout / "pyproject.toml").is_file() else []),
        *(("<python>", Path(path)) for path in pythons if Path(path) not in shared),
        ("<temp>", Path(tempfile.gettempdir())),
        *((HOME, home) for home in _find_home()),
    ]
    return [(label, Path(os.path.abspath(path))) for label, path in places if len(Path(path).parts) > 1]  # noqa: PTH100 - `resolve` would follow links, and both spellings are wanted


def _find_home() -> list[Path]:
    try:
        return [Path.home()]
    except RuntimeError:  # a container may run under a number without a name, and without HOME
        return []


def _forms(path: Path) -> set[str]:
    """The path as it was given and as it is when links are followed."""
    return {str(path), str(Path(path).resolve())} - {"/"}


def _secret_pattern(labels: tuple[str, ...], spelled: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(f"(?P<label>(?:{_any_of(labels)})(?!\\w))|{_any_of(spelled)}")


@lru_cache(maxsize=256)
def _place_pattern(spelled: tuple[str, ...], homes: tuple[str, ...]) -> re.Pattern[str]:
    ours = rf"(?P<path>{_any_of(spelled)})(?![\w\-]|\.\w)" if spelled else "(?P<path>(?!))"
    return re.compile("|".join([ours, *(_HOMES[word] for word in homes)]))


def _any_of(texts: Iterable[str]) -> str:
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))


def _is_fresh(text: str, start: int) -> bool:
    """Whether a path can begin here: what comes before does not make it the end of a longer one."""
    before = text[start - 1 : start]
    if not (before.isalnum() or before in {"_", ".", "~", "-"}):
        return True
    return _ESCAPE.search(text, max(0, start - 6), start) is not None  # the n of \n is no part of a name


def _replace(
    plain: str,
    colours: Sequence[tuple[int, str]],
    pattern: re.Pattern[str],
    name: Callable[[re.Match[str]], str | None],
) -> str:
    """Replace what matches and has a name, and put the colours back; those inside of a match come after the name."""
    new: list[str] = []
    end = 0
    left = list(reversed(colours))

    def keep(until: int) -> None:
        nonlocal end
        while left and left[-1][0] <= until:
            at, colour = left.pop()
            new.extend((plain[end:at], colour))
            end = max(at, end)
        new.append(plain[end:until])
        end = max(end, until)

    found = pattern.search(plain)
    while found is not None:
        named = name(found)
        if named is not None and named != found[0]:
            keep(found.start())
            new.append(named)
            end = found.end()
        found = pattern.search(plain, found.start() + 1 if named is None else found.end())
    keep(len(plain))
    return "".join(new)


def _join_streams(outputs: list[Any]) -> list[Any]:
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output["output_type"] == last["output_type"] == "stream" and output["name"] == last["name"]:
            last["text"] = "".join(last["text"]) + "".join(output["text"])
        else:
            joined.append(output)
    return joined
