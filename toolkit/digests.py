r"""Canonical bytes, digests and assignment buckets.

>>> canonical_bytes({"b": 1, "a": ["ü"]})
b'{"a":["\xc3\xbc"],"b":1}'
>>> digest_bytes(b"")[:19]
'sha256:e3b0c44298fc'
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.checks import check_in
from toolkit.errors import ArgumentError

ASSIGNMENT_HASHES = {"flagd-fractional": (2,)}
"""Known assignment hashes and their versions. `flagd-fractional` 2: murmur3 x86 32-bit (seed 0) of key + unit id in
UTF-8, unsigned, times the total weight, shifted right by 32 bits: a weight in `0 … total - 1`, so that a flagd flag
with the same key and weights assigns the same units."""


def _refuse_floats(value: Any, at: str) -> None:
    if isinstance(value, float):
        raise ArgumentError(
            f"{at} == {value!r}: floats have no one canonical text; write the number as a decimal string"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ArgumentError(f"{at}: key {key!r} must be a string")
            _refuse_floats(item, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_floats(item, f"{at}[{index}]")


def canonical_bytes(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8: the bytes that are hashed (RFC 8785 without floats).

    Raises `ArgumentError` for floats and for keys that are not strings.
    """
    _refuse_floats(value, "value")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def document_bytes(value: Any) -> bytes:
    """Indented JSON with sorted keys for the files of a report: the same value gives the same bytes.

    NaN and infinity are refused (`ValueError`): an absent number is `null` with a reason beside it.
    """
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def digest_bytes(data: bytes) -> str:
    """`sha256:` and the hexadecimal digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_value(value: Any) -> str:
    """The digest of a value's canonical bytes."""
    return digest_bytes(canonical_bytes(value))


def digest_file(path: Path) -> str:
    """The digest of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def assign_variant(
    unit_id: str,
    weights: Mapping[str, int],
    *,
    key: str,
    name: str = "flagd-fractional",
    version: int = 2,
) -> str:
    """The variant that a unit is assigned to: a pure function of unit, key and weights.

    Parameters
    ----------
    unit_id: the randomisation unit.
    weights: variant to whole-number weight; order matters, as in flagd.
    key: the flag key; another key gives an independent assignment.

    >>> [assign_variant(u, {"control": 50, "treatment": 50}, key="demo") for u in ("a", "b", "c", "d")]
    ['treatment', 'control', 'treatment', 'control']
    """
    import mmh3

    check_in(name, ASSIGNMENT_HASHES, noun="assignment hash")
    if version not in ASSIGNMENT_HASHES[name]:
        raise ArgumentError(f"{name} has no version {version}; known: {', '.join(map(str, ASSIGNMENT_HASHES[name]))}")
    total = sum(weights.values())
    bucket = (mmh3.hash(key + unit_id, 0, signed=False) * total) >> 32
    end = 0
    for variant, weight in weights.items():
        end += weight
        if bucket < end:
            return variant
    raise ArgumentError(f"weights == {dict(weights)}, must be whole numbers above 0")
