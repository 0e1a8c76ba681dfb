"""A Voilà server of a test's own, as anybody starts one, and its pages over HTTP."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from kernels.conftest import PATIENCE_S, is_running

CELLS = (
    "import os\n"
    "parent = open(f'/proc/{os.getppid()}/cmdline').read()\n"
    "print('kernel', os.getpid(), 'forked' if 'zygote.py' in parent else 'cold', flush=True)",
    "import ipywidgets\n"
    "slider = ipywidgets.IntSlider(value=37, max=100, description='canary')\n"
    "double = ipywidgets.Label('twice is 74')\n"
    "slider.observe(lambda change: setattr(double, 'value', f'twice is {2 * change.new}'), 'value')\n"
    "more = ipywidgets.Button(description='more')\n"
    "more.on_click(lambda button: setattr(slider, 'value', slider.value + 4))\n"
    "ipywidgets.VBox([slider, double, more])",
    "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()",
)
"""A notebook that says where its kernel comes from, computes something for its reader, and draws."""


def write_notebook(path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


class Served:
    """A running server: `get` a page; `family`: what lives below it."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def get(self, path: str = "") -> str:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            text: str = answer.read().decode("utf-8")
            return text

    def family(self) -> set[int]:
        """The server's descendants: its zygote and the kernels."""
        found, waiting = set(), [self.process.pid]
        while waiting:
            below = children_of(waiting.pop())
            found |= set(below)
            waiting += below
        return found

    def close(self, number: int) -> float:
        """Signal the server; the seconds until nothing that it started runs any more."""
        family = self.family()
        start = time.monotonic()
        self.process.send_signal(number)
        while (alive := {pid for pid in family if is_running(pid)}) or self.process.poll() is None:
            if time.monotonic() > start + PATIENCE_S:
                raise AssertionError(f"still there after {PATIENCE_S} s: {alive or 'the server'}")
            time.sleep(0.01)
        return time.monotonic() - start


@contextmanager
def serving(notebook: Path, *options: str, env: Mapping[str, str] | None = None, warm: bool = True) -> Iterator[Served]:
    """Voilà unchanged: the only difference is a variable of Jupyter's."""
    provisioner = "toolkit-warm" if warm else "local-provisioner"
    environment = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": provisioner, **(env or {})}
    command = [sys.executable, "-m", "voila", str(notebook), "--no-browser", "--Voila.ip=127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port=18866", "--Voila.port_retries=500", *options],
        env=environment,
        cwd=notebook.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stderr or ()], daemon=True)
    reader.start()
    try:
        yield Served(process, _address(lines))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        reader.join()
        if process.stderr is not None:
            process.stderr.close()


def _address(lines: queue.SimpleQueue[str]) -> str:
    said = ""
    while not (found := re.search(r"http://\S+:\d+/", said)):
        said += lines.get(timeout=PATIENCE_S)
    return found[0].replace("localhost", "127.0.0.1")


def kernel_in(page: str) -> tuple[int, str]:
    """What the page's first cell printed: the kernel's number, and `forked` or `cold`."""
    found = re.search(r"kernel (\d+) (forked|cold)", page)
    assert found, page[-3000:]
    return int(found[1]), found[2]


def outputs_in(page: str) -> list[dict[str, dict[str, object]]]:
    """The rich outputs in the page, as Voilà's script in the browser reads them."""
    found = re.findall(r'<script type="application/vnd.voila.cell-output\+json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(output) for output in found]


def children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
