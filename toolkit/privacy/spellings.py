r"""How one text may be spelled inside another: in JSON, HTML, a URL, a `repr`; a path also below `~`.

>>> sorted(spell_path("/w/a b"))[:2]
['%2Fw%2Fa b', '%2Fw%2Fa%20b']
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from html import escape
from urllib.parse import quote, quote_plus

_SLASHES = ("/", r"\/", r"\\/", "%2F", "%2f", "&#x2F;", "&#x2f;", "&#47;")
_LEAST_BASE64 = 8
_LEAST_LINE = 16


def spell_path(path: str) -> set[str]:
    """Every way in which an absolute path is found in texts; the path itself and `file:` URLs of it included."""
    urls = {f"file://{host}{form}" for host in ("", "localhost") for form in (path, quote(path))}
    return spell_below(path) | urls


def spell_below(path: str) -> set[str]:
    """The same for what comes after the `~` of a path below the home directory, which is no URL."""
    forms = {*_escaped(path), quote(path), quote_plus(path, safe="/")}
    found = {form.replace("/", slash) for form in forms for slash in _SLASHES}
    return found | {_lower_escapes(quoted) for quoted in (quote(path, safe=""), quote_plus(path))}


def spell_secret(value: str) -> set[str]:
    """Every way in which a secret is found in texts: escaped, quoted, in base64 by itself or inside something longer.

    Of a secret of several lines also each long line.
    """
    lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= _LEAST_LINE]
    parts = {value, *(line for line in lines if not line.startswith("-----"))}
    return {form for part in parts for form in (*_escaped(part), *_in_urls(part), *_in_base64(part))}


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield escape(text)
    yield escape(text).replace("&#x27;", "&#39;")
    yield escape(text, quote=False)
    yield repr(text)[1:-1]
    yield repr(text.encode(errors="surrogateescape"))[2:-1]
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]


def _in_urls(text: str) -> Iterator[str]:
    for form in (quote(text), quote(text, safe=""), quote_plus(text)):
        yield form
        yield _lower_escapes(form)


def _lower_escapes(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _in_base64(text: str) -> Iterator[str]:
    data = text.encode(errors="surrogateescape")
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(data).decode().rstrip("=")
        # Inside something longer its letters depend on how many bytes come before, modulo 3; those at both ends mix
        # with their neighbours' and are left out.
        for before in range(3):
            whole = encode(b"\0" * before + data).decode().rstrip("=")
            first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            if last - first >= _LEAST_BASE64:
                yield whole[first:last]
