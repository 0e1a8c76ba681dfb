"""Personal data of nobody, planted into texts as reports have them: what a scan should find, made without its code."""

from __future__ import annotations

import html
import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Planted(NamedTuple):
    """One value, the text it stands in, and the value in the form in which a scan gives it."""

    kind: str
    value: str
    text: str
    spelling: str
    context: str


_GIVEN = [
    "ada.lovelace", "grace_hopper", "alan-turing", "j.w.tukey", "r+a+fisher", "o'neil", "x7", "m.müller", "王小明",
    "наталья", "josé", "sales", "info99",
]  # fmt: skip  # its lines group what belongs together
_HOSTS = [
    "example.org", "mail.example.com", "example.co.uk", "uni-köln.de", "例え.jp", "corp.example.internal",
    "ex-ample.io", "xn--bcher-kva.ch",
]  # fmt: skip  # its lines group what belongs together
_BBAN = {
    "DE": "n" * 18,
    "GB": "aaaa" + "n" * 14,
    "FR": "n" * 10 + "c" * 11 + "nn",
    "NO": "n" * 11,
    "NL": "aaaa" + "n" * 10,
}
_BBAN |= {"AT": "n" * 16, "PL": "n" * 24, "MT": "aaaa" + "n" * 5 + "c" * 18, "CH": "n" * 5 + "c" * 12, "ES": "n" * 20}
_CARDS = {
    "4": 16,
    "51": 16,
    "55": 16,
    "2221": 16,
    "2720": 16,
    "34": 15,
    "37": 15,
    "36": 14,
    "6011": 16,
    "3528": 16,
    "62": 16,
}
_PHONES = {
    # How the country's people write a number (# any digit, N from 2 to 9), and what has to come out.
    "+49 30 ########": "+4930########",
    "+49 (0)171 #######": "+49171#######",
    "+44 20 7### ####": "+44207#######",
    "+44 (0) 20 7###-####": "+44207#######",
    "+1 (N12) N55-01##": "+1N12N5501##",
    "+1-N12-N55-01##": "+1N12N5501##",
    "+1N12N5501##": "+1N12N5501##",
    "+1.N12.N55.01##": "+1N12N5501##",
    "+33 6 12 ## ## ##": "+33612######",
    "+34 612 ### ###": "+34612######",
    "+353 20 91# ####": "+3532091#####",
    "+91 98### #####": "+9198########",
    "+86 138 #### ####": "+86138########",
    "(+41) 44 ### ## ##": "+4144#######",
    "+47 2# ## ## ##": "+472#######",
    "+358401######": "+358401######",
    "0049 30 ########": "+4930########",
    "004930########": "+4930########",
    "(N12) N55-01##": "N12N5501##",
    "N12-N55-01##": "N12N5501##",
    "N12.N55.01##": "N12N5501##",
    "1-800-N55-01##": "800N5501##",
    "020 7946 0###": "02079460###",
    "(020) 7946 0###": "02079460###",
    "01632 960###": "01632960###",
    "07700 900###": "07700900###",
    "030/23125 ###": "03023125###",
    "0171-3920###": "01713920###",
    "01 99 00 3# 8#": "0199003#8#",
    "06.39.98.1#.7#": "0639981#7#",
    "08-465 004 ##": "08465004##",
    "0491 570 ###": "0491570###",
    "03-1234-5###": "0312345###",
    "(11) 9####-####": "119########",
    "Tel. 2125550###": "2125550###",
    "phone number: 2125550###": "2125550###",
}


def plant(*, seed: int, rounds: int) -> list[Planted]:
    """`rounds` values of each kind, each in every spelling it has, each spelling in a context drawn for it."""
    rng = random.Random(seed)
    return [
        Planted(kind, value, wrap(spelled), spelling, context)
        for _ in range(rounds)
        for kind, make in _MAKERS.items()
        for value, spelling, spelled in make(rng)
        for context, wrap in [rng.choice(list(CONTEXTS.items()))]
    ]


def _emails(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    local, host = rng.choice(_GIVEN), rng.choice(_HOSTS)
    value = f"{local}@{host}"
    plain = _plain(value)
    yield plain, "as it is", value
    yield plain, "in capitals", value.upper() if value.isascii() else value
    yield plain, "full-width", "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)
    yield plain, "with zero-width characters", "\u200b".join(value)


def _ibans(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    country, form = rng.choice(list(_BBAN.items()))
    pools = {"n": "0123456789", "a": "ABCDEFGHJK", "c": "0123456789ABCDEFGHJK"}
    bban = "".join(rng.choice(pools[each]) for each in form)
    number = int("".join(str(int(each, 36)) for each in f"{bban}{country}00"))
    value = f"{country}{98 - number % 97:02d}{bban}"
    groups = [value[start : start + 4] for start in range(0, len(value), 4)]
    yield value, "in one piece", value
    yield value, "in lower case", value.lower()
    yield value, "in groups", " ".join(groups)
    yield value, "in groups with no-break spaces", "\u00a0".join(groups)


def _cards(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    prefix, length = rng.choice(list(_CARDS.items()))
    body = prefix + "".join(rng.choice("0123456789") for _ in range(length - len(prefix) - 1))
    value = next(f"{body}{check}" for check in range(10) if _luhn(f"{body}{check}"))
    cuts = {16: (4, 8, 12), 15: (4, 10), 14: (4, 10)}[length]
    groups = [value[start:end] for start, end in zip((0, *cuts), (*cuts, None), strict=True)]
    yield value, "in one piece", value
    yield value, "with spaces", " ".join(groups)
    yield value, "with dashes", "-".join(groups)
    yield value, "in Arabic digits", "".join(chr(0x0660 + int(digit)) for digit in value)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + index % 2)
        total += number // 10 + number % 10
    return total % 10 == 0


def _addresses(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    four = rng.choice(["203.0.113.{}", "198.51.100.{}", "192.0.2.{}", "10.1.2.{}", "192.168.0.{}", "93.184.216.{}"])
    value = four.format(rng.randint(1, 254))
    yield value, "four numbers", value
    yield value, "with a port", f"{value}:8080"
    group = rng.choice("123456789abcdef")
    yield f"2001:db8::{group}", "short", f"2001:db8::{group}"
    yield f"2001:db8::{group}", "in full", f"2001:0DB8:0000:0000:0000:0000:0000:000{group.upper()}"


def _phones(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    for form in rng.sample(list(_PHONES), 4):
        digits = [rng.choice("0123456789") for _ in range(form.count("#"))]
        high = rng.choice("2345678")
        assert _PHONES[form].count("#") == len(digits), form
        spelled, value = (_fill(text, high, digits) for text in (form, _PHONES[form]))
        yield value, form, spelled


def _fill(form: str, high: str, digits: list[str]) -> str:
    left = iter(digits)
    return "".join(next(left) if each == "#" else high if each == "N" else each for each in form)


def _plain(value: str) -> str:
    """As it is without accents, in lower case: the form in which addresses are compared."""
    import unicodedata

    decomposed = unicodedata.normalize("NFKD", value)
    return "".join(each for each in decomposed if not unicodedata.combining(each)).casefold()


_MAKERS: dict[str, Callable[[random.Random], Iterator[tuple[str, str, str]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
    "phone": _phones,
}

CONTEXTS: dict[str, Callable[[str], str]] = {
    "prose": lambda value: f"Ask Ada ({value}), or nobody.",
    "end of a sentence": lambda value: f"It went to {value}.",
    "a line of its own": lambda value: f"\n{value}\n",
    "cell of a table": lambda value: f'<tr><td class="gt_row">17</td><td>{html.escape(value)}</td><td>0.031</td></tr>',
    "link": lambda value: f'<a target="_blank" title="{html.escape(value)}">write</a>',
    "attribute without quotes": lambda value: f"<p title='{html.escape(value)}' hidden>0.5</p>",
    "bold in parts": lambda value: f"<p><b>{html.escape(value[:3])}</b>{html.escape(value[3:])}</p>",
    "entities": lambda value: "<td>" + "".join(f"&#{ord(each)};" for each in value) + "</td>",
    "hexadecimal entities": lambda value: "<td>" + "".join(f"&#x{ord(each):x};" for each in value) + "</td>",
    "columns of text": lambda value: f"   n  value  share\n0  17  {value}  0.25\n",
    "repr": lambda value: f"{{'n': 3, 'who': {value!r}, 'p': 0.04}}",
    "JSON": lambda value: json.dumps({"n": 3, "who": value, "p": 0.04}),
    "JSON in a script": lambda value: f"<script>var d = {json.dumps([value, 1.5])};</script>",
    "traceback": lambda value: (
        f"\x1b[0;31mKeyError\x1b[0m\x1b[0;31m:\x1b[0m \x1b[1m{value[:2]}\x1b[0m{value[2:]}\x1b[0m"
    ),
    "tabs": lambda value: f"17\t{value}\t0.25",
    "CSV": lambda value: f"id,who,share\n17,{value},0.25\n",
}
"""Where a value may stand in an output."""
