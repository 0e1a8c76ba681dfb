"""Delivery of one message to one URL, through apprise; what went wrong is a reason without the URL's secrets."""

from __future__ import annotations

import logging
import re

from toolkit.signals.groups.harm import Level

_KINDS = {"high": "failure", "medium": "warning", "low": "info", "unmeasured": "info"}
"""Severity to what apprise calls the kind of a message: services show it as a colour or a sign."""

_SHORTEST_PIECE = 4
_LONGEST_REASON = 300


def deliver(url: str, title: str, body: str, level: Level) -> str:
    """Send a message once; "" when the service has taken it, else the reason why not.

    A service that does not answer is given up after a few seconds (apprise's own limits, `rto` and `cto` in the URL).
    """
    import apprise

    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
        sender = apprise.Apprise()
        if not sender.add(url):
            return "the secret holds no URL that apprise knows (such as json://host/path, slack://… or mailto://…)"
        taken = sender.notify(body=body, title=title, notify_type=_KINDS[level], body_format=apprise.NotifyFormat.TEXT)
        reason = " ".join(said.getvalue().split())
    return "" if taken else hide_pieces(reason or "the service did not take it", url)[:_LONGEST_REASON]


def hide_pieces(text: str, url: str) -> str:
    """`text` without any part of a URL that may open something: user, password, host, path, and what is asked.

    >>> hide_pieces("refused by hooks.example.org, token T0K3N", "jsons://hooks.example.org/T0K3N")
    'refused by …, token …'
    """
    _, _, rest = url.partition("://")
    pieces = {rest, *re.split(r"[/:@?&=#]+", rest)}
    for piece in sorted((each for each in pieces if len(each) >= _SHORTEST_PIECE), key=len, reverse=True):
        text = text.replace(piece, "…")
    return text
