"""A published report in a real browser: nothing is fetched, nothing runs, and a phone can show it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request

import pytest
import websocket

from conftest import copy_flights
from toolkit.reports import RunRequest, run_report

pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None,
    reason="needs Debian's chromium (.ci/run installs it): a page is judged by a browser",
)

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


class Browser:
    """Just enough of Chromium's DevTools protocol to open a page and ask it something."""

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
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"].split(",")[0] for event in sent]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
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


@pytest.fixture(scope="module")
def page(flights_root, tmp_path_factory):
    workspace = copy_flights(flights_root, tmp_path_factory.mktemp("browser") / "flights")
    return run_report(RunRequest(workspace.root, "experiment_readout", {"experiment": "delay-v2"})).page


def test_the_page_is_one_file_and_quiet(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert {url for url in browser.requested() if not url.startswith("data:image/png;base64")} == {page.as_uri()}
    noise = [event for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert noise == []
    assert browser.ask("document.title") == "Experiment readout"


def test_a_phone_needs_no_sideways_scrolling(browser, page):
    browser.open(page.as_uri(), width=PHONE_PX)
    assert browser.ask("document.documentElement.scrollWidth") <= PHONE_PX
    assert browser.ask("Math.max(...[...document.images].map(i => i.getBoundingClientRect().right))") <= PHONE_PX


def test_code_is_folded_and_figures_have_words(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert browser.ask("document.querySelectorAll('details').length") >= 5
    assert browser.ask("document.querySelectorAll('details[open]').length") == 0
    assert browser.ask("[...document.images].length") >= 1
    assert browser.ask("[...document.images].every(i => i.naturalWidth > 0 && i.alt.length > 40)")
