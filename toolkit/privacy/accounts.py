"""IBANs and payment cards: numbers with a checksum, in a text that `texts.readings` has made plain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from toolkit.privacy.addresses import Match

_IBANS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18
FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
IBAN_LENGTHS = {country: int(length) for country, length in re.findall("([A-Z]{2})([0-9]{2})", _IBANS)}
"""How long an IBAN of each country is. Source: SWIFT, IBAN Registry (ISO 13616-1)."""

_IBAN_HEAD = re.compile(r"[A-Za-z](?<![A-Za-z0-9].)[A-Za-z][0-9]{2}(?=[ -]{0,2}[A-Za-z0-9]{4})")
_NOT_ALNUM = re.compile(r"[^A-Za-z0-9]")


def find_ibans(text: str) -> Iterator[Match]:
    """IBANs of the length of their country and with the right check digits, in one piece or in groups of four.

    >>> [match.value for match in find_ibans("DE89 3704 0044 0532 0130 00, DE88 3704 0044 0532 0130 00")]
    ['DE89370400440532013000']
    """
    for head in _IBAN_HEAD.finditer(text):
        length = IBAN_LENGTHS.get(head[0][:2].upper())
        whole = _iban_form(length).match(text, head.start()) if length else None
        if whole is None:
            continue
        value = _NOT_ALNUM.sub("", whole[0]).upper()
        if int("".join(str(int(each, 36)) for each in value[4:] + value[:4])) % 97 == 1:
            yield Match(*whole.span(), value)


@cache
def _iban_form(length: int) -> re.Pattern[str]:
    groups, rest = divmod(length - 4, 4)
    tail = f"[ -]{{1,2}}[A-Z0-9]{{{rest}}}" if rest else ""
    grouped = f"[A-Z0-9]{{4}}(?:[ -]{{1,2}}[A-Z0-9]{{4}}){{{groups}}}{tail}"
    return re.compile(f"(?:[A-Za-z0-9]{{{length}}}|{grouped})(?![A-Za-z0-9])")


_CARD = re.compile(
    r"[2-6](?<![\w.\[].)(?<![0-9]-.)(?:"
    r"[0-9]{11,18}"
    r"|(?<![0-9] .)[0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3}(?![0-9]))?(?![ -][0-9]{4}| [0-9]+ +[0-9])"
    r"|(?<=3)[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}"
    r")(?![\w\]]|[.-][0-9])"
)
_ISSUERS = (
    (r"4", (16,)),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
    (r"3[47]", (15,)),  # American Express
    (r"30[0-5]|3095|3[689]", (14, 16)),  # Diners Club
    (r"6011|64[4-9]|65", (16, 19)),  # Discover
    (r"35(?:2[89]|[3-8])", (16,)),  # JCB
    (r"62", (16, 17, 18, 19)),  # UnionPay
    (r"220[0-4]", (16, 17, 18, 19)),  # Mir
    (r"5018|5020|5038|5893|6304|6759|676[1-3]", (16, 17, 18, 19)),  # Maestro
    (r"60|508", (16,)),  # RuPay
)
_RARE_ISSUERS = (
    # Out of use or nearly so, and how EANs, hashes and counters look: only after a word that says what it is.
    (r"4", (13, 19)),
    (r"35|2131", (15, 16)),
    (r"50|5[6-9]|6", (12, 13, 14, 15, 16, 17, 18, 19)),
)
_CARD_WORD = re.compile(r"card|visa|maestro|jcb|credit|payment|carte|karte|kart|\bpan\b", re.IGNORECASE)


def _by_length(issuers: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[int, re.Pattern[str]]:
    return {
        length: re.compile("|".join(prefix for prefix, lengths in issuers if length in lengths) or "(?!)")
        for length in range(12, 20)
    }


_ISSUER, _RARE_ISSUER = _by_length(_ISSUERS), _by_length(_RARE_ISSUERS)
_DOUBLED = [sum(divmod(2 * digit, 10)) for digit in range(10)]


def find_cards(text: str) -> Iterator[Match]:
    """Payment cards: an issuer's prefix, its length and Luhn's check digit; in one piece or grouped as printed.

    >>> [match.value for match in find_cards("4111 1111 1111 1111, 4111 1111 1111 1112, 0.4111111111111111")]
    ['4111111111111111']
    """
    for found in _CARD.finditer(text):
        value = found[0].replace(" ", "").replace("-", "")
        if _is_of_issuer(value, text, found.start()) and _passes_luhn(value) and not _is_in_row(text, found):
            yield Match(*found.span(), value)


def _is_of_issuer(value: str, text: str, start: int) -> bool:
    if _ISSUER[len(value)].match(value):
        return True
    return bool(_RARE_ISSUER[len(value)].match(value) and _CARD_WORD.search(text, max(0, start - 32), start))


def _is_in_row(text: str, found: re.Match[str]) -> bool:
    """Whether groups with spaces stand in a line of nothing but more numbers, such as the row of a matrix."""
    if " " not in found[0]:
        return False
    before = text[max(0, found.start() - 80) : found.start()].rpartition("\n")[2]
    after = text[found.end() : found.end() + 80].partition("\n")[0]
    numbers = f"{before} {after}".split()
    return len(numbers) > 2 and all(number.isdecimal() for number in numbers)


def _passes_luhn(digits: str) -> bool:
    numbers = [int(digit) for digit in reversed(digits)]
    return (sum(numbers[::2]) + sum(_DOUBLED[number] for number in numbers[1::2])) % 10 == 0
