"""Phone numbers in a text that `texts.readings` has made plain.

Analytical reports are full of digits, so a number needs a sign that it is one: a plus and a calling code, a trunk zero
before 8 to 11 digits, a North American, Brazilian or Russian form, or a word such as `Tel.` before it. Lengths are
those of the countries' numbering plans. Digits without any sign are not taken for a phone number.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise

from toolkit.privacy.addresses import Match

_PLANS = """
1:10 7:10 20:8-10 27:9 30:10 31:9-11 32:8-9 33:9 34:9 36:8-9 39:8-11 40:9 41:9 43:7-13 44:9-10 45:8 46:7-10 47:8 48:9
49:7-12 51:8-9 52:10 53:8 54:10-11 55:10-11 56:9 57:8-10 58:10 60:8-10 61:9 62:8-12 63:8-10 64:8-10 65:8 66:8-9 81:9-10
82:8-10 84:9-10 86:10-11 90:10 91:10 92:9-10 93:9 94:9 95:7-10 98:10
211:9 212:9 213:8-9 216:8 218:9 220:7 221:9 222:8 223:8 224:8-9 225:10 226:8 227:8 228:8 229:8-10 230:7-8 231:7-9 232:8
233:9 234:8-10 235:8 236:8 237:9 238:7 239:7 240:9 241:7-8 242:9 243:7-9 244:9 245:7-9 246:7 247:5-6 248:7 249:9 250:9
251:9 252:7-9 253:8 254:7-10 255:9 256:9 257:8 258:8-9 260:9 261:9 262:9 263:8-9 264:8-9 265:7-9 266:8 267:7-8 268:8
269:7 290:5 291:7 297:7 298:6 299:6 350:8 351:9 352:6-11 353:7-9 354:7-9 355:8-9 356:8 357:8 358:6-12 359:7-9 370:8
371:8 372:7-8 373:8 374:8 375:9 376:6-9 377:8-9 378:8-10 380:9 381:8-9 382:8 383:8 385:8-9 386:8 387:8 389:8 420:9 421:9
423:7-9 500:5 501:7 502:8 503:8 504:8 505:8 506:8 507:7-8 508:6-9 509:8 590:9 591:8 592:7 593:8-9 594:9 595:9 596:9
597:6-7 598:8 599:7-8 670:7-8 672:6 673:7 674:7 675:7-8 676:5-7 677:5-7 678:5-7 679:7 680:7 681:6 682:5 683:4-7 685:5-7
686:5-8 687:6 688:5-7 689:6-8 690:4-7 691:7 692:7 800:8 850:8-10 852:8 853:8 855:8-9 856:8-10 870:9 880:8-10 881:9-10
886:8-9 960:7 961:7-8 962:8-9 963:8-9 964:8-10 965:8 966:9 967:7-9 968:8 970:8-9 971:8-9 972:8-9 973:8 974:8 975:7-8
976:8 977:8-10 992:9 993:8 994:9 995:9 996:9 998:9
"""
_LENGTHS = {
    code: range(int(shortest), int(longest or shortest) + 1)
    for code, shortest, longest in re.findall(r"(\d+):(\d+)(?:-(\d+))?", _PLANS)
}
"""Calling code to how many digits follow it. Source: ITU-T E.164 numbering plans, as they are dialled from abroad."""

_RUN = re.compile(r"[0-9]{1,15}(?![0-9])\)?(?:(?:(?: ?[./-] ?| )\(?|\(|(?<=\)))[0-9]{1,12}(?![0-9])\)?){0,8}")
_GROUP = re.compile(r"[0-9]+\)?")
_END = re.compile(r"(?=x[0-9]{1,6}\b)|(?!\w|[.:][0-9]|%)")
_NOT_DIGIT = re.compile(r"[^0-9]+")
_NORTH_AMERICAN = re.compile(r"[2-9][0-8][0-9][2-9][0-9]{6}")

# Each begins with what is rare and looks back from there: the search then runs at the speed of a search for that.
_PLUS = re.compile(r"\+(?<![\w+]\+)\(?(?=[1-9])")
_ZEROS = re.compile(r"00(?<![\w.:/+-]00)(?<![0-9]{2} 00) ?(?=[1-9])")
_TRUNK = re.compile(r"0(?<![\w.:/+-]0)(?<![0-9]{2} 0)(?<![0-9]\) \(0)(?=[1-9](?:[0-9]{0,5}[ )/.-]|[0-9]{8}))")
_NAMED = re.compile(
    r"[TtFfPpMm](?<!\w.)(?:(?<=[Tt])el(?:e[pf](?:h)?on(?:e)?)?|(?<=[Ff])(?:on|ax)|(?:(?<=[Pp])hone|(?<=[Mm])obile)"
    r"[ _-]?(?:[Nn]o|[Nn]r|[Nn]umber))\b[.:=\"' ]{1,4}\(?(?=[0-9])"
)
_AFTER = r"(?!(?!x[0-9])[\w/-]|[.:][0-9])"  # an extension may follow
_FORMS = (
    re.compile(rf"8(?<![\w.:/+-].) ?\([0-9]{{3}}\) ?[0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}{_AFTER}"),  # Russia
    re.compile(rf"\([1-9][1-9]\) ?9?[0-9]{{4}}-[0-9]{{4}}{_AFTER}"),  # Brazil
    re.compile(rf"\([2-9][0-8][0-9]\) ?[2-9][0-9]{{2}}[ .-][0-9]{{4}}{_AFTER}"),  # North America, and the next
    re.compile(
        r"[2-9](?:(?<![\w.:/+-].)|(?<=\b1[.-].))[0-8][0-9](?P<same>[.-])[2-9][0-9]{2}(?P=same)"
        rf"[0-9]{{4}}{_AFTER}"
    ),
)
_DATE = re.compile(r"0[0-9]([./-])[0-9]{1,2}\1(?:[0-9]{4}|[0-9]{2})(?![0-9])")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3])[0-5][0-9]")


def find_phones(text: str) -> Iterator[Match]:
    """Phone numbers: `+` and digits when the calling code is there, else the digits as they are dialled at home.

    >>> [match.value for match in find_phones("+44 (0)20 7946 0018, (212) 555-0123, 030/2312 5001, +12,345 rows")]
    ['+442079460018', '03023125001', '2125550123']
    """
    yield from (found := [*_find_signed(text)])
    starts = [match.start for match in sorted(found)]
    ends = [match.end for match in sorted(found)]
    for form in _FORMS:
        for local in form.finditer(text):
            if bisect_left(starts, local.end()) == bisect_right(ends, local.start()):  # not the rest of a longer one
                yield Match(*local.span(), _NOT_DIGIT.sub("", local[0]))


def _find_signed(text: str) -> Iterator[Match]:
    for heads, read in ((_PLUS, _read_abroad), (_ZEROS, _read_abroad), (_TRUNK, _read_trunk), (_NAMED, _read_named)):
        end = 0
        for head in heads.finditer(text):
            begin = head.start() if heads is _TRUNK else head.end()
            if head.start() >= end and (match := _longest(text, head.start(), begin, read)):
                end = match.end
                yield match


def _longest(text: str, start: int, begin: int, read: Callable[[str], str | None]) -> Match | None:
    """The longest run of groups of digits at `begin` that `read` makes a number of; it is told to begin at `start`."""
    run = _RUN.match(text, begin)
    if run is None:
        return None
    ends, digits = [], 0
    for group in _GROUP.finditer(text, begin, run.end()):
        digits += len(group[0])
        if digits > 16:
            break
        ends.append(group.end())
    for end in reversed(ends):
        if end - begin < 6:
            break
        if _END.match(text, end) and (value := read(text[begin:end])):
            return Match(start, end, value)
    return None


def _read_abroad(run: str) -> str | None:
    digits = _NOT_DIGIT.sub("", run.replace("(0)", ""))
    if _is_decimal(run):
        return None
    code = next((digits[:length] for length in (1, 2, 3) if digits[:length] in _LENGTHS), None)
    if code is None:
        return None
    # As it is, else without a trunk zero that was kept by mistake.
    for national in (digits[len(code) :], digits[len(code) :].removeprefix("0")):
        if len(national) in _LENGTHS[code] and (code != "1" or _NORTH_AMERICAN.fullmatch(national)):
            return f"+{code}{national}"
    return None


def _read_trunk(run: str) -> str | None:
    groups = re.findall(r"[0-9]+", run)
    digits = "".join(groups)
    if len(groups) == 1:
        return digits if len(digits) in {10, 11} else None
    if not 9 <= len(digits) <= 12 or (len(digits) == 9 and len(groups) == 2 and len(groups[1]) < 6):
        return None
    if _is_decimal(run):
        return None
    if all(len(group) == 2 for group in groups):
        return digits if len(groups) == 5 and not _is_progression(groups) else None
    if _DATE.match(run) or all(group[0] == "0" for group in groups):
        return None
    if len(digits) == 12 and (len(groups) > 2 or all(_CLOCK.fullmatch(group) for group in groups)):
        return None
    return digits if min(len(group) for group in groups) > 1 else None


def _is_decimal(run: str) -> bool:
    """Whether its dots are not the separators of a phone number: a single one, or some beside other separators."""
    separators = [each for part in _NOT_DIGIT.findall(run) if (each := part.strip(" ()"))]
    return separators == ["."] or ("." in separators and set(separators) != {"."})


def _is_progression(groups: list[str]) -> bool:
    numbers = [int(group) for group in groups]
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    return len(steps) == 1 and max(steps) <= 12


def _read_named(run: str) -> str | None:
    digits = _NOT_DIGIT.sub("", run)
    return digits if (8 if digits == run else 7) <= len(digits) <= 15 and "." not in run else None
