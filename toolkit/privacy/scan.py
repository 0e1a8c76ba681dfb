"""The scan: which patterned personal data the outputs of a report hold, and where.

E-mail addresses, phone numbers, IBANs, payment cards and IP addresses; what makes a number one is in `addresses`,
`accounts` and `phones`. Names, and whatever else has no pattern, are not found.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from toolkit.privacy.accounts import find_cards, find_ibans
from toolkit.privacy.addresses import Match, find_addresses, find_emails
from toolkit.privacy.phones import find_phones
from toolkit.privacy.texts import readings

INJECTED = "injected-parameters"
"""Papermill's tag of the cell that holds the parameters of a run."""

_DIGEST_DIGITS = 6
_MOST_COMPARED = 1000

_Key = tuple[str, str, str]
"""Where, kind, value."""


class Kind(NamedTuple):
    """A kind of personal data: what people call one and many, how it is found, what a message may show of it."""

    one: str
    many: str
    find: Callable[[str], Iterator[Match]]
    mask: Callable[[str], str]


def _mask_email(value: str) -> str:
    local, domain = value.split("@")
    host, top = domain.rsplit(".", 1)
    return f"{local[:1] if len(local) > 2 else ''}…@{host[:1] if len(host) > 2 else ''}….{top}"


def _mask_address(value: str) -> str:
    separator = ":" if ":" in value else "."
    return f"{value.partition(separator)[0]}{separator}…"


KINDS = {
    "email": Kind("e-mail address", "e-mail addresses", find_emails, _mask_email),
    "iban": Kind("IBAN", "IBANs", find_ibans, lambda value: f"{value[:2]}…{value[-2:]}"),
    "card": Kind("card number", "card numbers", find_cards, lambda value: f"{value[:1]}…{value[-4:]}"),
    "ip": Kind("IP address", "IP addresses", find_addresses, _mask_address),
    "phone": Kind("phone number", "phone numbers", find_phones, lambda value: f"{value[:3]}…{value[-2:]}"),
}
"""In the order in which they are looked for: what one has taken is no other's."""


@dataclass(frozen=True)
class Hit:
    """One value that was found in one place.

    Attributes
    ----------
    kind: a key of `KINDS`.
    where: the place, as people count: `code cell 4, output`.
    masked: what a message may show of the value.
    count: how often it stands there.
    digest: a short digest of the value, by which an exception can name it; see `short_digest`.
    value: the value in its normal form; never printed.
    """

    kind: str
    where: str
    masked: str
    count: int
    digest: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        times = f", {self.count} times" if self.count > 1 else ""
        return f"{self.where}: {KINDS[self.kind].one} {self.masked}{times} ({self.digest})"


def short_digest(kind: str, value: str) -> str:
    """`sha256:` and the first 24 bits of the digest of a value in its normal form.

    So short that it gives no value away (hundreds of phone numbers share one), and long enough that an exception meets
    no other value by chance.

    >>> short_digest("email", "ada@example.org")
    'sha256:6cb3f5'
    """
    return "sha256:" + hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()[:_DIGEST_DIGITS]


def scan_text(text: str, *, where: str = "text") -> tuple[Hit, ...]:
    """The personal data in one text: plain, coloured, HTML, or with HTML in it.

    >>> scan_text("Write to <a href='mailto:ada@example.org'>Ada</a>.")[0]
    Hit(kind='email', where='text', masked='a…@e….org', count=1, digest='sha256:6cb3f5')
    """
    return _scan([(where, text)])


def scan_outputs(notebook: Mapping[str, Any], results: Mapping[str, Any] | None = None) -> tuple[Hit, ...]:
    """The personal data in the outputs of an executed notebook and in the rows of `results.json`.

    Parameters
    ----------
    notebook: an nbformat notebook, or the mapping that a `report.ipynb` is.
    results: the document that `results.json` is.

    Read are the outputs of every code cell (printed text, errors, text, HTML, SVG, JSON with its keys; no pictures),
    the state of widgets, and the source of the cell with the injected parameters. Other sources are the template's.
    """
    return _scan([*_pieces_of_notebook(notebook), *_pieces_of_results(results or {})])


def _pieces_of_notebook(notebook: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    number = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        if INJECTED in cell.get("metadata", {}).get("tags", []):
            yield "injected parameters", _joined(cell["source"])
        for text in _texts_of_outputs(cell.get("outputs", [])):
            yield f"code cell {number}, output", text
    for text in _leaves(notebook.get("metadata", {}).get("widgets", {})):
        yield "state of the widgets", text


def _texts_of_outputs(outputs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    streams: dict[str, list[str]] = {}  # a program may print a value in pieces
    for output in outputs:
        if output["output_type"] == "stream":
            streams.setdefault(output["name"], []).append(_joined(output["text"]))
        elif output["output_type"] == "error":
            yield "\n".join([output["ename"], output["evalue"], *output["traceback"]])
        else:
            for media_type, data in output.get("data", {}).items():
                if not is_picture(media_type):
                    yield from _leaves(data) if media_type.endswith("json") else [_joined(data)]
    yield from map("".join, streams.values())


def is_picture(media_type: str) -> bool:
    """Whether data of this media type are bytes in base64, which nobody reads as text; SVG is text."""
    kind, slash, _ = media_type.partition("/")
    return media_type != "image/svg+xml" and (
        (bool(slash) and kind in {"image", "audio", "video", "font"})
        or media_type in {"application/pdf", "application/octet-stream"}
    )


def _pieces_of_results(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(results.get("rows", []), start=1):
        for key, value in row.items():
            for text in _leaves(value):
                yield f"results.json row {number} {key}", text


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            waiting.extend(each.keys())
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)


def _joined(text: Any) -> str:
    """A text, which a file may hold as its lines; anything else as its leaves."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "".join(text)
    return text if isinstance(text, str) else "\n".join(_leaves(text))


def _scan(pieces: Iterable[tuple[str, str]]) -> tuple[Hit, ...]:
    """Scan many texts as one, which is cheaper for many small ones, and say where each value stood."""
    by_reading: dict[str, list[tuple[str, str]]] = {"joined": [], "apart": [], "tags": []}
    for where, text in pieces:
        for name, reading in readings(text)._asdict().items():
            if reading:
                by_reading[name].append((where, reading))
    joined, apart, tags = map(_count, by_reading.values())
    found = (joined | _only_apart(apart, joined)) + tags
    return tuple(
        Hit(kind, where, KINDS[kind].mask(value), count, short_digest(kind, value), value)
        for (where, kind, value), count in found.items()
    )


def _only_apart(apart: Counter[_Key], joined: Counter[_Key]) -> Counter[_Key]:
    """What is found where tags are cut, without the rests of values that are whole where inline tags are taken out."""
    more = [key for key in apart if key not in joined]
    if len(more) > _MOST_COMPARED:
        return apart
    whole: dict[str, list[str]] = {}
    for where, _, value in joined:
        whole.setdefault(where, []).append(_bare(value))
    rests = {key for key in more if any(_bare(key[2]) in value for value in whole.get(key[0], []))}
    return Counter({key: count for key, count in apart.items() if key not in rests})


def _bare(value: str) -> str:
    return "".join(filter(str.isalnum, value))


def _count(parts: list[tuple[str, str]]) -> Counter[_Key]:
    """How often each value stands in each place."""
    starts, length = [], 0
    for _, text in parts:
        starts.append(length)
        length += len(text) + 1
    whole = "\n".join(text for _, text in parts)
    found: Counter[_Key] = Counter()
    for name, kind in KINDS.items():
        matches = list(kind.find(whole))
        found.update((parts[bisect_right(starts, match.start) - 1][0], name, match.value) for match in matches)
        whole = _without(whole, matches)
    return found


def _without(text: str, matches: list[Match]) -> str:
    """The text with each match blanked out, as long as before."""
    kept, end = [], 0
    for match in sorted(matches):
        kept += [text[end : match.start], "\n" * (match.end - max(match.start, end))]
        end = max(end, match.end)
    return "".join([*kept, text[end:]]) if kept else text
