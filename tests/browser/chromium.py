"""A headless Chromium and just enough of its DevTools protocol to open a page and ask it something."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import websocket

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]
PATIENCE_S = 60
PHONE_PX = 390
NOISE = ("Runtime.exceptionThrown", "Log.entryAdded")


class Browser:
    """One tab: `open` a page, then `ask` it an expression; what it asked the network for is in `requested`."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self.socket, self.number, self.events = socket, 0, []

    def call(self, method: str, **parameters: object) -> dict:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, url: str, *, width: int) -> None:
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=True)
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def ask(self, expression: str) -> object:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def requested(self) -> list[str]:
        """Every address that was asked for since the page was opened; of a data address, what is before the comma."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"].split(",")[0] for event in sent]

    def noise(self) -> list[dict]:
        """What the page threw or logged since it was opened: refused scripts, broken addresses."""
        return [event for event in self.events if event["method"] in NOISE]


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """A browser of this test run's own, with `profile` as its folder; ended at the end."""
    process = subprocess.Popen(
        ["chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file, until = profile / "DevToolsActivePort", time.monotonic() + PATIENCE_S
        while not (port_file.exists() and port_file.read_text().strip()):
            assert time.monotonic() < until, "chromium did not open its debugging port"
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S) as answer:
            (page,) = [target for target in json.load(answer) if target["type"] == "page"]
        socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=PATIENCE_S)
        try:
            found = Browser(socket)
            for domain in ("Page", "Network", "Runtime", "Log"):
                found.call(f"{domain}.enable")
            yield found
        finally:
            socket.close()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
