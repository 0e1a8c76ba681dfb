r"""What can be read in an output: colours, tags, entities and look-alike characters taken away.

`readings` gives the texts in which personal data are looked for, so that a value is found however it is spelled.

>>> readings("<td title='j&#64;x.org'>j<wbr>&commat;x.org</td>")
Readings(joined='\nj@x.org\n', apart='\nj\n@x.org\n', tags="<td title='j@x.org'>\n<wbr>\n</td>")
>>> readings("\x1b[31mｊ＠ｘ.org\x1b[0m").joined
'j@x.org'
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import NamedTuple

_COLOUR = re.compile(r"(?:\x1b|\\(?:x1[bB]|033|e|u001[bB]))\[[0-9;:?]{0,24}[A-Za-z]")
_ESCAPES = ("\x1b[", "\\x1b[", "\\x1B[", "\\033[", "\\e[", "\\u001b[", "\\u001B[")
_BASE64 = re.compile(r"base64,[A-Za-z0-9+/=]{32,}")
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|b|bdi|bdo|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strong|sub|sup|time|tspan|tt|"
    r"u|var|wbr)(?=[\s/>])[^<>]*>",
    re.IGNORECASE,
)
_STYLE = re.compile(r"<style\b", re.IGNORECASE)
_STYLE_END = re.compile(r"</style", re.IGNORECASE)
_JSON_ESCAPE = re.compile(r"\\u(?!00[01])([0-9a-fA-F]{4})")
_URL_ESCAPE = re.compile(r"%(40|2[bB])")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


class Readings(NamedTuple):
    """The texts that a person, or a program that copies, finds in an output.

    Attributes
    ----------
    joined: with inline tags taken out, so that `j<b>@</b>x.org` is whole; the whole text when there are no tags.
    apart: with every tag cut, so that two neighbours stay apart; empty where that is the same.
    tags: the tags themselves, each once, for what stands in attributes.
    """

    joined: str
    apart: str = ""
    tags: str = ""


def readings(text: str) -> Readings:
    """What can be read in a text; style sheets and the base64 of `data:` URIs are left out."""
    if "base64," in text:
        text = _BASE64.sub("", text)
    if "<" not in text:
        return Readings(_normalise(text))
    text = _without_styles(text)
    tags = dict.fromkeys(_TAG.findall(text))
    if not tags:
        return Readings(_normalise(text))
    joined, apart = _TAG.sub("\n", _INLINE_TAG.sub("", text)), _TAG.sub("\n", text)
    return Readings(_normalise(joined), _normalise(apart) if joined != apart else "", _normalise("\n".join(tags)))


def split_colours(text: str) -> tuple[str, list[tuple[int, str]]]:
    r"""The text without a terminal's colours, and each of these with its place in that text.

    Found are codes as they are, and as `repr` or JSON spells them.

    >>> split_colours("a\x1b[1mb")
    ('ab', [(1, '\x1b[1m')])
    """
    if "[" not in text or not any(escape in text for escape in _ESCAPES):
        return text, []
    colours, taken = [], 0
    for code in _COLOUR.finditer(text):
        colours.append((code.start() - taken, code[0]))
        taken += len(code[0])
    return _COLOUR.sub("", text), colours


def _without_styles(text: str) -> str:
    kept: list[str] = []
    end = 0
    while begin := _STYLE.search(text, end):
        kept.append(text[end : begin.start()])
        close = _STYLE_END.search(text, begin.end())
        if close is None:  # an unclosed one: read on behind its name, nothing may hide in it
            kept.append("\n")
            return "".join([*kept, text[begin.end() :]])
        end = close.start()
    return "".join([*kept, text[end:]]) if kept else text


def _normalise(text: str) -> str:
    text, _ = split_colours(text)
    if "\\xa" in text:  # how `repr` writes a no-break space and a soft hyphen
        text = text.replace("\\xa0", " ").replace("\\xad", "")
    if "\\u" in text:
        text = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if "%" in text:
        text = _URL_ESCAPE.sub(lambda found: "@" if found[1] == "40" else "+", text)
    if "&" in text:
        text = unescape(text)
    if text.isascii():
        return text
    return _FOREIGN.sub(lambda found: found[0].translate(_PLAIN), unicodedata.normalize("NFKD", text))


class _Plain(dict[int, str]):
    """What a character that is not ASCII is read as; it fills itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category in {"Cf", "Mn", "Me"}:  # invisible, or an accent
            plain = ""
        elif category == "Nd":
            plain = str(unicodedata.decimal(character))
        elif category == "Pd" or character == "\N{MINUS SIGN}":
            plain = "-"
        elif category == "Zs":
            plain = " "
        else:
            plain = character
        self[code] = plain
        return plain


_PLAIN = _Plain()
