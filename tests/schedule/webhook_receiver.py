"""A real webhook on this machine: what it was sent, and what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """Where it listens, the bodies that it took, in order, and the statuses it answers with before it answers 200."""

    url: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    answers: list[int] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        """The titles of what it took."""
        return [body["title"] for body in self.taken]


@contextmanager
def listen() -> Iterator[Webhook]:
    """A webhook that listens until the end of the block; its URL as apprise writes it."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = webhook.answers.pop(0) if webhook.answers else 200
            if status == 200:
                webhook.taken.append(body)
            else:
                webhook.refused += 1
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    webhook.url = f"json://127.0.0.1:{server.server_address[1]}/t0ps3cret"
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
