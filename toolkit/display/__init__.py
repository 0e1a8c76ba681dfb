"""How numbers, tables and figures look: one formatter that reads the name's suffix, one table, one theme."""

from toolkit.display.numbers import format_count, format_instant_day, format_interval, format_number
from toolkit.display.pictures import PALETTE, Picture, notice, picture
from toolkit.display.tables import table_html
from toolkit.display.texts import shortened

__all__ = [
    "PALETTE",
    "Picture",
    "format_count",
    "format_instant_day",
    "format_interval",
    "format_number",
    "notice",
    "picture",
    "shortened",
    "table_html",
]
