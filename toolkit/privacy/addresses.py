"""E-mail and IP addresses in a text that `texts.readings` has made plain.

What looks like one and is none: a package and its version (`delay@3`), a matrix product (`X@beta.values`), a file
(`logo@2x.png`), git's remote (`git@host:path`), a version of four numbers, a section, a network, a loopback address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_network
from typing import NamedTuple


class Match(NamedTuple):
    """A value in its normal form, and where in the text it stands."""

    start: int
    end: int
    value: str


_DOMAIN = re.compile(
    r"@(?<=[\w+-]@)(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}"
    r"(?P<top>xn--[a-z0-9-]{1,58}[a-z0-9]|[^\W\d_]{2,24}))(?![^\W_]|_\w)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"\d+\.\d")
_FILE_ENDS = """
arrow avro bak bin cfg conf css csv db dll exe feather gif gz htm html ico ini ipynb jpeg jpg js json jsonl lock log
map npy npz orc parquet pdf pkl png rst service sock sql sqlite svg tar tex timer toml tsv txt webp whl xls xlsx xml
yaml yml
"""
_CODE = """
args astype cat coef columns copy corr cov data dot dt dtype dtypes empty flat iloc imag index inv item items keys
kwargs linalg loc max mean median min names ndim numpy ones ravel real reshape shape size std str sum transpose values
var weight weights zeros
"""
_NO_TOP_DOMAINS = frozenset(re.findall("[a-z]+", _FILE_ENDS + _CODE))
"""What comes after the last dot of files' names and of attributes in code, and is hardly anybody's domain."""


def find_emails(text: str) -> Iterator[Match]:
    """E-mail addresses with a top-level domain, in any script; in lower case.

    >>> [match.value for match in find_emails("Ada.Lovelace+x@Example.org, delay@3, X@beta.values")]
    ['ada.lovelace+x@example.org']
    """
    if "@" not in text:
        return
    for found in _DOMAIN.finditer(text):
        at, end = found.span()
        name = _local_part(text, at)
        after = text[end : end + 1]
        if not name or found["top"].lower() in _NO_TOP_DOMAINS or _VERSION.match(found["domain"]):
            continue
        if after in {"(", "["} or (after in {":", "/"} and name.lower() == "git"):
            continue
        yield Match(at - len(name), end, f"{name}@{found['domain']}".casefold())


def _local_part(text: str, at: int) -> str:
    start, first = at, max(0, at - 64)
    while start > first and (text[start - 1].isalnum() or text[start - 1] in "._+'-"):
        start -= 1
    return text[start:at].lstrip(".'-")


# Each begins with what is rarer than a digit and reads on to the left from there.
_REST_OF_FOUR = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?!\.?\w|-[A-Za-z])", re.ASCII)
_COLONS = re.compile(r"::|:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){6}(?![\w:])")
_SIX = re.compile(r"[0-9a-fA-F:]{1,40}")
_ALLOCATED = re.compile(r"[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:", re.IGNORECASE)
_DIGITS, _HEXADECIMAL = frozenset("0123456789"), frozenset("0123456789abcdefABCDEF:")
_MASK = re.compile(r"/([0-9]{1,3})(?![0-9])")
_VERSION_WORDS = {"v", "ver", "version", "release", "build", "revision", "section", "chapter"}
_ADDRESS_WORDS = {"ip", "ips", "ipv4", "addr", "address", "host", "client", "peer", "server"}


def find_addresses(text: str) -> Iterator[Match]:
    """IP addresses that can be somebody's, in their shortest form.

    Public, private and documentation addresses; not loopback, link-local, multicast, reserved or unspecified ones, and
    no network (`10.0.0.0/8`). Four numbers are a version or a section when a word says so, when the last two are 0, or
    when they are no private address, the first is below 100 and the two in the middle are below 10; unless a word such
    as `ip` or `host` stands before them.

    >>> [match.value for match in find_addresses("from 203.0.113.7 and 2001:DB8:0:0::1, version 10.0.0.2, 8.10.0.0/16")]
    ['203.0.113.7', '2001:db8::1']
    """
    for rest in _REST_OF_FOUR.finditer(text):
        start = _begin(text, rest.start(), _DIGITS, most=3)
        quad, before = text[start : rest.end()], text[max(0, start - 16) : start]
        if start < rest.start() and _is_of_somebody(quad, before) and not _is_network(quad, text, rest.end()):
            yield Match(start, rest.end(), quad)
    end = 0
    for colons in _COLONS.finditer(text):
        if colons.start() >= end:
            start = _begin(text, colons.start(), _HEXADECIMAL, most=40)
            run = _SIX.match(text, start)
            end = run.end() if run else colons.end()
            yield from _read_six(text, start, end)


def _begin(text: str, start: int, allowed: frozenset[str], *, most: int) -> int:
    """Where the run of allowed characters begins that ends before `start`."""
    first = max(0, start - most)
    while start > first and text[start - 1] in allowed:
        start -= 1
    return start


def _read_six(text: str, start: int, end: int) -> Iterator[Match]:
    """The address in a run of hexadecimal groups: of all eight, or a shortened one of those that are given out."""
    start += text.startswith(":", start) and not text.startswith("::", start)
    end -= text.endswith(":", start, end) and not text.endswith("::", start, end)
    run, before = text[start:end], text[max(0, start - 1) : start]
    groups = [group for group in run.split(":") if group]
    if before == "." or any(each.isalnum() or each == "_" for each in (before, text[end : end + 1])):
        return
    if "::" in run and (len(groups) < 3 or not _ALLOCATED.match(run)):  # a slice, a path in C++ or Rust
        return
    if max(map(len, groups), default=0) < 3:  # pairs of digits are a name of hardware
        return
    try:
        address = IPv6Address(run)
    except ValueError:
        return
    if not (address.is_multicast or address.is_link_local or _is_network(run, text, end)):
        yield Match(start, end, str(address))


def _is_of_somebody(quad: str, before: str) -> bool:
    if before[-1:].isalnum() or before[-1:] in {"_", "."} or (before[-1:] == "-" and before[-2:-1].isalpha()):
        return False  # the rest of something longer
    parts = quad.split(".")
    first, second, third, last = numbers = [int(part) for part in parts]
    if max(numbers) > 255 or any(len(part) > 1 and part[0] == "0" for part in parts):
        return False
    if first in {0, 127} or first >= 224 or (first, second) == (169, 254):
        return False
    word = _last_word(before)
    if word in _VERSION_WORDS:
        return False
    if word in _ADDRESS_WORDS:
        return True
    is_private = first == 10 or (first == 172 and 16 <= second < 32) or (first, second) == (192, 168)
    return (third, last) != (0, 0) and (is_private or first > 99 or second > 9 or third > 9)


def _last_word(before: str) -> str:
    """The word that ends `before`, in lower case; `version` for an operator that compares versions, or a §."""
    bare = before.rstrip(" '\"")
    if bare.endswith(("==", ">=", "<=", "~=", "!=", "§")):
        return "version"
    bare = bare.rstrip(".:=_([ ")
    start = len(bare)
    while start and bare[start - 1].isalnum():
        start -= 1
    return bare[start:].lower()


def _is_network(address: str, text: str, end: int) -> bool:
    mask = _MASK.match(text, end)
    if mask is None:
        return False
    try:
        network = ip_network(f"{address}/{mask[1]}")
    except ValueError:  # host bits are set: the address of one machine, with its network
        return False
    return network.num_addresses > 1
